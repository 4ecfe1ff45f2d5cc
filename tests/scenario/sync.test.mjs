// A disk that can't keep its promise: the server ends, at once, with a status of its own.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";

import { eventually, KOLAM, Server } from "./server.mjs";

const place = mkdtempSync(join(tmpdir(), "kolam-sync-"));
after(() => rmSync(place, { recursive: true, force: true }));

// Once the file `flag` is there, every sync fails as a dying disk's does.
const SHIM = `
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
static int fails(void) { const char *flag = getenv("FAIL_FLAG"); return flag && access(flag, F_OK) == 0; }
int fdatasync(int fd) { if (fails()) { errno = EIO; return -1; } return ((int (*)(int))dlsym(RTLD_NEXT, "fdatasync"))(fd); }
int fsync(int fd) { if (fails()) { errno = EIO; return -1; } return ((int (*)(int))dlsym(RTLD_NEXT, "fsync"))(fd); }
`;

test("a failed sync ends the server with status 70, acknowledges nothing, and loses nothing that was", async () => {
  writeFileSync(join(place, "shim.c"), SHIM);
  const built = spawnSync("cc", ["-shared", "-fPIC", "-o", join(place, "shim.so"), join(place, "shim.c"), "-ldl"], { encoding: "utf8" });
  assert.equal(built.status, 0, built.stderr);
  const server = await Server.start();
  await server.asClient("POST", "/v1/events", [{ identity: "u", event: "Before" }], { status: 200 });
  server.process.kill("SIGTERM");
  await server.exited;

  const flag = join(place, "flag");
  const child = spawn(KOLAM, ["serve", "--data", server.folder, "--listen", `127.0.0.1:${server.port}`], {
    env: { ...process.env, LD_PRELOAD: join(place, "shim.so"), FAIL_FLAG: flag,
      ASAN_OPTIONS: `${process.env.ASAN_OPTIONS ?? ""}:verify_asan_link_order=0` },
  });
  let output = "";
  child.stderr.on("data", (chunk) => { output += chunk; });
  const exited = new Promise((resolve) => child.on("exit", (code, signal) => resolve(code ?? signal)));
  await eventually(() => fetch(`${server.url}/readyz`).then((r) => r.ok, () => false), "the server answers");
  await server.asClient("POST", "/v1/events", [{ identity: "u", event: "Between" }], { status: 200 });
  writeFileSync(flag, "");
  const answer = await server.asClient("POST", "/v1/events", [{ identity: "u", event: "After" }]).catch(() => undefined);
  assert.notEqual(answer?.status, "success");
  assert.equal(await exited, 70);
  assert.match(output, /what is on disk is unknown/);

  server.status = undefined;
  await server.launch();
  const rows = await server.rows("SELECT count() GROUP BY event ORDER BY event");
  for (const event of ["Before", "Between"]) assert.deepEqual(rows.find(([name]) => name === event), [event, 1]);
  assert.equal(await server.stop(), 0);
});
