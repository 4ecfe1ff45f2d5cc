// What is acknowledged is seen at once: by questions within a second, by watchers as it comes.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Server, eventually } from "./server.mjs";

let server;
before(async () => { server = await Server.start(); });
after(() => server.stop());

const send = (...events) => server.asClient("POST", "/v1/events", { events }, { status: 200 });

// A stream of server-sent events, read in the background.
async function watch(headers = { authorization: server.basic }, query = "") {
  const controller = new AbortController();
  const response = await fetch(`${server.url}/v1/live${query}`, { headers, signal: controller.signal });
  assert.equal(response.status, 200);
  assert.match(response.headers.get("content-type"), /^text\/event-stream/);
  const seen = { event: [], stats: [], end: () => controller.abort() };
  seen.ended = (async () => {
    let text = "";
    for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      const parts = text.split("\n\n");
      text = parts.pop();
      for (const part of parts) {
        const match = /^event: (event|stats)\ndata: ([^\n]+)$/.exec(part);
        if (match) seen[match[1]].push(JSON.parse(match[2]));
        else assert.match(part, /^:/, part);
      }
    }
  })().catch((error) => { if (error.name !== "AbortError") seen.error = error; });
  return seen;
}

test("an event is visible to questions within a second of its acknowledgement", async () => {
  let worst = 0;
  for (let n = 1; n <= 20; n++) {
    await send({ identity: `u${n}`, event: "Visible" });
    const acknowledged = performance.now();
    await server.countIs("Visible", n);
    worst = Math.max(worst, performance.now() - acknowledged);
  }
  assert.ok(worst < 1000, `${worst} ms`);
});

test("a watcher sees events as they come, whole, and the numbers of each second", async () => {
  const seen = await watch();
  await eventually(() => seen.stats.length > 0, "first numbers");
  const before = seen.stats.at(-1).events_total;
  await send({ identity: "asha", event: "Streamed", time: "2026-01-05T10:00:00Z", properties: { n: 1, text: "line\nbreak \u2028 ü" } });
  await eventually(() => seen.event.length > 0, "the event");
  const [event] = seen.event;
  assert.equal(event.event, "Streamed");
  assert.equal(event.user.identity, "asha");
  assert.equal(typeof event.user.id, "number");
  assert.deepEqual(event.properties, { n: 1, text: "line\nbreak \u2028 ü" });
  assert.equal(new Date(event.time).toISOString(), "2026-01-05T10:00:00.000Z");
  await eventually(() => seen.stats.at(-1).events_total === before + 1, "the total");
  for (const key of ["events_per_second", "events_total", "users_total", "position"]) assert.equal(typeof seen.stats[0][key], "number", key);
  seen.end();
  await seen.ended;
  assert.equal(seen.error, undefined);
});

test("a flood is sampled, and what is left out is counted", async () => {
  const seen = await watch();
  await eventually(() => seen.stats.length > 0, "first numbers");
  for (let batch = 0; batch < 5; batch++)
    await send(...Array.from({ length: 1000 }, (_, n) => ({ identity: `f${n}`, event: "Flood" })));
  await server.countIs("Flood", 5000);
  await eventually(() => seen.event.length + seen.stats.reduce((sum, s) => sum + (s.skipped ?? 0), 0) >= 5000, "all are shown or counted");
  assert.ok(seen.event.length < 1000, `${seen.event.length} shown`);
  seen.end();
  await seen.ended;
});

test("the dashboard's owner watches by cookie, strangers and writers don't", async () => {
  const seen = await watch({ cookie: server.cookie }, `?project=${server.project}`);
  await send({ identity: "asha", event: "Owned" });
  await eventually(() => seen.event.some((e) => e.event === "Owned"), "the event");
  seen.end();
  assert.equal((await server.request("GET", "/v1/live")).status, 401);
  const writer = await server.asOwner("POST", "/v1/api-clients", { name: "w", scopes: ["ingest"] }, { status: 201 });
  await server.json("GET", "/v1/live", undefined, { status: 403, headers: { authorization: `Basic ${Buffer.from(`${writer.id}:${writer.secret}`).toString("base64")}` } });
});

test("a watcher of one project sees nothing of another", async () => {
  const other = await server.asOwner("POST", "/v1/projects", { name: "Other", time_zone: "UTC" }, { status: 201 });
  const seen = await watch();
  await server.asOwner("POST", "/v1/events", { events: [{ identity: "x", event: "Theirs" }] }, { status: 200, headers: { "x-kolam-project": other.id } });
  await send({ identity: "y", event: "Ours" });
  await eventually(() => seen.event.some((e) => e.event === "Ours"), "ours");
  assert.ok(!seen.event.some((e) => e.event === "Theirs"));
  seen.end();
  await seen.ended;
});

test("a stop ends the streams and isn't held up by them", async () => {
  const seen = await watch();
  server.process.kill("SIGTERM");
  await seen.ended;
  assert.equal(await server.exited, 0);
});
