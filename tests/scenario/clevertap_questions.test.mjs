// CleverTap's read APIs answer from the same store, in the shapes that their clients expect.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Server } from "./server.mjs";

let server;
const at = (day, hour = 12) => Date.UTC(2026, 0, day, hour) / 1000;

before(async () => {
  server = await Server.start();
  const records = [];
  for (let user = 0; user < 30; user++) {
    records.push({ type: "profile", identity: `u${user}`, profileData: { Plan: user % 3 ? "free" : "gold", Name: `User ${user}` } });
    for (let day = 1; day <= 5; day++)
      records.push({ type: "event", identity: `u${user}`, ts: at(day), evtName: "Product Viewed", evtData: { Price: user * 10, Category: user % 2 ? "books" : "toys" } });
  }
  for (let user = 0; user < 10; user++)
    records.push({ type: "event", identity: `u${user}`, ts: at(3, 15), evtName: "Charged", evtData: { Amount: 100 + user, Paid: true, Items: [{ Category: "books" }, { Category: "toys" }] } });
  await server.asCleverTap("POST", "/1/upload", { d: records }, { status: 200 });
  await server.countIs("Charged", 10);
});
after(() => server.stop());

const range = { from: 20260101, to: 20260131 };
const ask = (path, body, status = 200) => server.asCleverTap("POST", path, body, { status });

test("events are counted in the days asked for, their filters hold, their names need no case", async () => {
  assert.deepEqual(await ask("/1/counts/events.json", { event_name: "product viewed", ...range }), { status: "success", count: 150 });
  assert.equal((await ask("/1/counts/events.json", { event_name: "Product Viewed", from: 20260102, to: 20260103 })).count, 60);
  assert.equal((await ask("/1/counts/events.json", { event_name: "Never Seen", ...range })).count, 0);
  const filtered = { event_name: "Product Viewed", ...range, event_properties: [{ name: "Price", operator: "greater_than", value: 200 }, { name: "Category", operator: "equals", value: ["books", "games"] }] };
  assert.equal((await ask("/1/counts/events.json", filtered)).count, 5 * 5);
  const paid = { event_name: "Charged", ...range, event_properties: [{ name: "Paid", operator: "equals", value: "True" }] };
  assert.equal((await ask("/1/counts/events.json", paid)).count, 10);
  const without = { event_name: "Product Viewed", ...range, event_properties: [{ name: "Category", operator: "does_not_contain", value: "ook" }] };
  assert.equal((await ask("/1/counts/events.json", without)).count, 75);
});

test("profiles are counted by what they did, did not, and are", async () => {
  const gold = { profile_fields: [{ name: "Plan", operator: "equals", value: "gold" }] };
  assert.equal((await ask("/1/counts/profiles.json", { event_name: "Product Viewed", ...range })).count, 30);
  assert.equal((await ask("/1/counts/profiles.json", { event_name: "Product Viewed", ...range, common_profile_properties: gold })).count, 10);
  assert.equal((await ask("/1/counts/profiles.json", { event_name: "Product Viewed", ...range, common_profile_properties: gold, advanced_query: { did_all: [{ event_name: "Charged", ...range }] } })).count, 4);
  assert.equal((await ask("/1/counts/profiles.json", { event_name: "Product Viewed", ...range, advanced_query: { did_not_all: [{ event_name: "Charged", ...range }] } })).count, 20);
  assert.equal((await ask("/1/counts/profiles.json", { event_name: "-1", ...range })).count, 30);
});

test("the most frequent values and trends come by group", async () => {
  const top = await ask("/1/counts/top.json", { event_name: "Product Viewed", ...range, groups: { a: { property_type: "event_properties", name: "Category" }, b: { property_type: "profile_fields", name: "Plan", top_n: 1 } } });
  assert.deepEqual(top, { status: "success", a: { books: 75, toys: 75 }, b: { free: 100 } });
  const trends = await ask("/1/counts/trends.json", { event_name: "Charged", ...range, unique: false, sum_event_prop: "Amount", groups: { d: { trend_type: "daily" }, w: { trend_type: "weekly" }, m: { trend_type: "monthly" } } });
  assert.equal(trends.d["20260103"], 1045);
  assert.equal(trends.w["202601"], 1045);
  assert.equal(trends.m["202601"], 1045);
});

