// A cursor leads through everything exactly once, whatever is written meanwhile.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Server } from "./server.mjs";

const USERS = 50;
const EVENTS = 1000;
const JAN_1 = 1767225600;
const question = { event_name: "Walked", from: 20260101, to: 20260131 };

let server;
before(async () => {
  server = await Server.start({ args: ["--reads-max", "10"] });
  const d = Array.from({ length: EVENTS }, (_, n) => ({
    type: "event", identity: `u${n % USERS}`, ts: JAN_1 + (n * 7919) % 86400, evtName: "Walked", evtData: { n } }));
  await server.asCleverTap("POST", "/1/upload", { d }, { status: 200 });
  await server.countIs("Walked", EVENTS);
});
after(() => server.stop());

// All records of a cursor, with more being written between its pages: for the same users, before
// and after what was told, and for new ones.
async function walk(path, batch, flags = "") {
  const first = await server.asCleverTap("POST", `/1/${path}?batch_size=${batch}${flags}`, question, { status: 200 });
  assert.equal(first.status, "success");
  const records = [];
  let pages = 0;
  for (let cursor = first.cursor; cursor; pages++) {
    await server.asCleverTap("POST", "/1/upload", { d: [0, 1, 2].map((n) => ({
      type: "event", identity: n === 2 ? `new-${path}-${pages}` : `u${(pages * 2 + n) % USERS}`, ts: JAN_1 + n * 40000 + pages, evtName: "Walked", evtData: { late: true } })) }, { status: 200 });
    const page = await server.asCleverTap("GET", `/1/${path}?cursor=${cursor}`, undefined, { status: 200 });
    assert.ok(page.records.length <= batch);
    records.push(...page.records);
    cursor = page.next_cursor;
  }
  assert.ok(pages > 3, `${pages} pages`);
  return records;
}

test("events come each once, in a fixed order, without those that came later", async () => {
  const records = await walk("events.json", 37, "&profile=true");
  assert.equal(records.length, EVENTS);
  assert.deepEqual(records.map((r) => r.event_props.n).sort((a, b) => a - b), Array.from({ length: EVENTS }, (_, n) => n));
  for (const record of records) {
    assert.equal(record.profile.identity, `u${record.event_props.n % USERS}`);
    assert.equal(Math.floor(record.ts / 1e6), 20260101);
  }
});

test("profiles come each once", async () => {
  const records = await walk("profiles.json", 9, "&events=true");
  const known = records.map((r) => r.identity).filter((identity) => !identity.startsWith("new-"));
  assert.equal(known.length, USERS);
  assert.equal(new Set(records.map((r) => r.identity)).size, records.length);
  assert.ok(records.every((r) => r.events.Walked.count > 0));
});

test("a cursor is good for its own call and project only, and can't be made up", async () => {
  const { cursor } = await server.asCleverTap("POST", "/1/events.json?batch_size=10", question, { status: 200 });
  await server.asCleverTap("GET", `/1/profiles.json?cursor=${cursor}`, undefined, { status: 400 });
  const changed = cursor.slice(0, 20) + (cursor[20] === "A" ? "B" : "A") + cursor.slice(21);
  await server.asCleverTap("GET", `/1/events.json?cursor=${changed}`, undefined, { status: 400 });
  const other = await server.asOwner("POST", "/v1/projects", { name: "Other", time_zone: "UTC" }, { status: 201 });
  const key = await server.json("POST", "/v1/api-clients", { name: "other", scopes: ["people"] },
    { status: 201, headers: { cookie: server.cookie, "x-csrf-token": server.csrf, "x-kolam-project": other.id } });
  await server.json("GET", `/1/events.json?cursor=${cursor}`, undefined, { status: 400, headers: { "x-clevertap-account-id": key.id, "x-clevertap-passcode": key.secret } });
});

test("a page asks for what a page may hold", async () => {
  await server.asCleverTap("POST", "/1/events.json?batch_size=5001", question, { status: 400 });
  await server.asCleverTap("POST", "/1/events.json?batch_size=0", question, { status: 400 });
});
