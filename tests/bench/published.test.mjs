// published.test.mjs - the published suite in small: three engines, the same events, the same answers.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { KOLAM } from "../scenario/server.mjs";

let folder, first;

function suite(...options) {
  return spawnSync(KOLAM, ["bench", "--suite", "published", "--events", "200000", "--timelines", "1000", "--repeat", "1", "--folder", folder, ...options],
    { encoding: "utf8", timeout: 240000 });
}

const saved = (engine) => JSON.parse(readFileSync(join(folder, `${engine}.json`), "utf8"));

before(() => {
  folder = mkdtempSync(join(tmpdir(), "kolam-published-"));
  first = suite();
});

after(() => rmSync(folder, { recursive: true, force: true }));

test("Kolam, DuckDB and ClickHouse give the same answers to every published question", () => {
  assert.equal(first.status, 0, first.stderr);
  const [kolam, duckdb, clickhouse] = ["kolam", "duckdb", "clickhouse"].map(saved);
  for (const engine of [kolam, duckdb, clickhouse]) assert.equal(engine.loaded.rows, 200625);
  for (const engine of [duckdb, clickhouse]) {
    assert.deepEqual(engine.questions["funnel of 3 steps in 7 days"].answer, [[4977, 2813, 841]]);
    assert.equal(engine.questions["users per day, 90 days"].answer.length, 90);
    assert.ok(Object.keys(engine.questions).length >= 9, Object.keys(engine.questions).join());
  }
});

test("the table has a row for every question, with the cost in each engine and a ratio", () => {
  const rows = first.stdout.split("\n").filter((line) => line.startsWith("| ")).map((line) => line.split("|").map((cell) => cell.trim()));
  for (const name of Object.keys(saved("duckdb").questions).filter((n) => n !== "timelines")) {
    const row = rows.find((cells) => cells[1] === name);
    assert.ok(row, `no row for ${name}`);
    for (const cell of [2, 4, 5, 6, 7, 8]) assert.match(row[cell], /^[\d.]+ (µs|ms|s|×)/, `${name}: ${row}`);
  }
});

test("an engine whose answer differs makes the suite fail and say where", () => {
  const results = saved("duckdb");
  results.questions["events per day of one type"].answer[0][1] += 1;
  writeFileSync(join(folder, "duckdb.json"), JSON.stringify(results));
  const run = suite("--engines", "kolam");
  assert.equal(run.status, 1, run.stdout);
  assert.match(run.stderr, /DISAGREE[\s\S]*events per day of one type: DuckDB disagrees/);
  assert.doesNotMatch(run.stderr, /ClickHouse disagrees/);
});