test("what can't be asked is refused by name, never left out", async () => {
  const base = { event_name: "Charged", ...range };
  const cases = [
    ["/1/counts/events.json", { ...base, session_properties: [{ name: "time_of_day", value: ["00:00", "14:00"] }] }, /session_properties/],
    ["/1/counts/profiles.json", { ...base, common_profile_properties: { geo_fields: [["India"]] } }, /geo_fields/],
    ["/1/counts/profiles.json", { ...base, advanced_query: { did_any: [] } }, /did_any/],
    ["/1/counts/events.json", { ...base, event_properties: [{ name: "Amount", operator: "near", value: 1 }] }, /near/],
    ["/1/counts/events.json", { event_name: "Charged", from: 20260230, to: 20260301 }, /from and to/],
    ["/1/counts/events.json", { event_name: "Charged" }, /needed/],
    ["/1/counts/top.json", { ...base, groups: { g: { property_type: "technographics", name: "os" } } }, /Invalid group/],
    ["/1/counts/trends.json", { ...base, groups: { g: { trend_type: "hourly" } } }, /Invalid group/],
  ];
  for (const [path, body, words] of cases) {
    const answer = await ask(path, body, 400);
    assert.equal(answer.status, "fail");
    assert.match(answer.error, words);
  }
});

async function pages(path, body, query) {
  let { cursor } = await ask(`${path}?${query}`, body);
  const records = [];
  let count = 0;
  while (cursor) {
    const page = await server.asCleverTap("GET", `${path}?cursor=${cursor}`, undefined, { status: 200 });
    records.push(...page.records);
    cursor = page.next_cursor;
    count++;
  }
  return { records, count };
}

test("a cursor over events gives each once, also while others come in", async () => {
  const body = { event_name: "Product Viewed", ...range, event_properties: [{ name: "Category", operator: "equals", value: "toys" }] };
  let { cursor } = await ask("/1/events.json?batch_size=20&profile=true", body);
  const seen = [];
  while (cursor) {
    const page = await server.asCleverTap("GET", `/1/events.json?cursor=${cursor}`, undefined, { status: 200 });
    seen.push(...page.records.map((r) => `${r.profile.identity} ${r.ts} ${r.event_props.Price}`));
    assert.ok(page.records.every((r) => r.profile.profileData.Plan && r.event_props.Category === "toys"));
    await server.asCleverTap("POST", "/1/upload", { d: [{ type: "event", identity: "u0", ts: at(2), evtName: "Product Viewed", evtData: { Category: "toys", Price: 999 } }] }, { status: 200 });
    cursor = page.next_cursor;
  }
  assert.equal(seen.length, 75);
  assert.equal(new Set(seen).size, 75);
  assert.ok(seen.includes("u2 20260103120000 20"));
});

test("an event's items come with it", async () => {
  const { records } = await pages("/1/events.json", { event_name: "Charged", ...range }, "batch_size=4");
  assert.equal(records.length, 10);
  assert.deepEqual(records[0].event_props.Items, [{ Category: "books" }, { Category: "toys" }]);
});

test("a cursor over profiles gives each once", async () => {
  const { records, count } = await pages("/1/profiles.json", { event_name: "Charged", ...range }, "batch_size=3&events=true");
  assert.equal(count, 4);
  assert.deepEqual(new Set(records.map((r) => r.identity)), new Set(Array.from({ length: 10 }, (_, i) => `u${i}`)));
  assert.equal(records[0].events.Charged.count, 1);
  assert.equal(records[0].name, `User ${records[0].identity.slice(1)}`);
});

test("one profile is found by exactly one of its ids", async () => {
  const { record } = await server.asCleverTap("GET", "/1/profile.json?identity=u3", undefined, { status: 200 });
  assert.equal(record.name, "User 3");
  assert.deepEqual(record.events["Product Viewed"], { count: 5, first_seen: at(1), last_seen: at(5) });
  await server.asCleverTap("GET", "/1/profile.json?identity=u3&email=x", undefined, { status: 400 });
  await server.asCleverTap("GET", "/1/profile.json?identity=nobody", undefined, { status: 404 });
});
