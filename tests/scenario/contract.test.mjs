// What the OpenAPI document says is what comes.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Server } from "./server.mjs";

let server;
let document;

before(async () => {
  server = await Server.start();
  document = await server.json("GET", "/openapi.json", undefined, { status: 200 });
  await server.asClient("POST", "/v1/events", { events: [
    { identity: "u1", event: "Seen", time: "2026-01-05T10:00:00Z", properties: { n: 1, city: "Pune" } },
    { identity: "u2", event: "Bought", time: "2026-01-06T10:00:00Z", properties: { n: 2 } },
  ] }, { status: 200 });
  await server.asClient("POST", "/v1/profiles", { profiles: [{ identity: "u1", properties: { Plan: "gold" } }] }, { status: 200 });
  await server.countIs("Bought", 1);
});
after(() => server.stop());

// The part of JSON Schema that the document uses; returns what is wrong, with its place.
function check(schema, value, at = "") {
  if (schema.$ref) return check(document.components.schemas[schema.$ref.split("/").at(-1)], value, at);
  if ("const" in schema) return value === schema.const ? [] : [`${at} isn't ${schema.const}`];
  if (schema.enum) return schema.enum.includes(value) ? [] : [`${at} isn't one of ${schema.enum}`];
  if (schema.oneOf) return schema.oneOf.filter((one) => check(one, value, at).length === 0).length === 1 ? [] : [`${at} is none or several`];
  const types = [schema.type ?? []].flat();
  const type = value === null ? "null" : Array.isArray(value) ? "array" : Number.isInteger(value) ? "integer" : typeof value;
  if (types.length && !types.includes(type) && !(type === "integer" && types.includes("number"))) return [`${at} is ${type}, not ${types}`];
  if (type === "array") return value.flatMap((item, i) => check(schema.items ?? {}, item, `${at}/${i}`));
  if (type !== "object") return [];
  const missing = (schema.required ?? []).filter((name) => !(name in value)).map((name) => `${at}/${name} is missing`);
  return [...missing, ...Object.entries(schema.properties ?? {}).flatMap(([name, one]) => (name in value ? check(one, value[name], `${at}/${name}`) : []))];
}

const follows = (name, value) => assert.deepEqual(check({ $ref: `#/components/schemas/${name}` }, value), [], name);

test("every schema that a route names is there", () => {
  for (const [path, methods] of Object.entries(document.paths))
    for (const operation of Object.values(methods)) {
      const contents = [operation.requestBody, ...Object.values(operation.responses)].filter(Boolean).flatMap((one) => Object.values(one.content ?? {}));
      for (const { schema } of contents) assert.ok(document.components.schemas[schema.$ref.split("/").at(-1)], `${path}: ${schema.$ref}`);
    }
});

test("answers have the shape that the document gives", async () => {
  follows("Session", await server.asOwner("GET", "/v1/session", undefined, { status: 200 }));
  follows("TimeZones", await server.json("GET", "/v1/time-zones", undefined, { status: 200 }));
  follows("Catalog", await server.asClient("GET", "/v1/catalog", undefined, { status: 200 }));
  follows("Values", await server.asClient("GET", "/v1/catalog/values?event=Seen&property=city", undefined, { status: 200 }));
  follows("Values", await server.asClient("GET", "/v1/catalog/values?profile=Plan", undefined, { status: 200 }));
  follows("Answer", await server.asClient("POST", "/v1/query", { cql: "SELECT count() GROUP BY event" }, { status: 200 }));
  follows("Plan", await server.asClient("POST", "/v1/query/explain", { cql: "SELECT count()" }, { status: 200 }));
  follows("Forms", await server.asClient("POST", "/v1/query/translate", { cql: "SELECT count()" }, { status: 200 }));
  follows("Users", await server.asClient("GET", "/v1/users", undefined, { status: 200 }));
  follows("Users", await server.asClient("GET", "/v1/users?search=u", undefined, { status: 200 }));
  follows("User", await server.asClient("GET", "/v1/users/u1", undefined, { status: 200 }));
  follows("Timeline", await server.asClient("GET", "/v1/users/u1/events", undefined, { status: 200 }));
  follows("Clients", await server.asClient("GET", "/v1/api-clients", undefined, { status: 200 }));
  follows("Audit", await server.asClient("GET", "/v1/audit", undefined, { status: 200 }));
  follows("Status", await server.json("GET", "/readyz", undefined, { status: 200 }));
  follows("Error", await server.asClient("GET", "/v1/users/nobody", undefined, { status: 404 }));
  follows("Ingested", await server.asClient("POST", "/v1/events", [{ identity: "u9", event: "X" }, {}], { status: 200 }));
});

