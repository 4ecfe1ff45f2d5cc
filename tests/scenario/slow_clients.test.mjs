// Clients that are slow, stop half-way or go away hold up nobody, and a slow one is served.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Server, Wire, eventually } from "./server.mjs";

let server;
before(async () => { server = await Server.start(); });
after(() => server.stop());

const body = (name) => JSON.stringify({ events: [{ identity: "u1", event: name }] });
const request = (name) => `POST /v1/events HTTP/1.1\r\nHost: kolam\r\nAuthorization: ${server.basic}\r\nContent-Type: application/json\r\n` +
  `Content-Length: ${body(name).length}\r\n\r\n${body(name)}`;
const metric = async (name) => Number(new RegExp(`^kolam_${name} (\\d+)$`, "m").exec(await (await server.request("GET", "/metrics")).text())[1]);

test("a request that comes byte by byte is answered as any other", async () => {
  const wire = new Wire(server.port);
  for (const byte of request("Drop")) await wire.write(byte);
  await wire.until(/HTTP\/1\.1 200 OK[^]*"processed":1/);
  await wire.end();
  await server.countIs("Drop", 1);
});

test("two hundred requests that stand still hold up nobody", async () => {
  const before = await metric("http_active");
  const wires = Array.from({ length: 200 }, () => new Wire(server.port));
  await Promise.all(wires.map((wire, n) => wire.write(n % 2 ? request("Never").slice(0, -1) : "POST /v1/events HT")));
  await eventually(async () => (await metric("http_active")) >= before + 100, "they're at the server");
  const began = performance.now();
  const answer = await server.asClient("POST", "/v1/events", JSON.parse(body("Quick")), { status: 200 });
  assert.equal(answer.processed, 1);
  await server.countIs("Quick", 1);
  assert.ok(performance.now() - began < 2000);
  await Promise.all(wires.map((wire) => wire.end()));
  await eventually(async () => (await metric("http_active")) <= before + 1, "they're forgotten");
  const never = await server.asClient("POST", "/v1/query", { cql: "SELECT count() WHERE event = 'Never'" }, { status: 422 });
  assert.equal(never.type, "query_invalid");
});

test("who doesn't read the answer holds up nobody", async () => {
  const events = Array.from({ length: 1000 }, (_, n) => ({ identity: `r${n}`, event: "Row", properties: { n, text: "x".repeat(400) } }));
  await server.asClient("POST", "/v1/events", { events }, { status: 200 });
  await server.countIs("Row", 1000);
  const question = JSON.stringify({ cql: "SELECT count() WHERE event = 'Row' GROUP BY n, text LIMIT 1000" });
  const wires = Array.from({ length: 20 }, () => new Wire(server.port));
  for (const wire of wires) {
    wire.socket.pause();
    await wire.write(`POST /v1/query HTTP/1.1\r\nHost: kolam\r\nAuthorization: ${server.basic}\r\nContent-Type: application/json\r\nContent-Length: ${question.length}\r\n\r\n${question}`);
  }
  assert.equal((await server.rows("SELECT count() WHERE event = 'Row'"))[0][0], 1000);
  for (const wire of wires) wire.socket.resume();
  for (const wire of wires) {
    await wire.until(/"rows":\[\[[^]*"elapsed_ms"/);
    await wire.end();
  }
});

test("several requests on one connection are answered in their order", async () => {
  const wire = new Wire(server.port);
  await wire.write(request("Piped") + request("Piped") + "GET /healthz HTTP/1.1\r\nHost: kolam\r\nConnection: close\r\n\r\n");
  await wire.closed;
  assert.equal(wire.text.match(/HTTP\/1\.1 200 OK/g).length, 3);
  assert.ok(wire.text.indexOf("processed") < wire.text.lastIndexOf('{"status":"success"}'));
  await server.countIs("Piped", 2);
});
