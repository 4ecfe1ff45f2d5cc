// CleverTap's clients are answered by POST /1/upload as they expect it.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Server } from "./server.mjs";

let server;
before(async () => { server = await Server.start(); });
after(() => server.stop());

const event = (over = {}) => ({ type: "event", identity: "u1", evtName: "Product Viewed", evtData: { Price: 3 }, ...over });
const upload = (d, path = "/1/upload") => server.asCleverTap("POST", path, { d });

test("a mixed upload of a thousand records is taken whole", async () => {
  const d = Array.from({ length: 1000 }, (_, i) => i % 2
    ? event({ identity: `m${i}`, evtName: "Mixed" })
    : { type: "profile", identity: `m${i + 1}`, profileData: { Plan: "Gold" } });
  assert.deepEqual(await upload(d), { status: "success", processed: 1000, unprocessed: [] });
  await server.countIs("Mixed", 500);
});

test("a record more than a thousand refuses the whole upload", async () => {
  const answer = await upload(Array.from({ length: 1001 }, () => event({ evtName: "Too Many" })));
  assert.equal(answer.status, "fail");
  assert.deepEqual(await server.asClient("POST", "/v1/query", { cql: "SELECT count() WHERE event = 'Too Many'" }).then((a) => a.code ?? a.rows), 422);
});

test("one bad record is told with its code and echoed, the others are kept", async () => {
  const bad = { type: "event", identity: "u1", evtData: { revenue: 4.99 } };
  const answer = await upload([event({ evtName: "Kept" }), bad, event({ evtName: "Kept" })]);
  assert.equal(answer.status, "partial");
  assert.equal(answer.processed, 2);
  assert.equal(answer.unprocessed.length, 1);
  assert.equal(answer.unprocessed[0].code, 509);
  assert.deepEqual(answer.unprocessed[0].record, bad);
  await server.countIs("Kept", 2);
});

test("each broken rule has its own code", async () => {
  const cases = [
    [event({ type: "foo" }), 524],
    [{ type: "event", evtName: "X", evtData: {} }, 523],
    [event({ ts: "yesterday" }), 525],
    [event({ evtName: "Notification Sent" }), 513],
    [event({ evtData: [1] }), 512],
    [{ type: "profile", identity: "u1", profileData: { Gender: "X" } }, 514],
    [{ type: "profile", identity: "u1", profileData: { Email: "nobody" } }, 515],
    [{ type: "profile", identity: "u1", profileData: { Phone: "12" } }, 516],
    [{ type: "profile", identity: "u1", profileData: { Age: "old" } }, 520],
    [{ type: "token", objectId: "d1", tokenData: { type: "fcm" } }, 532],
  ];
  for (const [record, code] of cases) {
    const answer = await upload([record]);
    assert.equal(answer.unprocessed[0]?.code, code, JSON.stringify(record));
  }
});

test("names that differ in case and spaces are one event", async () => {
  await upload(["Sign Up", "signup", "SIGNUP"].map((evtName) => event({ evtName })));
  await server.countIs("Sign Up", 3);
});

test("a dry run answers like an upload and stores nothing", async () => {
  const answer = await upload([event({ evtName: "Dry" })], "/1/upload?dryRun=1");
  assert.deepEqual(answer, { status: "success", processed: 1, unprocessed: [] });
  await upload([event({ evtName: "Wet" })]);
  await server.countIs("Wet", 1);
  const found = await server.asClient("POST", "/v1/query", { cql: "SELECT count() WHERE event = 'Dry'" });
  assert.equal(found.code, 422);
});

test("wrong credentials are 401 in the shape that clients know", async () => {
  const answer = await server.json("POST", "/1/upload", { d: [event()] }, { status: 401, headers: { "x-clevertap-account-id": server.client.id, "x-clevertap-passcode": "wrong" } });
  assert.equal(answer.status, "fail");
  assert.equal(answer.code, 401);
});

test("profile operators change lists and numbers by the documented rules", async () => {
  const profile = (profileData) => upload([{ type: "profile", identity: "ops", profileData }]);
  await profile({ Points: { $incr: 5 }, Tags: "a" });
  await profile({ Points: { $decr: 2 }, Tags: { $add: ["b"] }, Gone: 1 });
  await profile({ Gone: { $delete: 1 }, Born: "$D_1767312000" });
  await upload([event({ identity: "ops", evtName: "Ops Done" })]);
  await server.countIs("Ops Done", 1);
  const answer = await server.asCleverTap("GET", "/1/profile.json?identity=ops", undefined, { status: 200 });
  assert.equal(answer.record.profileData.Points, 3);
  assert.deepEqual(answer.record.profileData.Tags, ["a", "b"]);
  assert.equal("Gone" in answer.record.profileData, false);
});
