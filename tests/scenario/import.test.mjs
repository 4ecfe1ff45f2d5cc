// kolam import takes what is good, tells what is wrong with its line, and can be repeated.

import assert from "node:assert/strict";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { gzipSync } from "node:zlib";

import { Server, kolam, temporaryFolder } from "./server.mjs";

let folder;
let files;
before(() => {
  folder = temporaryFolder();
  files = temporaryFolder();
});
after(() => {
  for (const made of [folder, files]) rmSync(made, { recursive: true, force: true });
});

const file = (name, content) => {
  const path = join(files, name);
  writeFileSync(path, content);
  return path;
};
const run = (args, options) => kolam(["import", "--data", folder, "--project", "Shop", "--create", "--time-zone", "UTC", ...args], options);
const rows = async (cql) => {
  const asked = await kolam(["query", "--data", folder, "--project", "Shop", "--format", "json", cql]);
  assert.equal(asked.status, 0, asked.stderr);
  return JSON.parse(asked.stdout).rows;
};
const line = (event, n, over = {}) => JSON.stringify({ identity: `u${n}`, event, time: 1767225600000 + n * 1000, event_id: `${event}-${n}`, properties: { n }, ...over });

test("a bad file: each wrong line is told with its number, the rest is kept, the status says so", async () => {
  const bad = file("bad.ndjson", [line("Bad", 1), "{not JSON", "", line("Bad", 2), '{"event":"No one"}', '{"identity":"x"}',
    line("Bad", 3, { time: "yesterday" }), line("Bad", 4), '{"identity":"u","event":"Bad","properties":{"n":1e999}}', line("Bad", 5)].join("\n"));
  const imported = await run([bad]);
  assert.equal(imported.status, 3, imported.stderr);
  assert.deepEqual(JSON.parse(imported.stdout), { lines: 9, taken: 4, refused: 5 });
  const told = [...imported.stderr.matchAll(/bad\.ndjson:(\d+): (.+)/g)].map((m) => Number(m[1]));
  assert.deepEqual(told, [2, 5, 6, 7, 9]);
  assert.deepEqual(await rows("SELECT count() WHERE event = 'Bad'"), [[4]]);
});

test("a good file, repeated, counts once", async () => {
  const good = file("good.ndjson", Array.from({ length: 3000 }, (_, n) => line("Good", n)).join("\n") + "\n");
  for (let time = 0; time < 2; time++) {
    const imported = await run([good]);
    assert.equal(imported.status, 0, imported.stderr);
    assert.deepEqual(JSON.parse(imported.stdout), { lines: 3000, taken: 3000, refused: 0 });
    assert.deepEqual(await rows("SELECT count(), users() WHERE event = 'Good'"), [[3000, 3000]]);
  }
});

test("packed files are unpacked, and CleverTap's shape is taken beside the native one", async () => {
  const lines = [line("Packed", 1), JSON.stringify({ type: "event", identity: "u2", ts: 1767225600, evtName: "Packed", evtData: { n: 2 } }),
    JSON.stringify({ type: "profile", identity: "u2", profileData: { Plan: "Gold" } })];
  const imported = await run([file("packed.ndjson.gz", gzipSync(lines.join("\n")))]);
  assert.equal(imported.status, 0, imported.stderr);
  assert.deepEqual(await rows("SELECT count(), users() WHERE event = 'Packed'"), [[2, 2]]);
  assert.deepEqual(await rows("SELECT count() WHERE event = 'Packed' AND profile.Plan = 'Gold'"), [[1]]);
  const cut = await run([file("cut.ndjson.gz", gzipSync(lines.join("\n")).subarray(0, 80))]);
  assert.notEqual(cut.status, 0);
  assert.match(cut.stderr, /cut\.ndjson\.gz/);
});

test("CSV: columns are properties by their look, quotes and line ends as in RFC 4180", async () => {
  const csv = 'identity,event,time,event_id,Amount,Note\r\nu1,Csv,2026-01-05T10:00:00Z,c1,12.5,"a, ""quoted""\r\nnote"\r\nu2,Csv,2026-01-05T10:00:00Z,c2,7,plain\r\n,Csv,2026-01-05,c3,1,nobody\r\n';
  const imported = await run([file("rows.csv", csv)]);
  assert.equal(imported.status, 3);
  assert.deepEqual(JSON.parse(imported.stdout), { lines: 3, taken: 2, refused: 1 });
  assert.match(imported.stderr, /rows\.csv:5: /);
  assert.deepEqual(await rows("SELECT count(), sum(Amount) WHERE event = 'Csv'"), [[2, 19.5]]);
  assert.deepEqual(await rows("SELECT count() WHERE event = 'Csv' AND Note = 'plain'"), [[1]]);
  const packed = await run([file("rows.csv.gz", gzipSync(csv.replaceAll("Csv", "Csv Packed")))]);
  assert.deepEqual(JSON.parse(packed.stdout), { lines: 3, taken: 2, refused: 1 });
});

test("stdin is a file, too, with or without an end of line", async () => {
  for (const [n, end] of [[1, "\n"], [2, ""]]) {
    const imported = await run(["-"], { input: line("Stdin", n) + end });
    assert.equal(imported.status, 0, imported.stderr);
  }
  assert.deepEqual(await rows("SELECT count() WHERE event = 'Stdin'"), [[2]]);
  const nothing = await run(["-"], { input: "" });
  assert.equal(nothing.status, 0);
  assert.deepEqual(JSON.parse(nothing.stdout), { lines: 0, taken: 0, refused: 0 });
});

test("what can't be done is said: no such file, no such project, no time zone", async () => {
  const missing = await run([join(files, "missing.ndjson")]);
  assert.equal(missing.status, 3);
  assert.match(missing.stderr, /missing\.ndjson/);
  assert.notEqual((await kolam(["import", "--data", folder, "--project", "Nowhere", "-"])).status, 0);
  assert.notEqual((await kolam(["import", "--data", folder, "--project", "New", "--create", "--time-zone", "Mars/Olympus", "-"])).status, 0);
  assert.equal((await run([])).status, 2);
});

test("an import through a running server is the same", async () => {
  const server = await Server.start();
  const token = `${server.client.id}.${server.client.secret}`;
  const lines = Array.from({ length: 500 }, (_, n) => (n === 100 ? "oops" : line("Remote", n))).join("\n");
  for (let time = 0; time < 2; time++) {
    const imported = await kolam(["import", "--server", server.url, file("remote.ndjson", lines)], { env: { KOLAM_TOKEN: token } });
    assert.equal(imported.status, 3, imported.stderr);
    assert.deepEqual(JSON.parse(imported.stdout), { lines: 500, taken: 499, refused: 1 });
    assert.match(imported.stderr, /remote\.ndjson:101: /);
  }
  await server.countIs("Remote", 499);
  await server.stop();
});
