// kolam demo: the real data, exact answers, reports that are there, and a second start at once.

import assert from "node:assert/strict";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";

import { Server, kolam, temporaryFolder } from "./server.mjs";

const DATA = fileURLToPath(new URL("../../demo/complete-journey", import.meta.url));
const DAY_MS = 86400000;

const lines = (name) => gunzipSync(readFileSync(join(DATA, name))).toString().trimEnd().split("\n").map((line) => JSON.parse(line));
const folder = temporaryFolder();
let events;
let demo;
let firstMs;

// Starts the demo and signs in with its link.
async function start() {
  demo = new Server({ command: "demo", folder });
  const began = performance.now();
  await demo.launch();
  while (!/signin\?ticket=/.test(demo.output)) {
    if (demo.status !== undefined) throw new Error(demo.output);
    await new Promise((resolve) => demo.process.stdout.once("data", resolve));
  }
  const took = performance.now() - began;
  const link = /(http:\/\/127\.0\.0\.1:\d+)\/signin\?ticket=([\w.~-]+)/.exec(demo.output);
  assert.equal(link[1], demo.url);
  const session = await demo.json("POST", "/v1/session", { ticket: link[2] }, { status: 200 });
  demo.csrf = session.csrf_token;
  demo.project = session.organisations[0].projects.find((p) => p.name === "Complete Journey").id;
  demo.ticket = link[2];
  return took;
}
const ask = (question) => demo.asOwner("POST", "/v1/query", question, { status: 200 });
const rows = async (cql) => (await ask({ cql })).rows;

before(async () => {
  events = lines("events.ndjson.gz");
  firstMs = await start();
});
after(async () => {
  await demo.stop();
  rmSync(folder, { recursive: true, force: true });
});

test("all of the data is there, to the event and the household", async () => {
  assert.deepEqual(await rows("SELECT count(), users()"), [[83691, 2379]]);
  const counts = { "Campaign Received": [], "Coupon Redeemed": [], "Item Purchased": [] };
  for (const event of events) counts[event.evtName].push(event);
  for (const [name, list] of Object.entries(counts))
    assert.deepEqual(await rows(`SELECT count(), users() WHERE event = '${name}'`), [[list.length, new Set(list.map((e) => e.identity)).size]], name);
  const amount = events.reduce((sum, e) => sum + Math.round((e.evtData.Amount ?? 0) * 100), 0);
  assert.equal(Math.round((await rows("SELECT sum(Amount)"))[0][0] * 100), amount);
});

test("the link works once", async () => {
  await demo.json("POST", "/v1/session", { ticket: demo.ticket }, { status: 401 });
});

test("the saved reports are there and are answered", async () => {
  const { reports } = await demo.asOwner("GET", "/v1/reports", undefined, { status: 200 });
  assert.deepEqual(new Set(reports.map((r) => r.kind)), new Set(["trends", "funnel", "retention", "timeline"]));
  for (const report of reports) {
    const answer = await ask({ query: report.query });
    assert.ok(answer.rows.length > 0, report.name);
    assert.deepEqual(answer.meta.warnings, [], report.name);
  }
});

// The week's Monday in New York: the shops' time zone.
const local = new Intl.DateTimeFormat("en-CA", { timeZone: "America/New_York", year: "numeric", month: "2-digit", day: "2-digit" });
const dayOf = (ts) => local.format(ts * 1000);
function weekOf(ts) {
  const day = new Date(`${dayOf(ts)}T00:00:00Z`);
  return new Date(day.getTime() - ((day.getUTCDay() + 6) % 7) * DAY_MS).toISOString().slice(0, 10);
}
const report = async (kind) => {
  const { reports } = await demo.asOwner("GET", "/v1/reports", undefined, { status: 200 });
  return ask({ query: reports.find((r) => r.kind === kind).query });
};

test("purchases by week and department are as a recount of the file", async () => {
  const expected = new Map();
  for (const e of events) {
    const day = dayOf(e.ts);
    if (e.evtName !== "Item Purchased" || day < "2017-01-01" || day >= "2018-01-01") continue;
    const key = `${weekOf(e.ts)} ${e.evtData.Department ?? null}`;
    expected.set(key, (expected.get(key) ?? 0) + 1);
  }
  const answer = await report("trends");
  const got = new Map(answer.rows.filter((row) => row[2] > 0).map(([week, department, count]) => [`${String(week).slice(0, 10)} ${department}`, count]));
  assert.deepEqual([...got].sort(), [...expected].sort());
});

test("the funnel is as a recount of the file", async () => {
  const users = new Map();
  for (const e of events) {
    if (!users.has(e.identity)) users.set(e.identity, []);
    users.get(e.identity).push(e);
  }
  const steps = ["Campaign Received", "Coupon Redeemed", "Item Purchased"];
  const reached = [0, 0, 0];
  for (const list of users.values()) {
    let best = 0;
    for (const first of list.filter((e) => e.evtName === steps[0])) {
      let at = first.ts;
      let depth = 1;
      for (let step = 1; step < 3; step++) {
        const times = list.filter((e) => e.evtName === steps[step] && e.ts >= at && e.ts < first.ts + 30 * 86400).map((e) => e.ts);
        if (!times.length) break;
        at = Math.min(...times);
        depth++;
      }
      best = Math.max(best, depth);
    }
    for (let step = 0; step < best; step++) reached[step]++;
  }
  const answer = await report("funnel");
  const column = answer.columns.findIndex((c) => c.name === "users");
  assert.deepEqual(answer.rows.map((row) => row[column]), reached);
});

test("one household's timeline is its events, newest first or last, all of them", async () => {
  const answer = await report("timeline");
  const hers = events.filter((e) => e.identity === "1");
  assert.equal(answer.rows.length, Math.min(hers.length, 200));
});

test("a second start is quick, loads nothing again, and signs in again", async () => {
  assert.equal(await demo.stop(), 0);
  const took = await start();
  assert.ok(took < Math.max(2000, firstMs / 2), `${took} ms after ${firstMs} ms`);
  assert.doesNotMatch(demo.output, /Loading/);
  assert.deepEqual(await rows("SELECT count(), users()"), [[83691, 2379]]);
});

test("a stop leaves a good folder", async () => {
  assert.equal(await demo.stop(), 0);
  const checked = await kolam(["check", "--deep", "--data", folder]);
  assert.equal(checked.status, 0, checked.stdout + checked.stderr);
  await start();
});
