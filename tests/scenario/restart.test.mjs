// What was acknowledged is there after a stop in order; what was sent once counts once.

import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { Server, Wire, eventually, kolam } from "./server.mjs";

let server;
before(async () => { server = await Server.start(); });
after(() => server.stop());

const restart = async () => {
  server.process.kill("SIGTERM");
  assert.equal(await server.exited, 0);
  server.status = undefined;
  server.output = "";
  await server.launch();
};
const send = (events, headers = {}) => server.asClient("POST", "/v1/events", { events }, { status: 200, headers });

test("an event id counts once, also across a restart", async () => {
  const events = [{ identity: "u1", event: "Paid", event_id: "paid-1", properties: { n: 1 } }];
  await send(events);
  await server.countIs("Paid", 1);
  await restart();
  await send(events);
  await send([{ identity: "u1", event: "Paid", event_id: "paid-2" }]);
  await server.countIs("Paid", 2);
});

test("history, profile, people, keys and the signed-in owner outlive a stop", async () => {
  await server.asClient("POST", "/v1/profiles", { profiles: [{ identity: "u1", properties: { Plan: "Gold" } }] }, { status: 200 });
  const before = await server.rows("SELECT count(), users() GROUP BY event");
  await restart();
  assert.deepEqual(await server.rows("SELECT count(), users() GROUP BY event"), before);
  const user = await server.asClient("GET", "/v1/users/u1", undefined, { status: 200 });
  assert.equal(user.properties.Plan, "Gold");
  const session = await server.asOwner("GET", "/v1/session", undefined, { status: 200 });
  assert.equal(session.person.name, "Asha");
  assert.doesNotMatch(server.output, /setup\?token/);
});

test("a stop in order finishes the request at work, says no at readyz, and ends with a checkpoint", async () => {
  const body = JSON.stringify({ events: [{ identity: "u9", event: "Late" }] });
  const wire = new Wire(server.port);
  await wire.write(`POST /v1/events HTTP/1.1\r\nHost: kolam\r\nAuthorization: ${server.basic}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\nExpect: 100-continue\r\n\r\n`);
  await wire.until(/100 Continue/i);
  const watcher = new Wire(server.port);
  await watcher.write("GET /readyz HTTP/1.1\r\nHost: kolam\r\n\r\n");
  await watcher.until(/200 OK/);
  server.process.kill("SIGTERM");
  while (!/Stopping/.test(server.output)) await new Promise((resolve) => server.process.stderr.once("data", resolve));
  await eventually(async () => {
    await watcher.write("GET /readyz HTTP/1.1\r\nHost: kolam\r\n\r\n");
    return / 503 /.test(watcher.text) || !watcher.isOpen;
  }, "readyz says no");
  assert.match(watcher.text, / 503 /);
  await wire.write(body);
  await wire.until(/HTTP\/1\.1 200 OK[^]*"processed":1/);
  assert.equal(await server.exited, 0);
  server.status = undefined;
  const project = join(server.folder, "projects", server.project);
  assert.equal(readdirSync(project).filter((name) => name.endsWith(".state")).length, 1);

  const checked = await kolam(["check", "--deep", "--data", server.folder]);
  assert.equal(checked.status, 0, checked.stdout + checked.stderr);
  server.output = "";
  await server.launch();
  await server.countIs("Late", 1);
});
