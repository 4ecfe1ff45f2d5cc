// An account has so many calls under way at once; the next is told to come again.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Server, Wire } from "./server.mjs";

let server;
before(async () => { server = await Server.start(); });
after(() => server.stop());

const BODY = JSON.stringify({ d: [{ type: "event", identity: "u1", evtName: "At Once", evtData: {} }] });
const head = (path, body) => `POST ${path} HTTP/1.1\r\nHost: kolam\r\nX-CleverTap-Account-Id: ${server.client.id}\r\n` +
  `X-CleverTap-Passcode: ${server.client.secret}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\nExpect: 100-continue\r\n\r\n`;

// Each is under way from the server's "go on" until its body is sent.
async function holdOpen(path, body, count) {
  const wires = Array.from({ length: count }, () => new Wire(server.port));
  await Promise.all(wires.map(async (wire) => {
    await wire.write(head(path, body));
    await wire.until(/^HTTP\/1\.1 100 /);
  }));
  return wires;
}

test("the sixteenth upload at once is 429 with Retry-After; the fifteen are taken", async () => {
  const wires = await holdOpen("/1/upload", BODY, 15);
  const refused = await server.request("POST", "/1/upload", { body: BODY, headers: { "x-clevertap-account-id": server.client.id, "x-clevertap-passcode": server.client.secret } });
  assert.equal(refused.status, 429);
  assert.ok(Number(refused.headers.get("retry-after")) >= 1);
  const answer = await refused.json();
  assert.equal(answer.status, "fail");
  assert.equal(answer.error, "Too many concurrent requests");
  assert.equal(answer.code, 429);

  await Promise.all(wires.map(async (wire) => {
    await wire.write(BODY);
    await wire.until(/HTTP\/1\.1 200 OK[^]*"processed":1/);
  }));
  await server.countIs("At Once", 15);
  const next = await server.asCleverTap("POST", "/1/upload", JSON.parse(BODY), { status: 200 });
  assert.equal(next.processed, 1);
  await Promise.all(wires.map((wire) => wire.end()));
});

test("the fourth question at once is 429; other accounts and native calls aren't held back", async () => {
  const question = JSON.stringify({ event_name: "At Once", from: 20260101, to: 20261231 });
  const wires = await holdOpen("/1/counts/events.json", question, 3);
  const refused = await server.asCleverTap("POST", "/1/counts/events.json", JSON.parse(question), { status: 429 });
  assert.equal(refused.error, "Too many concurrent requests");
  const other = await server.asOwner("POST", "/v1/api-clients", { name: "other", scopes: ["query"] }, { status: 201 });
  await server.json("POST", "/1/counts/events.json", JSON.parse(question), { status: 200, headers: { "x-clevertap-account-id": other.id, "x-clevertap-passcode": other.secret } });
  await server.asClient("POST", "/v1/query", { cql: "SELECT count()" }, { status: 200 });
  await Promise.all(wires.map((wire) => wire.end()));
});
