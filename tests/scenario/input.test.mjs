// Whatever a client sends gets a clear answer, and never harms what others send.

import assert from "node:assert/strict";
import { connect } from "node:net";
import { after, before, test } from "node:test";
import { gzipSync } from "node:zlib";

import { Server } from "./server.mjs";

let server;
before(async () => { server = await Server.start(); });
after(() => server.stop());

const send = async (body, headers = {}, path = "/v1/events") => {
  const response = await server.request("POST", path, { body, headers: { authorization: server.basic, "content-type": "application/json", ...headers } });
  return { status: response.status, headers: response.headers, body: await response.json() };
};
const event = (over = {}) => ({ identity: "u1", event: "Seen", time: "2026-01-05T10:00:00Z", properties: { n: 1 }, ...over });

test("a body that isn't JSON is told with the place where it breaks", async () => {
  const answer = await send('{"events":[{"identity":"u1",}]}');
  assert.equal(answer.status, 400);
  assert.equal(answer.body.status, "fail");
  assert.match(JSON.stringify(answer.body), /2[0-9]/);
  assert.ok(answer.body.request_id);
});

test("each bad record is told with its index and pointer, the good ones are kept", async () => {
  const answer = await send(JSON.stringify({ events: [
    event({ event: "Good" }), event({ event: 7 }), { event: "No one" }, event({ time: "tomorrow" }),
    event({ time: "2999-01-01" }), event({ unknown: 1 }), event({ event: "Good" }),
  ] }));
  assert.equal(answer.status, 200);
  assert.equal(answer.body.processed, 2);
  assert.deepEqual(answer.body.unprocessed.map((p) => p.index), [1, 2, 3, 4, 5]);
  for (const problem of answer.body.unprocessed) assert.ok(problem.error.length > 5);
  await server.countIs("Good", 2);
});

test("numbers no double can hold, and bytes that are no text, are refused", async () => {
  for (const body of ['{"events":[{"identity":"u","event":"E","properties":{"n":1e400}}]}',
    '{"events":[{"identity":"u","event":"E","properties":{"n":NaN}}]}',
    Buffer.from([...Buffer.from('{"events":[{"identity":"u","event":"'), 0xff, 0xfe, ...Buffer.from('"}]}')])]) {
    const answer = await send(body);
    assert.equal(answer.status, 400);
  }
});

test("deep nesting is refused, not followed", async () => {
  const answer = await send(`{"events":[{"identity":"u","event":"E","properties":{"n":${"[".repeat(5000)}${"]".repeat(5000)}}}]}`);
  assert.ok([400, 200].includes(answer.status));
  assert.equal(answer.body.processed ?? 0, 0);
});

test("a body past the limit is 413", async () => {
  const answer = await send(Buffer.alloc(17 << 20, 0x20)).catch((error) => ({ status: error.cause?.code }));
  assert.ok([413, "ECONNRESET", "EPIPE", "UND_ERR_SOCKET"].includes(answer.status), String(answer.status));
});

test("a body of exactly sixteen MiB is taken", async () => {
  const body = Buffer.alloc(16 << 20, 0x20);
  body.write(JSON.stringify({ events: [event({ event: "Heavy" })] }));
  const answer = await send(body);
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  assert.equal(answer.body.processed, 1);
  await server.countIs("Heavy", 1);
});

test("a record more than ten thousand refuses the request whole", async () => {
  const answer = await send(JSON.stringify({ events: Array.from({ length: 10001 }, () => event({ event: "Crowd" })) }));
  assert.equal(answer.status, 400);
  assert.equal(answer.body.status, "fail");
  await send(JSON.stringify({ events: [event({ event: "Crowd" })] }));
  await server.countIs("Crowd", 1);
});

