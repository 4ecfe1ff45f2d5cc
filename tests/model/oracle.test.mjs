// oracle.test.mjs - the real data set and a random one give the same answers from Kolam, DuckDB and
// ClickHouse, where those can express the question.
//
// Traps: ClickHouse's windowFunnel lets one event satisfy two steps, so only funnels whose steps
// share no event type are compared; both engines count days in the zone they are told.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";

import { DuckDBInstance } from "@duckdb/node-api";

import { Driver } from "./driver.mjs";
import { Random } from "./random.mjs";

const { Session } = createRequire(import.meta.url)("chdb");
const DEMO = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "demo", "complete-journey");
const ZONE = "America/New_York";
const CHUNK = 4000;

let folder, driver, duck, house, instance;

function demoEvents() {
  return gunzipSync(readFileSync(join(DEMO, "events.ndjson.gz"))).toString().trim().split("\n")
    .map((line) => JSON.parse(line))
    .map((e) => ({ person: e.identity, event: e.evtName, time: e.ts * 1000, properties: e.evtData }));
}

// Events that the demo hasn't: dense, with ties, of few types.
function denseEvents() {
  const random = new Random(7);
  return Array.from({ length: 20000 }, () => ({
    person: `dense${random.below(400)}`,
    event: random.pick(["Seen", "Added", "Paid", "Opened"]),
    time: Date.parse("2018-03-01T00:00:00Z") + random.below(40 * 24 * 60) * 60000,
    properties: { Price: random.below(1000) / 4, Shelf: random.pick(["a", "b", "c"]) },
  }));
}

async function duckRows(sql) {
  const rows = (await duck.runAndReadAll(sql)).getRows();
  return rows.map((row) => row.map((v) => (typeof v === "bigint" ? Number(v) : v)));
}

function houseRows(sql) {
  const text = String(house.query(sql, "JSONCompactEachRow")).trim();
  const number = (v) => (typeof v === "string" && /^\d+$/.test(v) ? Number(v) : v);
  return text ? text.split("\n").map((line) => JSON.parse(line).map(number)) : [];
}

async function kolamRows(cql) {
  return (await driver.ask("cql", cql)).rows;
}

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "kolam-oracle-"));
  const events = [...demoEvents(), ...denseEvents()];
  driver = new Driver({ zone: ZONE, tail: 4096, flush: 32768, shards: 4 });
  await driver.ask("now", String(Date.parse("2018-06-01T00:00:00Z")));
  for (let i = 0; i < events.length; i += CHUNK) {
    const chunk = events.slice(i, i + CHUNK);
    const reply = await driver.ask("ingest", { events: chunk.map((e) => ({ identity: e.person, event: e.event, time: e.time, properties: e.properties })) });
    assert.equal(reply.processed, chunk.length);
  }
  const rows = events.map((e, seq) => JSON.stringify({
    seq, person: e.person, event: e.event, time: e.time, department: e.properties.Department ?? null,
    amount: e.properties.Amount ?? null, price: e.properties.Price ?? null, shelf: e.properties.Shelf ?? null,
  }));
  const file = join(folder, "events.ndjson");
  writeFileSync(file, rows.join("\n"));
  instance = await DuckDBInstance.create(":memory:", { threads: "2" });
  duck = await instance.connect();
  await duck.run(`create table e as select *, strftime(timezone('${ZONE}', make_timestamptz(time * 1000)), '%Y-%m-%d') as "day" from read_json('${file}', format='newline_delimited', columns={seq:'BIGINT', person:'VARCHAR', event:'VARCHAR', time:'BIGINT', department:'VARCHAR', amount:'DOUBLE', price:'DOUBLE', shelf:'VARCHAR'})`);
  house = new Session(join(folder, "house"));
  house.query("create database b engine=Atomic");
  house.query(`create table b.e engine=MergeTree order by (event, person, time) as select seq, person, event, time, department, amount, price, shelf, toDate(fromUnixTimestamp64Milli(time, '${ZONE}')) as day from file('${file}', 'JSONEachRow', 'seq Int64, person String, event String, time Int64, department Nullable(String), amount Nullable(Float64), price Nullable(Float64), shelf Nullable(String)')`);
});

after(async () => {
  house?.cleanup?.();
  duck?.closeSync?.();
  instance?.closeSync?.();
  await driver?.close();
  rmSync(folder, { recursive: true, force: true });
});

