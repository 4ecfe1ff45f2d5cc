// The published client of CleverTap, unmodified but for the address it calls.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";

import { Server } from "./server.mjs";

const CleverTap = createRequire(import.meta.url)("clevertap");
const JAN_1 = 1767225600;
const january = { event_name: "Bought", from: 20260101, to: 20260131 };

let server;
let client;
before(async () => {
  server = await Server.start();
  client = CleverTap.init(server.client.id, server.client.secret, CleverTap.REGIONS.EUROPE);
  client.api.apiEndpoint = `${server.url}/1`;
});
after(() => server.stop());

test("what it uploads in batches is taken whole", async () => {
  const data = Array.from({ length: 250 }, (_, n) => ({ type: "event", identity: `u${n % 25}`, ts: JAN_1 + n, evtName: "Bought", evtData: { Amount: n % 7 } }));
  data.push({ type: "profile", identity: "u3", profileData: { Name: "Asha", Email: "asha@example.org" } });
  const answers = await client.upload(data, {});
  assert.equal(answers.length, 3);
  for (const answer of answers) assert.equal(answer.status, "success");
  assert.equal(answers.reduce((sum, answer) => sum + answer.processed, 0), 251);
  await server.countIs("Bought", 250);
});

test("a bad record comes back to it", async () => {
  const answer = await client.upload([{ type: "event", identity: "u1", evtData: {} }, { type: "profile", identity: "u1", profileData: { Plan: "x" } }], {});
  assert.equal(answer.status, "partial");
  assert.equal(answer.unprocessed[0].code, 509);
});

test("it reads one profile", async () => {
  const answer = await client.profile({ identity: "u3" });
  assert.equal(answer.record.name, "Asha");
  assert.equal(answer.record.events.Bought.count, 10);
  assert.equal((await client.profile({ email: "asha@example.org" })).record.identity, "u3");
});

test("it pages through events and profiles", async () => {
  const events = await client.events(january, { batchSize: 60 });
  assert.equal(events.length, 250);
  assert.equal(new Set(events.map((e) => `${e.profile.identity} ${e.ts}`)).size, 250);
  const profiles = await client.profiles(january, { batchSize: 10 });
  assert.equal(profiles.length, 25);
});

test("it gets counts, trends and top values", async () => {
  assert.deepEqual(await client.getEventsCount(january, {}), { status: "success", count: 250 });
  assert.deepEqual(await client.getProfilesCount(january, {}), { status: "success", count: 25 });
  const trends = await client.trends({ ...january, groups: { days: { trend_type: "daily" } } }, {});
  assert.deepEqual(trends.days, { 20260101: 250 });
  const top = await client.topPropertyCounts({ ...january, groups: { a: { property_type: "event_properties", name: "Amount", top_n: 2 } } }, {});
  assert.deepEqual(top.a, { 0: 36, 1: 36 });
});

test("it's told of wrong credentials", async () => {
  const stranger = CleverTap.init(server.client.id, "wrong", CleverTap.REGIONS.EUROPE);
  stranger.api.apiEndpoint = client.api.apiEndpoint;
  const answer = await stranger.profile({ identity: "u3" });
  assert.equal(answer.status, "fail");
  assert.equal(answer.code, 401);
});
