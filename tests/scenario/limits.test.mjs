// Limits are told before and when they are met; what isn't at fault goes on.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { eventually, Server } from "./server.mjs";

let server;
before(async () => { server = await Server.start({ args: ["--query-rate", "5", "--workers", "1", "--body-max", "100000"] }); });
after(() => server.stop());

test("rate limits are told in headers, and 429 says when to come again", async () => {
  let last;
  for (let i = 0; i < 30; i++) {
    last = await server.request("GET", "/v1/catalog", { headers: { authorization: server.basic } });
    assert.equal(last.headers.get("ratelimit-limit"), "10");
    if (last.status === 429) break;
    await last.arrayBuffer();
  }
  assert.equal(last.status, 429);
  assert.ok(Number(last.headers.get("retry-after")) >= 1);
  assert.equal((await last.json()).type, "rate_limited");
  // Another class of calls has its own.
  await server.asClient("POST", "/v1/events", [{ identity: "u", event: "Fine" }], { status: 200 });
});

test("a full disk is 507; reading goes on", async () => {
  const full = await Server.start({ setup: false, folder: undefined });
  await full.setup();
  await full.asClient("POST", "/v1/events", [{ identity: "u", event: "Before" }], { status: 200 });
  await full.countIs("Before", 1);
  full.process.kill("SIGTERM");
  await full.exited;
  full.status = undefined;
  full.args = ["--disk-floor", String(2 ** 49)];
  await full.launch();
  const answer = await full.asClient("POST", "/v1/events", [{ identity: "u", event: "After" }], { status: 507 });
  assert.equal(answer.type, "disk_full");
  await full.countIs("Before", 1);
  full.process.kill("SIGTERM");
  await full.exited;
  full.status = undefined;
  full.args = [];
  await full.launch();
  await full.asClient("POST", "/v1/events", [{ identity: "u", event: "After" }], { status: 200 });
  await full.countIs("After", 1);
  assert.equal(await full.stop(), 0);
});

test("a body past the server's limit is 413 and says so", async () => {
  const answer = await server.request("POST", "/v1/events", { body: " ".repeat(100001), headers: { authorization: server.basic } });
  assert.equal(answer.status, 413);
  assert.equal((await answer.json()).type, "too_large");
});

test("live events come as a stream that says how many there are", async () => {
  const stream = await fetch(`${server.url}/v1/live?project=${server.project}`, { headers: { cookie: server.cookie } });
  assert.equal(stream.headers.get("content-type"), "text/event-stream");
  const reader = stream.body.getReader();
  let text = "";
  const until = (words) => eventually(async () => {
    if (words.test(text)) return true;
    text += Buffer.from((await reader.read()).value ?? []).toString();
    return false;
  }, String(words));
  await until(/event: stats/);
  await server.asClient("POST", "/v1/events", [{ identity: "watched", event: "On Air", properties: { n: 1 } }], { status: 200 });
  await until(/event: event\ndata: \{[^\n]*"event":"On Air"[^\n]*"identity":"watched"/);
  await reader.cancel();
});

test("stopping ends streams, lets requests finish and loses nothing", async () => {
  const stopping = await Server.start();
  const stream = await fetch(`${stopping.url}/v1/live?project=${stopping.project}`, { headers: { cookie: stopping.cookie } });
  const sends = Array.from({ length: 20 }, (_, i) => stopping.asClient("POST", "/v1/events", [{ identity: `u${i}`, event: "Last" }]).catch(() => undefined));
  const first = await Promise.race(sends);
  assert.equal(first.processed, 1);
  stopping.process.kill("SIGTERM");
  const acknowledged = (await Promise.all(sends)).filter((answer) => answer?.processed === 1).length;
  assert.equal(await stopping.exited, 0);
  await stream.text().catch(() => undefined);
  stopping.status = undefined;
  await stopping.launch();
  const rows = await stopping.rows("SELECT count() WHERE event = 'Last'");
  assert.ok(rows[0][0] >= acknowledged);
  await stopping.stop();
});
