// CleverTap's reading calls answer from what was uploaded, in the shapes their clients know.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Server } from "./server.mjs";

const DAY_S = 86400;
const JAN_1 = 1767225600; // 2026-01-01T00:00:00Z, a Thursday

let server;
before(async () => {
  server = await Server.start();
  const d = [];
  for (let day = 0; day < 60; day++)
    for (let user = 0; user < 3; user++)
      d.push({ type: "event", identity: `u${user}`, ts: JAN_1 + day * DAY_S + 3600, evtName: "Charged",
        evtData: { Amount: 10 * (user + 1), Method: ["Card", "Cash", "Card"][user] } });
  for (let user = 0; user < 3; user++)
    d.push({ type: "profile", identity: `u${user}`, profileData: { Name: `Name ${user}`, Plan: user ? "Gold" : "Free", Email: `u${user}@example.org`, Phone: `+9198123456${user}0` } });
  d.push({ type: "event", objectId: "device-9", ts: JAN_1, evtName: "Opened", evtData: {} });
  const answer = await server.asCleverTap("POST", "/1/upload", { d }, { status: 200 });
  assert.deepEqual(answer, { status: "success", processed: d.length, unprocessed: [] });
  await server.countIs("Charged", 180);
  await server.countIs("Opened", 1);
});
after(() => server.stop());

const ask = (path, body, status = 200) => server.asCleverTap("POST", `/1/${path}`, body, { status });
const january = { event_name: "Charged", from: 20260101, to: 20260131 };

test("events are counted, whole days from and to, with their filters", async () => {
  assert.deepEqual(await ask("counts/events.json", january), { status: "success", count: 93 });
  assert.deepEqual(await ask("counts/events.json", { ...january, to: 20260101 }), { status: "success", count: 3 });
  const dear = { ...january, event_properties: [{ name: "Amount", operator: "greater_than", value: 10 }] };
  assert.deepEqual(await ask("counts/events.json", dear), { status: "success", count: 62 });
  const any = { ...january, event_properties: [{ name: "Method", operator: "equals", value: ["Card", "Cash"] }] };
  assert.deepEqual(await ask("counts/events.json", any), { status: "success", count: 93 });
});

test("an event that was never seen counts as nothing", async () => {
  assert.deepEqual(await ask("counts/events.json", { ...january, event_name: "Never" }), { status: "success", count: 0 });
});

test("profiles are counted by what they did and who they are", async () => {
  assert.deepEqual(await ask("counts/profiles.json", january), { status: "success", count: 3 });
  const gold = { ...january, common_profile_properties: { profile_fields: [{ name: "Plan", value: "Gold" }] } };
  assert.deepEqual(await ask("counts/profiles.json", gold), { status: "success", count: 2 });
  const not = { ...january, event_name: "Opened", advanced_query: { did_not_all: [{ ...january }] } };
  assert.deepEqual(await ask("counts/profiles.json", not), { status: "success", count: 1 });
});

test("the most frequent values come with their counts, by group", async () => {
  const groups = { method: { property_type: "event_properties", name: "Method" }, plan: { property_type: "profile_fields", name: "Plan", top_n: 1 } };
  const answer = await ask("counts/top.json", { ...january, groups });
  assert.deepEqual(answer, { status: "success", method: { Card: 62, Cash: 31 }, plan: { Gold: 62 } });
  const refused = await ask("counts/top.json", { ...january, groups: { g: { property_type: "nothing", name: "x" } } }, 400);
  assert.match(refused.error, /Invalid group/);
});

test("trends are keyed by day, week of the year and month", async () => {
  const groups = { d: { trend_type: "daily" }, w: { trend_type: "weekly" }, m: { trend_type: "monthly" } };
  const answer = await ask("counts/trends.json", { ...january, to: 20260301, groups });
  assert.equal(answer.status, "success");
  assert.equal(Object.keys(answer.d).length, 60);
  assert.equal(answer.d["20260101"], 3);
  assert.equal(answer.w["202601"], 12); // Thursday to Sunday
  assert.equal(answer.w["202602"], 21);
  assert.deepEqual(answer.m, { 202601: 93, 202602: 84, 202603: 3 });
  const people = await ask("counts/trends.json", { ...january, unique: true, groups: { m: { trend_type: "monthly" } } });
  assert.deepEqual(people.m, { 202601: 3 });
  const sums = await ask("counts/trends.json", { ...january, sum_event_prop: "Amount", groups: { m: { trend_type: "monthly" } } });
  assert.deepEqual(sums.m, { 202601: 31 * 60 });
  await ask("counts/trends.json", { ...january, to: 20271231, groups }, 400);
});

test("a profile is found by each of its ids, and by exactly one", async () => {
  for (const [id, value] of [["identity", "u1"], ["email", "u1@example.org"], ["phone", "+919812345610"]]) {
    const { record } = await server.asCleverTap("GET", `/1/profile.json?${id}=${encodeURIComponent(value)}`, undefined, { status: 200 });
    assert.equal(record.identity, "u1", id);
    assert.equal(record.name, "Name 1");
    assert.equal(record.email, "u1@example.org");
    assert.equal(record.profileData.Plan, "Gold");
    assert.deepEqual(record.events.Charged, { count: 60, first_seen: JAN_1 + 3600, last_seen: JAN_1 + 59 * DAY_S + 3600 });
  }
  const { record } = await server.asCleverTap("GET", "/1/profile.json?objectId=device-9", undefined, { status: 200 });
  assert.deepEqual(record.platformInfo.map((p) => p.objectId), ["device-9"]);
  await server.asCleverTap("GET", "/1/profile.json?identity=nobody", undefined, { status: 404 });
  await server.asCleverTap("GET", "/1/profile.json?identity=u1&email=u1@example.org", undefined, { status: 400 });
  await server.asCleverTap("GET", "/1/profile.json", undefined, { status: 400 });
});

test("a question that can't be answered is refused by name, never answered in part", async () => {
  const answer = await ask("counts/events.json", { ...january, session_properties: [{ name: "geo", value: "x" }] }, 400);
  assert.match(answer.error, /session_properties/);
  await ask("counts/events.json", { ...january, from: 20261301 }, 400);
  await ask("counts/events.json", { from: 20260101, to: 20260131 }, 400);
});
