// One person, however she comes: devices, identities, logins, merges.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Server } from "./server.mjs";

let server;
before(async () => { server = await Server.start(); });
after(() => server.stop());

const events = (...list) => server.asClient("POST", "/v1/events", { events: list }, { status: 200 });

test("anonymous history joins at the first login", async () => {
  await events({ device_id: "phone-1", event: "Browsed" }, { device_id: "phone-1", event: "Browsed" });
  await server.asClient("POST", "/v1/identify", { device_id: "phone-1", identity: "asha" }, { status: 200 });
  await events({ identity: "asha", event: "Bought" });
  await server.countIs("Bought", 1);
  const user = await server.asClient("GET", "/v1/users/asha", undefined, { status: 200 });
  assert.deepEqual(user.events.map((e) => [e.name, e.count]).sort(), [["Bought", 1], ["Browsed", 2]]);
  assert.deepEqual((await server.rows("SELECT users() WHERE event IN ('Browsed', 'Bought')")), [[1]]);
});

test("two devices of one identity are one user", async () => {
  await events({ device_id: "tab-1", event: "Opened" }, { device_id: "tab-2", event: "Opened" });
  for (const device_id of ["tab-1", "tab-2"])
    await server.asClient("POST", "/v1/identify", { device_id, identity: "bina" }, { status: 200 });
  await server.countIs("Opened", 2);
  await events({ identity: "bina", event: "Opened" });
  await server.countIs("Opened", 3);
  const user = await server.asClient("GET", "/v1/users/bina", undefined, { status: 200 });
  const kinds = user.identities.map((i) => i.value).sort();
  assert.ok(kinds.includes("bina") && kinds.includes("tab-1"), JSON.stringify(kinds));
});

test("a merge moves history and profile, and the next question sees it", async () => {
  await events({ identity: "c1", event: "Merged" }, { identity: "c2", event: "Merged" });
  await server.asClient("POST", "/v1/profiles", { profiles: [{ identity: "c1", properties: { Plan: "Gold" } }] }, { status: 200 });
  await server.countIs("Merged", 2);
  assert.deepEqual(await server.rows("SELECT users() WHERE event = 'Merged'"), [[2]]);
  await server.asClient("POST", "/v1/users/merge", { from: "c1", into: "c2" });
  await events({ identity: "c2", event: "After Merge" });
  await server.countIs("After Merge", 1);
  assert.deepEqual(await server.rows("SELECT count(), users() WHERE event = 'Merged'"), [[2, 1]]);
  const user = await server.asClient("GET", "/v1/users/c1", undefined, { status: 200 });
  assert.equal(user.properties.Plan, "Gold");
});

test("the timeline pages through everything once, newest first", async () => {
  const many = Array.from({ length: 120 }, (_, i) => ({ identity: "dev", event: "Step", time: 1767225600000 + i * 1000, properties: { i } }));
  await events(...many);
  await server.countIs("Step", 120);
  const seen = [];
  let cursor;
  do {
    const page = await server.asClient("GET", `/v1/users/dev/events?limit=50${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`, undefined, { status: 200 });
    seen.push(...page.events.map((e) => e.properties.i));
    cursor = page.next_cursor;
  } while (cursor);
  assert.deepEqual(seen, many.map((e) => e.properties.i).reverse());
});
