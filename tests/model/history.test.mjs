// history.test.mjs - random histories give the same answers from the slow model and from the store
// in each of its physical states: in the tail, sealed, flushed, compacted, patched, reopened, and
// recovered after a kill.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Driver } from "./driver.mjs";
import * as model from "./model.mjs";
import * as make from "./random.mjs";

const HISTORIES = Number(process.env.HISTORIES ?? 60);
const FIRST_SEED = Number(process.env.SEED ?? 1);
const ROUNDS = 6;
const ZONES = ["UTC", "America/New_York", "Asia/Kolkata"];

// Rows in an order of their own, numbers to nine digits: sums of doubles depend on their order.
function canonical(rows) {
  const number = (v) => (typeof v === "number" ? Number(v.toPrecision(9)) : v);
  return rows.map((row) => JSON.stringify(row.map(number))).sort();
}

const withItems = ({ properties, items }) => (items.length ? { ...properties, Items: items } : properties);

async function checkSelect(driver, history, query) {
  const answer = await driver.ask("query", query);
  const keys = query.group_by?.length ?? 0;
  // Buckets of time in which nothing happened may be there, with nothing in them.
  const isEmpty = (row) => keys > 0 && row.slice(keys).every((v) => v === 0 || v === null);
  const expected = model.select(history, query);
  assert.deepEqual(canonical(answer.rows.filter((r) => !isEmpty(r))), canonical(expected.filter((r) => !isEmpty(r))));
}

async function checkFunnel(driver, history, query) {
  const answer = await driver.ask("query", query);
  const keys = query.by?.length ?? 0;
  const users = answer.columns.findIndex((c) => c.name === "users");
  const told = answer.rows.map((row) => [...row.slice(0, keys + 1), row[users]]);
  assert.deepEqual(canonical(told), canonical(model.funnel(history, query)));
}

async function checkRetention(driver, history, query) {
  const answer = await driver.ask("query", query);
  const at = Object.fromEntries(answer.columns.map((c, i) => [c.name, i]));
  const keys = query.by?.length ?? 0;
  const told = answer.rows.filter((row) => row[keys] !== null).map((row) => // not those over all cohorts
    [...row.slice(0, keys + 4), ...(query.sum ? [row[at.sum]] : [])]);
  assert.deepEqual(canonical(told), canonical(model.retention(history, query)));
}

async function checkSegment(driver, history, query) {
  const answer = await driver.ask("query", query);
  assert.equal(answer.rows[0][answer.rows[0].length - 1], model.segment(history, query).length);
}

async function checkTimeline(driver, history, query) {
  const answer = await driver.ask("query", query);
  const at = Object.fromEntries(answer.columns.map((c, i) => [c.name, i]));
  const told = answer.rows.map((row) => [Date.parse(row[at.time]), row[at.event], row[at.properties]]);
  const expected = model.timeline(history, query).map((e) => [e.time, e.event, withItems(e)]);
  told.reverse(); // newest first
  assert.deepEqual(told, expected);
}

// Row for row: the order is part of the answer.
async function checkFlow(driver, history, query) {
  const answer = await driver.ask("query", query);
  assert.deepEqual(answer.columns.map((c) => c.name), ["path", "depth", "users", "dropped"]);
  assert.deepEqual(answer.rows, model.flow(history, query));
}

const CHECKS = [
  [make.randomSelect, checkSelect, 4],
  [make.randomFunnel, checkFunnel, 3],
  [make.randomRetention, checkRetention, 2],
  [make.randomSegment, checkSegment, 3],
  [make.randomFlow, checkFlow, 4],
  [make.randomTimeline, checkTimeline, 1],
];

async function changeHistory(random, driver, history) {
  const events = make.randomEvents(random, random.below(14));
  for (const event of events) history.add(event);
  if (events.length) {
    const body = { events: events.map((e) => ({ identity: e.person, event: e.event, time: e.time, properties: withItems(e) })) };
    const reply = await driver.ask("ingest", body);
    assert.equal(reply.processed, events.length);
  }
  if (random.chance(0.4)) {
    const person = random.pick(make.PEOPLE);
    const profile = make.randomProfile(random);
    // After a merge, whose value wins is the identity module's own test.
    if (Object.keys(profile).length && !history.leads.has(person) && ![...history.leads.values()].includes(person)) {
      history.profiles.set(person, { ...history.profiles.get(person), ...profile });
      history.seq++;
      await driver.ask("profiles", { profiles: [{ identity: person, properties: profile }] });
    }
  }
  const known = new Set(history.events.map((e) => e.person));
  if (random.chance(0.15)) {
    const [from, into] = [random.pick(make.PEOPLE), random.pick(make.PEOPLE)];
    const hasProfile = [from, into].some((p) => history.profiles.has(p));
    if (known.has(from) && known.has(into) && !hasProfile) {
      await driver.ask("merge", { from, into });
      history.merge(from, into);
    }
  }
}

async function run(seed) {
  const random = new make.Random(seed);
  const zone = random.pick(ZONES);
  const driver = new Driver({ zone, tail: random.pick([3, 8, 16384]), flush: random.pick([6, 24, 262144]), shards: random.pick([1, 2, 3]) });
  const history = new model.History(zone);
  try {
    await runRounds(random, driver, history, (round, physical, query) =>
      `seed ${seed}, round ${round}, zone ${zone}, after "${physical}"\n${JSON.stringify(query)}`);
  } finally {
    await driver.close();
  }
}

// What is told of each person, to the last character, doesn't change with where it lies.
async function changePhysically(driver, physical, describe) {
  const ask = (identity) => driver.ask("query", { report: "events", identity, limit: 1000 }, { mayFail: true });
  const told = [];
  for (const person of make.PEOPLE) told.push((await ask(person)).rows);
  await driver.ask(physical);
  for (const [i, person] of make.PEOPLE.entries())
    assert.deepEqual((await ask(person)).rows, told[i], describe(person));
}

async function runRounds(random, driver, history, describe) {
  history.now = make.NOW;
  await driver.ask("now", String(make.NOW));
  for (let round = 0; round < ROUNDS; round++) {
    await changeHistory(random, driver, history);
    const physical = random.pick(["", "settle", "reopen", "kill", ""]);
    if (physical) await changePhysically(driver, physical, (person) => describe(round, physical, person));
    for (const [makeQuery, check, times] of CHECKS) {
      for (let i = 0; i < times; i++) {
        const query = makeQuery(random);
        try {
          await check(driver, history, query);
        } catch (error) {
          error.message = `${describe(round, physical, query)}\n${error.message}`;
          throw error;
        }
      }
    }
  }
}

for (let seed = FIRST_SEED; seed < FIRST_SEED + HISTORIES; seed++)
  test(`history ${seed} answers as the model does in every physical state`, () => run(seed));
