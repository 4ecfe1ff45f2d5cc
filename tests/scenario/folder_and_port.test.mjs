// One server to a folder, one to a port; who comes second is told what to do.

import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { after, before, test } from "node:test";

import { Server, freePort, kolam, temporaryFolder } from "./server.mjs";

let server;
before(async () => { server = await Server.start(); });
after(() => server.stop());

test("a second server on a folder is refused, and the first goes on", async () => {
  const second = await kolam(["serve", "--data", server.folder, "--listen", `127.0.0.1:${await freePort()}`]);
  assert.equal(second.status, 4);
  assert.match(second.stderr, /another (kolam|process) is using it/);
  assert.equal((await server.request("GET", "/readyz")).status, 200);
});

test("commands on a folder that is served are refused, too", async () => {
  for (const args of [["check"], ["query", "--project", "Shop", "SELECT count()"], ["import", "--project", "Shop", "-"]]) {
    const refused = await kolam([args[0], "--data", server.folder, ...args.slice(1)]);
    assert.equal(refused.status, 4, `${args[0]}: ${refused.stderr}`);
    assert.match(refused.stderr, /another (kolam|process) is using it/);
  }
});

test("a port in use is said, with the way out", async () => {
  const folder = temporaryFolder();
  for (const command of ["serve", "demo"]) {
    const second = await kolam([command, "--data", folder, "--listen", `127.0.0.1:${server.port}`]);
    assert.equal(second.status, 4);
    assert.match(second.stderr, new RegExp(`port ${server.port} of 127\\.0\\.0\\.1 is in use.*--listen`));
  }
  rmSync(folder, { recursive: true });
});

test("what isn't a folder of Kolam, an address or an option is said", async () => {
  const folder = temporaryFolder();
  const nothing = await kolam(["check", "--data", folder]);
  assert.equal(nothing.status, 3);
  assert.match(nothing.stderr, /isn't a folder of Kolam/);
  assert.equal((await kolam(["serve", "--data", folder, "--listen", "nowhere"])).status, 2);
  assert.equal((await kolam(["serve", "--no-such"])).status, 2);
  assert.equal((await kolam(["no-such"])).status, 2);
  rmSync(folder, { recursive: true });
});
