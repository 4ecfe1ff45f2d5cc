// A full disk: writes are 507, reading goes on, and with room writing does, too.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { rmSync, statfsSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { Server, eventually, kolam, temporaryFolder } from "./server.mjs";

const MIB = 1 << 20;
const mounted = [];
const servers = [];

// A disk of its own, so that filling it harms nobody; undefined where one can't be made.
function smallDisk(mib) {
  const folder = temporaryFolder();
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${mib}m`, "kolam-test", folder], { stdio: "pipe" });
  } catch {
    rmSync(folder, { recursive: true });
    return undefined;
  }
  mounted.push(folder);
  return folder;
}
const probe = process.getuid() === 0 ? smallDisk(1) : undefined;
const skip = probe ? false : "a small disk can't be mounted here";

after(async () => {
  for (const server of servers) await server.stop();
  for (const folder of mounted) {
    execFileSync("umount", [folder]);
    rmSync(folder, { recursive: true });
  }
});

let next = 0;
const send = async (server, count = 100) => {
  const events = Array.from({ length: count }, () => ({ identity: `u${next % 50}`, event: "Stored", event_id: `e${next}`, properties: { n: next++, text: "x".repeat(200) } }));
  const response = await server.request("POST", "/v1/events", { body: JSON.stringify({ events }), headers: { authorization: server.basic, "content-type": "application/json" } });
  return { status: response.status, body: await response.json() };
};

// Leaves so many bytes free.
function fill(folder, leave) {
  const path = join(folder, "..filler");
  const { bavail, bsize } = statfsSync(folder);
  writeFileSync(path, Buffer.alloc(Math.max(0, bavail * bsize - leave), 1));
  return () => unlinkSync(path);
}

async function isFullThenRecovers(floor, leave) {
  const folder = smallDisk(96);
  const server = await Server.start({ folder, args: ["--disk-floor", String(floor)] });
  servers.push(server);
  let stored = 0;
  for (let n = 0; n < 5; n++) {
    assert.equal((await send(server)).status, 200);
    stored += 100;
  }
  await server.countIs("Stored", stored);

  const makeRoom = fill(folder, leave);
  let refused;
  for (let n = 0; n < 3000 && refused?.status !== 507; n++) {
    refused = await send(server);
    if (refused.status === 200) stored += 100;
    else assert.equal(refused.status, 507, JSON.stringify(refused.body));
  }
  assert.equal(refused.status, 507);
  assert.equal(refused.body.type, "disk_full");
  assert.equal(refused.body.code, 507);
  assert.equal((await send(server)).status, 507);
  await server.countIs("Stored", stored);
  await server.asClient("GET", "/v1/users/u1", undefined, { status: 200 });
  assert.equal((await server.request("GET", "/healthz")).status, 200);
  const upload = await server.asCleverTap("POST", "/1/upload", { d: Array.from({ length: 500 }, () => ({ type: "event", identity: "u1", evtName: "Stored", evtData: { text: "x".repeat(400) } })) });
  assert.equal(upload.code, 507);

  makeRoom();
  await eventually(async () => {
    const { status } = await send(server);
    if (status === 200) stored += 100;
    return status === 200;
  }, "writing goes on");
  await server.countIs("Stored", stored);
  assert.equal(await server.stop(), 0);

  const checked = await kolam(["check", "--deep", "--data", folder]);
  assert.equal(checked.status, 0, checked.stdout + checked.stderr);
  const again = new Server({ folder });
  servers.push(again);
  again.client = server.client;
  await again.launch();
  await again.countIs("Stored", stored);
  assert.equal(await again.stop(), 0);
}

before(() => { next = 0; });

test("below the floor writes are 507; reading goes on; with room, writing does", { skip }, () =>
  isFullThenRecovers(16 * MIB, 17 * MIB));

test("a disk that is really full is the same, and nothing acknowledged is lost", { skip }, () =>
  isFullThenRecovers(0, MIB));