test("a saved report is made, changed only by who saw its latest state, and deleted", async () => {
  const draft = { name: "Seen", kind: "trends", query: { report: "select" }, view: { page: "trends", n: [1, null, true, 1.5, "x"] } };
  const made = await server.asOwner("POST", "/v1/reports", draft, { status: 201 });
  follows("Report", made);
  assert.deepEqual(made.view, draft.view);
  const changed = await server.asOwner("PUT", `/v1/reports/${made.id}`, { ...draft, name: "Seen more" }, { headers: { "if-match": made.etag }, status: 200 });
  assert.notEqual(changed.etag, made.etag);
  await server.asOwner("PUT", `/v1/reports/${made.id}`, draft, { headers: { "if-match": made.etag }, status: 412 });
  await server.asOwner("DELETE", `/v1/reports/${made.id}`, undefined, { headers: { "if-match": `"${made.etag}"` }, status: 412 });
  follows("Reports", await server.asOwner("GET", "/v1/reports", undefined, { status: 200 }));
  await server.asOwner("DELETE", `/v1/reports/${made.id}`, undefined, { headers: { "if-match": `"${changed.etag}"` }, status: 204 });
  await server.asOwner("GET", `/v1/reports/${made.id}`, undefined, { status: 404 });
});

test("a field that isn't known is an error that points at it", async () => {
  const cases = [["/v1/query", { cql: "SELECT count()", explane: true }, "/explane"], ["/v1/reports", { name: "x", kind: "query", color: 1 }, "/color"],
    ["/v1/api-clients", { name: "x", scopes: ["query"], expires: 1 }, "/expires"], ["/v1/users/merge", { from: "a", to: "b" }, "/to"]];
  for (const [path, body, pointer] of cases) {
    const answer = await server.asOwner("POST", path, body, { status: 422 });
    assert.equal(answer.details.pointer, pointer);
  }
});

test("a table comes as CSV when that's asked for", async () => {
  const response = await server.request("POST", "/v1/query", { body: JSON.stringify({ cql: "SELECT count() GROUP BY event ORDER BY event" }), headers: { authorization: server.basic, accept: "text/csv" } });
  assert.equal(response.headers.get("content-type"), "text/csv; charset=utf-8");
  assert.match(await response.text(), /^event,count\(\)\r?\nBought,1\r?\n/);
});

test("a query that names both forms, or none, is refused", async () => {
  for (const body of [{}, { cql: "SELECT count()", query: { report: "select" } }]) await server.asClient("POST", "/v1/query", body, { status: 422 });
});

test("a cursor works on its own route only, and not when it's changed", async () => {
  await server.asClient("POST", "/v1/events", Array.from({ length: 5 }, (_, i) => ({ identity: "pager", event: "Page", time: `2026-01-0${i + 1}T00:00:00Z` })), { status: 200 });
  await server.countIs("Page", 5);
  const page = await server.asClient("GET", "/v1/users/pager/events?limit=2", undefined, { status: 200 });
  assert.equal(page.events.length, 2);
  const cursor = page.next_cursor;
  await server.asClient("GET", `/v1/users/pager/events?limit=2&cursor=${cursor}`, undefined, { status: 200 });
  await server.asClient("GET", `/v1/users?cursor=${cursor}`, undefined, { status: 400 });
  await server.asClient("GET", `/v1/users/pager/events?cursor=${cursor.slice(0, -2)}AA`, undefined, { status: 400 });
});