const nonZero = (rows) => rows.filter((row) => row[row.length - 1] !== 0 && row[row.length - 1] !== null);
const sorted = (rows) => rows.map((row) => JSON.stringify(row.map((v) => (typeof v === "number" ? Number(v.toPrecision(9)) : v)))).sort();

test("events and users of every day are counted alike by three engines", async () => {
  for (const event of ["Item Purchased", "Campaign Received", "Seen"]) {
    const kolam = await kolamRows(`SELECT count(), users() WHERE event = '${event}' GROUP BY day`);
    const sql = `select cast("day" as varchar), count(*), count(distinct person) from %T where event = '${event}' group by 1`;
    assert.deepEqual(sorted(nonZero(kolam)), sorted(await duckRows(sql.replace("%T", "e"))));
    assert.deepEqual(sorted(nonZero(kolam)), sorted(houseRows(sql.replace("%T", "b.e").replace("cast(\"day\" as varchar)", "toString(day)"))));
  }
});

test("sums and users by a property, its absence too, agree", async () => {
  const kolam = await kolamRows("SELECT count(), users(), sum(Amount) WHERE event = 'Item Purchased' GROUP BY Department");
  const sql = "select department, count(*), count(distinct person), sum(amount) from %T where event = 'Item Purchased' group by 1";
  assert.deepEqual(sorted(kolam), sorted(await duckRows(sql.replace("%T", "e"))));
  assert.deepEqual(sorted(kolam), sorted(houseRows(sql.replace("%T", "b.e"))));
});

test("the ten most frequent values agree", async () => {
  const kolam = await kolamRows("SELECT count() WHERE event = 'Item Purchased' AND Department EXISTS GROUP BY Department ORDER BY count() DESC LIMIT 10");
  const duckTop = await duckRows("select department, count(*) c from e where event = 'Item Purchased' and department is not null group by 1 order by c desc limit 10");
  assert.deepEqual(kolam.map((r) => r[1]), duckTop.map((r) => r[1]));
});

test("users of a range are counted anew, and agree", async () => {
  const kolam = await kolamRows("SELECT users() WHERE event = 'Item Purchased' SINCE '2017-03-05' UNTIL '2017-07-19'");
  const sql = "select count(distinct person) from e where event = 'Item Purchased' and \"day\" >= '2017-03-05' and \"day\" < '2017-07-19'";
  assert.deepEqual(kolam, await duckRows(sql));
});

// Step by step: who did step i + 1 within the window of the latest start that had reached step i.
function duckFunnel(steps, windowMs) {
  const first = `s1 as (select person u, time t, time st from e where event = '${steps[0]}')`;
  const later = steps.slice(1).map((event, i) =>
    `s${i + 2} as (select b.person u, b.time t, max(a.st) st from e b join s${i + 1} a on a.u = b.person and b.time >= a.t and b.time - a.st <= ${windowMs} where b.event = '${event}' group by 1, 2)`);
  const counts = steps.map((_, i) => `(select count(distinct u) from s${i + 1})`);
  return `with ${[first, ...later].join(", ")} select ${counts.join(", ")}`;
}

function houseFunnel(steps, windowMs) {
  const list = steps.map((event) => `event = '${event}'`);
  const counts = steps.map((_, i) => `countIf(level >= ${i + 1})`);
  return `select ${counts.join(", ")} from (select person, windowFunnel(${windowMs})(toUInt64(time), ${list.join(", ")}) level from b.e where ${list.join(" or ")} group by person)`;
}

const FUNNELS = [
  [["Campaign Received", "Coupon Redeemed", "Item Purchased"], 30, "30 days"],
  [["Seen", "Added", "Paid"], 1, "1 day"],
  [["Opened", "Paid"], 2, "2 days"],
  [["Paid", "Opened", "Seen", "Added"], 7, "7 days"],
];

test("funnels on real and on dense data agree", async () => {
  for (const [steps, days, within] of FUNNELS) {
    const answer = await driver.ask("cql", `FUNNEL ${steps.map((s) => `'${s}'`).join(" THEN ")} WITHIN ${within}`);
    const users = answer.rows.map((row) => row[answer.columns.findIndex((c) => c.name === "users")]);
    assert.deepEqual(users, (await duckRows(duckFunnel(steps, days * 86400000)))[0]);
    assert.deepEqual(users, houseRows(houseFunnel(steps, days * 86400000))[0]);
  }
});

