// Who may call what: every route of the OpenAPI document, with every kind of caller.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Server } from "./server.mjs";

const SCOPES = ["ingest", "query", "people", "manage"];
let server;
let operations;
const clients = {};

before(async () => {
  server = await Server.start({ args: ["--query-rate", "100000"] });
  for (const scope of SCOPES) {
    const made = await server.asOwner("POST", "/v1/api-clients", { name: scope, scopes: [scope] }, { status: 201 });
    clients[scope] = `Basic ${Buffer.from(`${made.id}:${made.secret}`).toString("base64")}`;
  }
  const document = await server.json("GET", "/openapi.json", undefined, { status: 200 });
  operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method: method.toUpperCase(), ...operation })));
});
after(() => server.stop());

const call = async (operation, headers) => {
  const path = operation.path.replace(/\{\w+\}/g, "nobody");
  const body = operation.requestBody ? "{}" : undefined;
  // The dashboard's stream never ends by itself.
  const controller = new AbortController();
  const response = await fetch(`${server.url}${path}`, {
    method: operation.method, body, signal: controller.signal,
    headers: { ...(body ? { "content-type": "application/json" } : {}), ...headers },
  });
  const status = response.status;
  controller.abort();
  return status;
};

test("every route says who may call it, and has a name of its own", () => {
  assert.ok(operations.length > 40);
  const names = new Set(operations.map((o) => o.operationId));
  assert.equal(names.size, operations.length);
  for (const o of operations) assert.ok(["none", "person", ...SCOPES].includes(o["x-scope"]), o.operationId);
});

test("without credentials, or with wrong ones, a route that needs them is 401", async () => {
  for (const o of operations.filter((one) => one["x-scope"] !== "none")) {
    assert.equal(await call(o, {}), 401, `${o.method} ${o.path}`);
    assert.equal(await call(o, { authorization: "Basic Y19ub2JvZHk6Z3Vlc3M=" }), 401, `${o.method} ${o.path}`);
    assert.equal(await call(o, { authorization: "Bearer c_nobody.guess" }), 401, `${o.method} ${o.path}`);
    assert.equal(await call(o, { cookie: "kolam_session=guess" }), 401, `${o.method} ${o.path}`);
  }
});

test("a key does what its scopes say, and 403 is all that others get", async () => {
  for (const o of operations.filter((one) => SCOPES.includes(one["x-scope"])))
    for (const scope of SCOPES) {
      const status = await call(o, { authorization: clients[scope] });
      if (scope === o["x-scope"]) assert.ok(![401, 403].includes(status), `${scope}: ${o.method} ${o.path} is ${status}`);
      else assert.equal(status, 403, `${scope}: ${o.method} ${o.path}`);
    }
});

test("a key isn't a person", async () => {
  for (const o of operations.filter((one) => one["x-scope"] === "person"))
    assert.equal(await call(o, { authorization: clients.manage }), 403, `${o.method} ${o.path}`);
});

test("a person's writes need the token that only their page knows", async () => {
  for (const o of operations.filter((one) => one.method !== "GET" && SCOPES.includes(one["x-scope"]))) {
    const headers = { cookie: server.cookie, "x-kolam-project": server.project };
    assert.equal(await call(o, headers), 403, `${o.method} ${o.path}`);
    assert.equal(await call(o, { ...headers, "x-csrf-token": "guess" }), 403, `${o.method} ${o.path}`);
  }
});

test("another tenant's project, client and report are not there", async () => {
  const report = await server.asOwner("POST", "/v1/reports", { name: "Mine", kind: "query", query: { report: "select" } }, { status: 201 });
  const other = await server.asOwner("POST", "/v1/projects", { name: "Other", time_zone: "UTC" }, { status: 201 });
  const there = { headers: { "x-kolam-project": other.id } };
  await server.asOwner("GET", `/v1/reports/${report.id}`, undefined, { ...there, status: 404 });
  await server.asOwner("DELETE", `/v1/api-clients/${server.client.id}`, undefined, { ...there, status: 404 });
  await server.asOwner("GET", "/v1/catalog", undefined, { headers: { "x-kolam-project": "p_nothingofthiskind" }, status: 404 });
  // A key belongs to one project, whatever it names.
  await server.asClient("GET", "/v1/catalog", undefined, { headers: { "x-kolam-project": other.id }, status: 404 });
  await server.asOwner("GET", `/v1/reports/${report.id}`, undefined, { status: 200 });
});

test("people's records need their scope in a query too", async () => {
  for (const cql of ["USERS WHERE profile.x = 1", "EVENTS OF 'u1'"]) {
    const answer = await server.json("POST", "/v1/query", { cql }, { headers: { authorization: clients.query }, status: 403 });
    assert.equal(answer.type, "scope_missing");
  }
});

test("a revoked key is nobody", async () => {
  const made = await server.asOwner("POST", "/v1/api-clients", { name: "short", scopes: ["query"] }, { status: 201 });
  const headers = { authorization: `Bearer ${made.id}.${made.secret}` };
  await server.json("GET", "/v1/catalog", undefined, { headers, status: 200 });
  await server.asOwner("DELETE", `/v1/api-clients/${made.id}`, undefined, { status: 204 });
  await server.json("GET", "/v1/catalog", undefined, { headers, status: 401 });
});

test("what was done stands in the audit log", async () => {
  const log = await server.asOwner("GET", "/v1/audit?limit=1000", undefined, { status: 200 });
  const deeds = log.rows.map((row) => row.what);
  for (const what of ["client.create", "client.revoke", "report.create"]) assert.ok(deeds.includes(what), what);
});