test("a value of the wrong type is told at its record, in whatever place it stands", async () => {
  const wrong = [7, null, "text", [], event({ identity: {} }), event({ properties: [1] }), event({ properties: "n" }),
    event({ time: {} }), event({ time: 1e30 }), event({ event: null }), event({ event_id: [] }), event({ time: "9999-12-31T23:59:59Z" })];
  const answer = await send(JSON.stringify({ events: [event({ event: "Typed" }), ...wrong, event({ event: "Typed" })] }));
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  assert.equal(answer.body.processed, 2, JSON.stringify(answer.body));
  assert.deepEqual(answer.body.unprocessed.map((p) => p.index), wrong.map((_, i) => i + 1));
  await server.countIs("Typed", 2);
  for (const body of ["7", "null", '"text"', '{"events":7}', '{"events":{}}', ""]) {
    const refused = await send(body);
    assert.ok(refused.status >= 400 && refused.status < 500, `${body}: ${refused.status}`);
    assert.equal(refused.body.status, "fail");
  }
});

test("a compressed bomb is refused small, a compressed body is taken", async () => {
  const bomb = await send(gzipSync(Buffer.alloc(200 << 20, 0x20)), { "content-encoding": "gzip" });
  assert.equal(bomb.status, 413);
  const good = await send(gzipSync(JSON.stringify({ events: [event({ event: "Zipped" })] })), { "content-encoding": "gzip" });
  assert.equal(good.status, 200);
  await server.countIs("Zipped", 1);
});

test("an event id counts once, however often it is sent", async () => {
  const body = JSON.stringify({ events: [event({ event: "Once", event_id: "e-1" }), event({ event: "Once", event_id: "e-1" })] });
  await send(body);
  await send(body);
  await send(JSON.stringify({ events: [event({ event: "Once", event_id: "e-2" })] }));
  await server.countIs("Once", 2);
});

test("a repeated idempotency key gets the first answer and changes nothing", async () => {
  const headers = { "idempotency-key": "key-1" };
  const first = await send(JSON.stringify({ events: [event({ event: "Idem" })] }), headers);
  const second = await send(JSON.stringify({ events: [event({ event: "Idem" })] }), headers);
  assert.deepEqual(second.body, first.body);
  await server.countIs("Idem", 1);
});

test("an error of a question points at the character and suggests the name", async () => {
  await send(JSON.stringify({ events: [event({ event: "Product Viewed" })] }));
  await server.countIs("Product Viewed", 1);
  const cql = "SELECT count() WHERE event = 'Produkt Viewed'";
  const answer = await send(JSON.stringify({ cql }), {}, "/v1/query");
  assert.equal(answer.status, 422);
  assert.equal(answer.body.details.position, cql.indexOf("'Produkt"));
  assert.equal(answer.body.details.suggestion, "Product Viewed");
});

test("what isn't there is 404, a wrong method 405, both as JSON", async () => {
  assert.equal((await server.asClient("GET", "/v1/nothing", undefined, { status: 404 })).status, "fail");
  assert.equal((await server.asClient("DELETE", "/v1/events", undefined, { status: 405 })).status, "fail");
});

test("a slow client holds up nobody", async () => {
  const slow = connect(server.port, "127.0.0.1");
  slow.on("error", () => {});
  slow.write("POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{");
  const answer = await send(JSON.stringify({ events: [event()] }));
  assert.equal(answer.status, 200);
  slow.destroy();
});

test("without credentials, or with others' scopes, nothing is told", async () => {
  const bare = await server.request("POST", "/v1/query", { body: '{"cql":"SELECT count()"}', headers: { "content-type": "application/json" } });
  assert.equal(bare.status, 401);
  const writer = await server.asOwner("POST", "/v1/api-clients", { name: "writer", scopes: ["ingest"] }, { status: 201 });
  const authorization = `Basic ${Buffer.from(`${writer.id}:${writer.secret}`).toString("base64")}`;
  const refused = await server.json("POST", "/v1/query", { cql: "SELECT count()" }, { status: 403, headers: { authorization } });
  assert.equal(refused.status, "fail");
});
