// A backup is made while the server runs under load, and brought back: nothing that was acknowledged before is missing.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { openSync, readFileSync, readSync, readdirSync, rmSync, writeFileSync, writeSync, closeSync, existsSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { KOLAM, Server, eventually, freePort, kolam, temporaryFolder } from "./server.mjs";

const place = temporaryFolder();
const data = join(place, "data");
const backup = join(place, "backup");
let server;

before(async () => {
  server = new Server({ folder: data, args: ["--checkpoint", "20000", "--flush", "500"] });
  server.port = await freePort();
  await server.launch();
  await server.setup();
});

after(async () => {
  await server?.stop();
  rmSync(place, { recursive: true, force: true });
});

const record = (n) => ({ identity: `u${n % 50}`, event: "Seen", event_id: `e${n}`, time: `2026-0${1 + n % 6}-05T10:00:00Z`, properties: { n } });

// Sends batches, one after the other, until `isOver`; `acknowledged` counts events that were answered.
function load(isOver) {
  const state = { acknowledged: 0, sent: 0 };
  state.done = (async () => {
    while (!isOver()) {
      const from = state.sent;
      state.sent += 200;
      await server.asClient("POST", "/v1/events", { events: Array.from({ length: 200 }, (_, i) => record(from + i)) }, { status: 200 });
      state.acknowledged = state.sent;
    }
  })();
  return state;
}

async function recount(folder) {
  const answer = await kolam(["query", "--data", folder, "--project", server.project, "--format", "csv", "SELECT count(), distinct(n) WHERE event = 'Seen'"]);
  assert.equal(answer.status, 0, answer.stderr);
  const [count, distinct] = answer.stdout.trim().split("\n")[1].split(",").map(Number);
  assert.equal(count, distinct, "each event once");
  return count;
}

test("what was acknowledged before a backup began is in what is restored, under load, again and again", async () => {
  let isOver = false;
  const loading = load(() => isOver);
  await eventually(() => loading.acknowledged >= 2000, "some events are there");
  for (let round = 0; round < 4; round++) {
    const acknowledged = loading.acknowledged;
    const made = await kolam(["backup", "--data", data, "--to", backup]);
    const sent = loading.sent;
    assert.equal(made.status, 0, made.stdout + made.stderr);
    assert.match(made.stdout, /^projects\/p_\w+: up to \d+\n\d+ files, \d+ bytes(, \d+ files as they were)?\nall is well\n$/);
    const restored = join(place, `restored-${round}`);
    const back = await kolam(["restore", "--from", backup, "--data", restored]);
    assert.equal(back.status, 0, back.stdout + back.stderr);
    const checked = await kolam(["check", "--deep", "--data", restored]);
    assert.equal(checked.status, 0, checked.stdout + checked.stderr);
    const count = await recount(restored);
    assert.ok(count >= acknowledged && count <= sent, `${acknowledged} acknowledged before, ${count} restored, ${sent} sent`);
    await eventually(() => loading.acknowledged > acknowledged, "the server goes on");
  }
  isOver = true;
  await loading.done;
});

test("a restored folder serves, with its accounts", async () => {
  const copy = new Server({ folder: join(place, "restored-3") });
  copy.port = await freePort();
  await copy.launch();
  try {
    copy.project = server.project;
    copy.client = server.client;
    const answer = await copy.asClient("POST", "/v1/query", { cql: "SELECT count()" }, { status: 200 });
    assert.ok(answer.rows[0][0] > 0);
  } finally {
    await copy.stop();
  }
});

test("damage in a backup has a name, and isn't restored", async () => {
  const files = join(backup, "files");
  const name = readdirSync(files).sort()[3];
  const file = openSync(join(files, name), "r+");
  const byte = Buffer.alloc(1);
  readSync(file, byte, 0, 1, 20);
  byte[0] ^= 1;
  writeSync(file, byte, 0, 1, 20);
  closeSync(file);
  const line = readFileSync(join(backup, "BACKUP"), "utf8").split("\n").find((l) => l.startsWith(`file ${name} `));
  const path = line.split(" ")[5];
  const verified = await kolam(["backup", "--verify", backup]);
  assert.equal(verified.status, 1);
  assert.equal(verified.stdout, `damaged: ${path}: its checksum isn't the one in the list\ndamage was found\n`);
  const target = join(place, "not-restored");
  const back = await kolam(["restore", "--from", backup, "--data", target]);
  assert.equal(back.status, 1);
  assert.match(back.stdout, new RegExp(`damaged: ${path}`));
  assert.deepEqual(readdirSync(target).filter((n) => n !== "LOCK"), []);
});

test("wrong places are refused with a line that says why", async () => {
  const other = join(place, "other");
  writeFileSync(join(place, "not-a-folder"), "");
  const cases = [
    [["backup", "--data", data], 2, /--to/],
    [["backup", "--data", join(place, "nothing"), "--to", other], 3, /isn't a folder of Kolam/],
    [["backup", "--data", data, "--to", data], 3, /holds something else/],
    [["backup", "--verify", place], 3, /no backup/],
    [["restore", "--from", place, "--data", other], 3, /no backup/],
    [["restore", "--from", backup, "--data", data], 3, /isn't empty/],
    [["restore", "--data", other], 2, /--from/],
  ];
  for (const [args, status, words] of cases) {
    const said = await kolam(args);
    assert.equal(said.status, status, `${args.join(" ")}: ${said.stderr}`);
    assert.match(said.stderr, words);
    assert.equal(said.stderr.trim().split("\n").length, 1);
  }
});

test("a backup that's stopped by Ctrl-C removes what it wrote", async () => {
  // Until one was in time: the copy of a small folder is quick.
  for (let attempt = 0; ; attempt++) {
    assert.ok(attempt < 200, "it was never in time");
    const target = join(place, `stopped-${attempt}`);
    const child = spawn(KOLAM, ["backup", "--data", data, "--to", target], { stdio: "ignore" });
    await eventually(() => existsSync(join(target, "files")) || child.exitCode !== null, "it began");
    child.kill("SIGINT");
    const status = await new Promise((resolve) => (child.exitCode !== null ? resolve(child.exitCode) : child.on("close", resolve)));
    if (status === 4) {
      assert.deepEqual(readdirSync(target).filter((n) => n !== "LOCK"), []);
      return;
    }
    assert.equal(status, 0);
  }
});
