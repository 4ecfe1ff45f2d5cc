// A project's settings: told, changed all or none, kept, and in force for what comes after.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { kolam, Server } from "./server.mjs";

let server;
before(async () => { server = await Server.start({}); });
after(() => server.stop());

const change = (body, status = 200) => server.asOwner("PATCH", "/v1/settings", body, { status });
const settings = () => server.asOwner("GET", "/v1/settings", undefined, { status: 200 });

test("defaults are told, with the most that a limit can be", async () => {
  const told = await settings();
  assert.equal(told.join_existing, false);
  assert.equal(told.dedup_days, 7);
  assert.deepEqual(told.discarded_events, []);
  assert.equal(told.limits.properties_per_event.value, 256);
  for (const limit of Object.values(told.limits)) assert.ok(limit.most >= limit.value);
});

test("a change holds at once, and after a kill", async () => {
  const told = await change({ dedup_days: 30, join_existing: true, limits: { properties_per_event: 2 } });
  assert.equal(told.dedup_days, 30);
  const three = { identity: "u", event: "Wide", properties: { a: 1, b: 2, c: 3 } };
  const two = { identity: "u", event: "Wide", properties: { a: 1, b: 2 } };
  const answer = await server.asClient("POST", "/v1/events", [three, two], { status: 200 });
  assert.equal(answer.processed, 1);
  assert.equal(answer.unprocessed.length, 1);
  assert.equal(answer.unprocessed[0].index, 0);
  await server.countIs("Wide", 1);
  await server.kill();
  await server.launch();
  const again = await settings();
  assert.equal(again.join_existing, true);
  assert.equal(again.limits.properties_per_event.value, 2);
  await change({ limits: { properties_per_event: 256 } });
});

test("one bad value, and nothing is changed; the error says which", async () => {
  const cases = [
    [{ dedup_days: 3, limits: { event_types: 0 } }, "/limits/event_types"],
    [{ dedup_days: 3, limits: { nonsense: 5 } }, "/limits/nonsense"],
    [{ dedup_days: 3, limits: { event_types: "many" } }, "/limits/event_types"],
    [{ join_existing: false, dedup_days: 366 }, "/dedup_days"],
    [{ dedup_days: 3, discarded_events: [7] }, "/discarded_events"],
    [{ dedup_days: 3, discard: [] }, "/discard"],
  ];
  const before = await settings();
  for (const [body, pointer] of cases) {
    const answer = await change(body, 422);
    assert.equal(answer.details.pointer, pointer, JSON.stringify(body));
  }
  assert.deepEqual(await settings(), before);
});

test("a discarded event is refused with a reason until it is taken off the list", async () => {
  const told = await change({ discarded_events: ["Noise", "Hum"] });
  assert.deepEqual(told.discarded_events.sort(), ["Hum", "Noise"]);
  const body = [{ identity: "u", event: "Noise" }, { identity: "u", event: "Signal" }];
  const refused = await server.asClient("POST", "/v1/events", body, { status: 200 });
  assert.equal(refused.processed, 1);
  assert.match(refused.unprocessed[0].error, /discarded/);
  await change({ discarded_events: ["Hum"] });
  const taken = await server.asClient("POST", "/v1/events", body, { status: 200 });
  assert.equal(taken.processed, 2);
  await server.countIs("Noise", 1);
  await server.countIs("Signal", 2);
});

test("the command line shows and changes them on a folder that no server uses", async () => {
  server.process.kill("SIGTERM");
  assert.equal(await server.exited, 0);
  server.status = undefined;
  const where = ["--data", server.folder, "--project", server.project];
  const set = await kolam(["admin", "project", "set", ...where, "dedup_days", "14"]);
  assert.equal(set.status, 0, set.stderr);
  const wrong = await kolam(["admin", "project", "set", ...where, "limit.event_types", "lots"]);
  assert.notEqual(wrong.status, 0);
  assert.match(wrong.stderr, /limit\.event_types: a limit is a whole number/);
  const shown = await kolam(["admin", "project", "show", ...where]);
  assert.match(shown.stdout, /^dedup_days +14$/m);
  assert.match(shown.stdout, /^join_existing +true$/m);
  await server.launch();
  assert.equal((await settings()).dedup_days, 14);
});
