// kolam check tells a good folder from a damaged one, and names what is damaged.

import assert from "node:assert/strict";
import { cpSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { Server, kolam, temporaryFolder } from "./server.mjs";

let server;
let good; // a stopped server's folder: parts and a checkpoint
let fresh; // a killed server's folder: a log to be replayed
const copies = [];
before(async () => {
  server = await Server.start();
  const send = (from, count) => server.asClient("POST", "/v1/events", { events: Array.from({ length: count }, (_, n) => ({
    identity: `u${(from + n) % 40}`, event: n % 3 ? "Seen" : "Bought", time: 1767225600000 + (from + n) * 60000, properties: { n, text: `text ${n % 7}` } })) }, { status: 200 });
  for (let batch = 0; batch < 5; batch++) await send(batch * 500, 500);
  await server.countIs("Seen", 1665);
  await server.kill();
  fresh = copyOf(server.folder);
  await server.launch();
  await server.countIs("Seen", 1665);
  server.process.kill("SIGTERM");
  await server.exited;
  good = server.folder;
});
after(() => {
  server.stop();
  for (const folder of copies) rmSync(folder, { recursive: true, force: true });
});

function copyOf(folder) {
  const copy = temporaryFolder();
  cpSync(folder, copy, { recursive: true });
  copies.push(copy);
  return copy;
}
const files = (folder, end) => readdirSync(folder, { recursive: true }).map(String).filter((name) => name.endsWith(end));
const check = (folder, ...flags) => kolam(["check", "--data", folder, ...flags]);

// The byte at a fraction of the file, changed.
function damage(folder, name, at) {
  const path = join(folder, name);
  const bytes = readFileSync(path);
  bytes[Math.floor(bytes.length * at)] ^= 0x10;
  writeFileSync(path, bytes);
}

test("a folder after a stop in order is well, and stays so", async () => {
  assert.ok(files(good, ".part").length > 0 && files(good, ".state").length === 1, files(good, "").join(" "));
  for (const flags of [[], ["--deep"], []]) {
    const checked = await check(good, ...flags);
    assert.equal(checked.status, 0, checked.stdout + checked.stderr);
    assert.match(checked.stdout, /all is well/);
    assert.match(checked.stdout, /2500 events/);
  }
});

test("a folder after a kill is well", async () => {
  const checked = await check(copyOf(fresh), "--deep");
  assert.equal(checked.status, 0, checked.stdout + checked.stderr);
  assert.match(checked.stdout, /log replayed.*2500 events/);
});

for (const [what, folder, end] of [["an event file", () => good, ".part"], ["a checkpoint", () => good, ".state"], ["a manifest", () => good, "MANIFEST"], ["a log", () => fresh, ".log"]]) {
  test(`a changed byte in ${what} is found, and the file is named`, async () => {
    for (const at of [0.1, 0.5, 0.8]) {
      const copy = copyOf(folder());
      const name = files(copy, end).sort((a, b) => readFileSync(join(copy, b)).length - readFileSync(join(copy, a)).length)[0];
      damage(copy, name, at);
      const checked = await check(copy);
      assert.equal(checked.status, 1, `${name} at ${at}: ${checked.stdout}${checked.stderr}`);
      assert.ok(checked.stdout.includes(name), `${name} at ${at}: ${checked.stdout}${checked.stderr}`);
      assert.match(checked.stdout, /damage was found/);
    }
  });
}

test("a missing event file is found and named", async () => {
  const copy = copyOf(good);
  const [name] = files(copy, ".part");
  rmSync(join(copy, name));
  const checked = await check(copy);
  assert.equal(checked.status, 1, checked.stdout + checked.stderr);
  assert.ok(checked.stdout.includes(name), checked.stdout);
});

test("a server refuses to start on a damaged log rather than drop what was acknowledged", async () => {
  const copy = copyOf(fresh);
  const [name] = files(copy, ".log");
  damage(copy, name, 0.3);
  const refused = await kolam(["serve", "--data", copy, "--listen", "127.0.0.1:0"]);
  assert.equal(refused.status, 3, refused.stdout + refused.stderr);
  assert.match(refused.stderr, /damaged/);
});

test("with --json each line is an object, and damage has its file and place", async () => {
  const folder = copyOf(good);
  const lines = async () => {
    const { status, stdout } = await check(folder, "--json");
    return { status, lines: stdout.trim().split("\n").map((l) => JSON.parse(l)) };
  };
  const whole = await lines();
  assert.equal(whole.status, 0);
  assert.ok(whole.lines.length >= 3 && whole.lines.every((l) => l.verdict === "good" && l.what));
  const manifest = files(folder, "MANIFEST")[0];
  damage(folder, manifest, 0.5);
  const bad = await lines();
  assert.equal(bad.status, 1);
  assert.equal(bad.lines[0].verdict, "damaged");
  assert.ok(bad.lines[0].file.endsWith(manifest), bad.lines[0].file);
  assert.ok(Number.isInteger(bad.lines[0].offset));
});
