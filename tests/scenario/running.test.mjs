// Those who run Kolam see how it is: alive, ready, busy, refused.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Server, eventually } from "./server.mjs";

let server;
before(async () => { server = await Server.start(); });
after(() => server.stop());

async function metrics() {
  const response = await server.request("GET", "/metrics");
  assert.equal(response.status, 200);
  assert.match(response.headers.get("content-type"), /^text\/plain; version=0\.0\.4/);
  return response.text();
}
const value = (text, name) => Number(new RegExp(`^${name.replace(/[{}"]/g, "\\$&")} (\\S+)$`, "m").exec(text)?.[1]);

test("healthz and readyz say yes without credentials", async () => {
  for (const path of ["/healthz", "/readyz"]) {
    const response = await server.request("GET", path);
    assert.equal(response.status, 200);
    assert.deepEqual(await response.json(), { status: "success" });
  }
  assert.equal((await server.request("HEAD", "/healthz")).status, 200);
});

test("metrics are well formed: each sample has its type, each name one", async () => {
  const types = new Map();
  for (const line of (await metrics()).trimEnd().split("\n")) {
    const type = /^# TYPE (\w+) (counter|gauge|histogram)$/.exec(line);
    if (type) {
      assert.ok(!types.has(type[1]), line);
      types.set(type[1], type[2]);
    } else if (!line.startsWith("# HELP ")) {
      const sample = /^(kolam_\w+?)(_bucket|_sum|_count)?(\{[^}]*\})? (-?[\d.e+]+)$/.exec(line);
      assert.ok(sample, line);
      assert.ok(types.has(sample[1]) || types.has(sample[1] + (sample[2] ?? "")), line);
    }
  }
  assert.ok(types.size > 10);
});

test("records, refusals, questions and duplicates are counted", async () => {
  const before = await metrics();
  const project = `{project="${server.project}"}`;
  await server.asClient("POST", "/v1/events", { events: [{ identity: "u1", event: "Counted", event_id: "1" }, { identity: "u1", event: "Counted", event_id: "1" }, { event: "No one" }] }, { status: 200 });
  await server.countIs("Counted", 1);
  const after = await eventually(async () => {
    const text = await metrics();
    return value(text, `kolam_project_events${project}`) >= 1 && text;
  }, "the event is in the metrics");
  const grew = (name) => value(after, name) - (value(before, name) || 0);
  assert.equal(grew("kolam_records_total"), 2);
  assert.equal(grew("kolam_records_refused_total"), 1);
  assert.equal(grew(`kolam_project_duplicates_total${project}`), 1);
  assert.ok(grew("kolam_queries_total") >= 1);
  assert.equal(value(after, `kolam_project_users${project}`), 1);
  assert.ok(grew(`kolam_project_log_syncs_total${project}`) >= 1);
});

test("an answer names its request, and an error tells the name", async () => {
  const answer = await server.asClient("GET", "/v1/no-such", undefined, { status: 404 });
  assert.match(answer.request_id, /^r\w+$/);
  const again = await server.asClient("GET", "/v1/no-such", undefined, { status: 404 });
  assert.notEqual(again.request_id, answer.request_id);
});

test("rate limits are told with every answer that counts", async () => {
  const response = await server.request("GET", "/v1/catalog", { headers: { authorization: server.basic } });
  assert.ok(Number(response.headers.get("ratelimit-limit")) > 0);
  assert.ok(Number(response.headers.get("ratelimit-remaining")) >= 0);
});

test("past a key's rate a question is 429, and another key's isn't", async () => {
  const slow = await Server.start({ args: ["--query-rate", "2"] });
  let answer;
  for (let n = 0; n < 50 && answer?.status !== 429; n++)
    answer = await slow.request("GET", "/v1/catalog", { headers: { authorization: slow.basic } });
  assert.equal(answer.status, 429);
  assert.ok(Number(answer.headers.get("retry-after")) >= 1);
  assert.equal((await answer.json()).type, "rate_limited");
  const other = await slow.asOwner("POST", "/v1/api-clients", { name: "other", scopes: ["query"] }, { status: 201 });
  const authorization = `Basic ${Buffer.from(`${other.id}:${other.secret}`).toString("base64")}`;
  assert.equal((await slow.request("GET", "/v1/catalog", { headers: { authorization } })).status, 200);
  await slow.stop();
});
