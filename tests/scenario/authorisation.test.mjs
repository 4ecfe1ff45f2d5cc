// Every route of /openapi.json tells nothing to strangers, lets nobody past their scopes, and knows
// no other tenant's things.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Server } from "./server.mjs";

const SCOPES = ["ingest", "query", "people", "manage"];

let server;
let routes;
let other; // another project, with its own things
before(async () => {
  server = await Server.start();
  const { paths } = await server.json("GET", "/openapi.json", undefined, { status: 200 });
  routes = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ method: method.toUpperCase(), path, scope: operation["x-scope"], operation })));
  const project = await server.asOwner("POST", "/v1/projects", { name: "Other", time_zone: "UTC" }, { status: 201 });
  const inOther = (method, path, value, status) => server.asOwner(method, path, value, { status, headers: { "x-kolam-project": project.id } });
  await inOther("POST", "/v1/events", { events: [{ identity: "hers", event: "Secret" }] }, 200);
  other = { project: project.id,
    report: await inOther("POST", "/v1/reports", { name: "Hers", kind: "query", query: { report: "select", measures: [{ measure: "count" }] }, view: {} }, 201),
    client: await inOther("POST", "/v1/api-clients", { name: "hers", scopes: SCOPES }, 201) };
});
after(() => server.stop());

const fill = (path, id = "x") => path.replace(/\{\w+\}/g, id);
const bodyOf = (method) => (method === "POST" || method === "PUT" ? "{}" : undefined);
const call = async ({ method, path }, headers, id) => {
  const controller = new AbortController();
  const response = await fetch(`${server.url}${fill(path, id)}`, { method, body: bodyOf(method), signal: controller.signal,
    headers: { ...(bodyOf(method) && { "content-type": "application/json" }), ...headers } });
  const text = response.headers.get("content-type")?.startsWith("text/event-stream") ? "" : await response.text();
  controller.abort(); // a stream has no end
  return { status: response.status, headers: response.headers, text };
};
const basic = (client) => ({ authorization: `Basic ${Buffer.from(`${client.id}:${client.secret}`).toString("base64")}` });

test("the document names every kind of route, with its scope", () => {
  assert.ok(routes.length >= 40);
  for (const { method, path, scope, operation } of routes) {
    assert.ok(["none", "person", ...SCOPES].includes(scope), `${method} ${path}`);
    assert.ok(operation.operationId && operation.responses, `${method} ${path}`);
    assert.equal(operation.security.length === 0, scope === "none", `${method} ${path}`);
  }
});

test("without credentials every route but the open ones is 401", async () => {
  for (const route of routes.filter((r) => r.scope !== "none")) {
    const answer = await call(route, {});
    assert.equal(answer.status, 401, `${route.method} ${route.path}`);
    assert.ok(answer.headers.get("www-authenticate"));
    assert.equal(JSON.parse(answer.text).code, 401);
  }
});

test("wrong credentials are 401, in each of their forms, and never passed over for a cookie", async () => {
  const forms = [{ authorization: "Basic !!!" }, { authorization: "Bearer nothing" }, { authorization: `Bearer ${server.client.id}.wrong` },
    basic({ id: server.client.id, secret: "wrong" }), basic({ id: "c_nobody", secret: server.client.secret }),
    { "x-clevertap-account-id": server.client.id }, { "x-clevertap-account-id": server.client.id, "x-clevertap-passcode": "wrong" },
    { cookie: server.cookie, authorization: "Basic !!!" }];
  for (const headers of forms)
    assert.equal((await call({ method: "GET", path: "/v1/catalog" }, { "x-kolam-project": server.project, ...headers })).status, 401, JSON.stringify(headers));
});

test("a key with one scope may do what that scope says, and nothing else", async () => {
  for (const scope of SCOPES) {
    const client = await server.asOwner("POST", "/v1/api-clients", { name: scope, scopes: [scope] }, { status: 201 });
    for (const route of routes.filter((r) => r.scope !== "none")) {
      const { status, text } = await call(route, basic(client));
      const name = `${route.method} ${route.path} with ${scope}`;
      if (route.scope === scope) assert.ok(![401, 403, 500].includes(status), `${name}: ${status} ${text}`);
      else assert.equal(status, 403, `${name}: ${text}`);
    }
  }
});

test("a revoked key is no key", async () => {
  const client = await server.asOwner("POST", "/v1/api-clients", { name: "short", scopes: SCOPES }, { status: 201 });
  assert.equal((await call({ method: "GET", path: "/v1/catalog" }, basic(client))).status, 200);
  await server.asOwner("DELETE", `/v1/api-clients/${client.id}`, undefined, { status: 204 });
  assert.equal((await call({ method: "GET", path: "/v1/catalog" }, basic(client))).status, 401);
});

test("another project's ids are 404, as ids that never were", async () => {
  const mine = basic(server.client);
  for (const [path, id] of [["/v1/reports/{id}", other.report.id], ["/v1/api-clients/{id}", other.client.id], ["/v1/users/{id}", "hers"], ["/v1/users/{id}/events", "hers"]]) {
    for (const method of ["GET", "DELETE"]) {
      if (!routes.some((r) => r.path === path && r.method === method)) continue;
      for (const asked of [id, "x_never_was"])
        assert.equal((await call({ method, path }, mine, asked)).status, 404, `${method} ${path} ${asked}`);
    }
  }
  assert.equal((await server.json("GET", "/v1/catalog", undefined, { status: 200, headers: mine })).events.length, 0);
  assert.equal((await call({ method: "GET", path: "/v1/catalog" }, { ...mine, "x-kolam-project": other.project })).status, 404);
  await server.asOwner("GET", `/v1/reports/${other.report.id}`, undefined, { status: 404 });
  await server.asOwner("GET", "/v1/catalog", undefined, { status: 404, headers: { "x-kolam-project": "p_never_was" } });
  const { name } = await server.asOwner("GET", `/v1/reports/${other.report.id}`, undefined, { status: 200, headers: { "x-kolam-project": other.project } });
  assert.equal(name, "Hers");
});

test("an unknown path is 404 and an unknown method 405 that names the right ones, for strangers too", async () => {
  assert.equal((await call({ method: "POST", path: "/v1/no/such" }, {})).status, 404);
  const wrong = await call({ method: "PUT", path: "/v1/events" }, {});
  assert.equal(wrong.status, 405);
  assert.equal(wrong.headers.get("allow"), "POST");
});
