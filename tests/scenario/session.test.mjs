// The first owner, signing in and out.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Server } from "./server.mjs";

let server;
before(async () => { server = await Server.start({ setup: false }); });
after(() => server.stop());

const words = { name: "Asha", email: "asha@example.org", password: "correct horse battery", organisation: "Shop", project: "Shop", time_zone: "Asia/Kolkata" };
const token = () => /\/setup\?token=([\w.~-]+)/.exec(server.output)[1];

test("a new server says that it wants an owner", async () => {
  const answer = await server.json("GET", "/v1/session", undefined, { status: 401 });
  assert.equal(answer.details.setup_needed, true);
});

test("the setup link makes the owner once; what is wrong is told by field and uses nothing up", async () => {
  await server.json("GET", `/v1/setup?token=${token()}`, undefined, { status: 200 });
  await server.json("GET", "/v1/setup?token=guess", undefined, { status: 404 });
  for (const [field, value] of [["password", "short"], ["email", "nobody"], ["time_zone", "Mars/Olympus"], ["name", ""]]) {
    const answer = await server.json("POST", "/v1/setup", { token: token(), ...words, [field]: value }, { status: 422 });
    assert.equal(answer.details.pointer, `/${field}`);
  }
  await server.json("POST", "/v1/setup", { token: "guess", ...words }, { status: 404 });
  const session = await server.json("POST", "/v1/setup", { token: token(), ...words }, { status: 201 });
  assert.equal(session.organisations[0].projects[0].time_zone, "Asia/Kolkata");
  assert.equal(session.organisations[0].role, "owner");
  await server.json("POST", "/v1/setup", { token: token(), ...words }, { status: 404 });
  assert.match(server.cookie, /^kolam_session=/);
});

test("the session's cookie is out of scripts' reach", async () => {
  const response = await server.request("POST", "/v1/session", { body: JSON.stringify({ email: "ASHA@example.org", password: words.password }), headers: { "content-type": "application/json" } });
  assert.equal(response.status, 200);
  const cookie = response.headers.getSetCookie()[0];
  assert.match(cookie, /HttpOnly/);
  assert.match(cookie, /SameSite=Lax/);
  server.csrf = (await response.json()).csrf_token;
});

test("signing out ends the session for good", async () => {
  const { cookie } = server;
  const headers = { cookie, "x-csrf-token": server.csrf };
  await server.json("GET", "/v1/session", undefined, { headers, status: 200 });
  await server.json("DELETE", "/v1/session", undefined, { headers: { cookie }, status: 403 });
  await server.json("DELETE", "/v1/session", undefined, { headers, status: 204 });
  await server.json("GET", "/v1/session", undefined, { headers, status: 401 });
});

test("a session outlives a restart", async () => {
  await server.json("POST", "/v1/session", { email: words.email, password: words.password }, { status: 200 });
  await server.kill();
  await server.launch();
  await server.json("GET", "/v1/session", undefined, { headers: { cookie: server.cookie }, status: 200 });
});

test("wrong passwords are refused alike for known and unknown addresses, and not for ever", async () => {
  const known = await server.json("POST", "/v1/session", { email: words.email, password: "wrong" }, { status: 401 });
  const unknown = await server.json("POST", "/v1/session", { email: "nobody@example.org", password: "wrong" }, { status: 401 });
  assert.equal(known.error, unknown.error);
  const statuses = [];
  for (let i = 0; i < 12; i++) statuses.push((await server.request("POST", "/v1/session", { body: JSON.stringify({ email: words.email, password: "wrong" }) })).status);
  assert.ok(statuses.includes(429), statuses.join());
});