// The first five events of each person from the first start on, numbered along, and counted by prefix.
function duckFlow(start, steps) {
  const walk = `first as (select person u, min(seq_order) o from ordered where event = '${start}' group by 1), steps as (select u, string_agg(event, '>' order by seq_order) filter (where seq_order - o <= ${steps}) p from ordered join first on u = person where seq_order >= o group by 1)`;
  return `with ordered as (select person, event, row_number() over (partition by person order by time, seq) seq_order from e), ${walk} select p, count(*) from steps group by 1`;
}

// A user's whole path ends at the row where they dropped out, or at the last step.
function flowEnds(rows, steps) {
  const ends = rows.map(([path, depth, users, dropped]) => [path.join(">"), depth === steps ? users : dropped]);
  return ends.filter((row) => row[1] > 0);
}

test("flows agree, whole paths and every prefix of them", async () => {
  for (const [start, steps] of [["Seen", 3], ["Campaign Received", 2], ["Item Purchased", 1]]) {
    const kolam = await kolamRows(`FLOW FROM '${start}' STEPS ${steps} LIMIT 100000`);
    assert.deepEqual(sorted(flowEnds(kolam, steps)), sorted(await duckRows(duckFlow(start, steps))));
    for (const [path, depth, users, dropped] of kolam.filter((row) => row[1] < steps)) {
      const below = kolam.filter((row) => row[1] === depth + 1 && path.every((name, i) => row[0][i] === name));
      assert.equal(users, dropped + below.reduce((sum, row) => sum + row[2], 0));
    }
  }
});

test("daily retention agrees", async () => {
  const answer = await driver.ask("cql", "RETENTION OF FIRST 'Seen' RETURNING 'Paid' DAILY FOR 10 SINCE '2018-03-01' UNTIL '2018-04-10'");
  const at = Object.fromEntries(answer.columns.map((c, i) => [c.name, i]));
  const kolam = answer.rows.filter((r) => r[at.cohort] !== null && r[at.users] > 0)
    .map((r) => [r[at.cohort].slice(0, 10), r[at.k], r[at.users]]);
  const sql = `with f as (select person, min("day") c from e where event = 'Seen' group by 1), p as (select distinct person, "day" d from e where event = 'Paid') select f.c, cast(date_diff('day', f.c::date, p.d::date) as int) k, count(*) from f join p using (person) where f.c >= '2018-03-01' and k between 0 and 9 group by 1, 2`;
  assert.deepEqual(sorted(kolam), sorted(await duckRows(sql)));
});

test("segments by count, by sum and by absence agree", async () => {
  const ask = async (condition) => (await kolamRows(`SEGMENT ${condition}`))[0][0];
  const count = async (sql) => (await duckRows(sql))[0][0];
  assert.equal(await ask("DID 'Item Purchased' COUNT >= 40 SINCE '2017-06-01'"),
    await count("select count(*) from (select person from e where event = 'Item Purchased' and \"day\" >= '2017-06-01' group by 1 having count(*) >= 40)"));
  assert.equal(await ask("DID 'Item Purchased' SUM(Amount) > 100"),
    await count("select count(*) from (select person from e where event = 'Item Purchased' group by 1 having sum(amount) > 100)"));
  assert.equal(await ask("DID 'Campaign Received' AND NOT DID 'Coupon Redeemed'"),
    await count("select count(distinct person) from e where event = 'Campaign Received' and person not in (select person from e where event = 'Coupon Redeemed')"));
});

test("after compaction and after a kill all of this is still so", async () => {
  const questions = [
    "SELECT count(), users() WHERE event = 'Item Purchased' GROUP BY month",
    "FUNNEL 'Seen' THEN 'Added' THEN 'Paid' WITHIN 1 day",
    "FLOW FROM 'Seen' STEPS 4 LIMIT 100000", "FLOW TO 'Paid' WHERE Price > 100 STEPS 3 WITHIN 2 days EXPAND 'Seen' BY Shelf COLLAPSE",
    "RETENTION OF FIRST 'Item Purchased' RETURNING 'Item Purchased' MONTHLY FOR 12 SINCE '2017-01-01'",
  ];
  const beforeAll = [];
  for (const question of questions) beforeAll.push(await kolamRows(question));
  for (const state of ["settle", "kill", "reopen"]) {
    await driver.ask(state);
    for (const [i, question] of questions.entries())
      assert.deepEqual(await kolamRows(question), beforeAll[i], `${question} after ${state}`);
  }
});
