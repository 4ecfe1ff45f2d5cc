// People sign in with a password, are known by a cookie that scripts can't read, and write only with
// their CSRF token; guessing is slow.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { eventually, Server } from "./server.mjs";

let server;
before(async () => { server = await Server.start(); });
after(() => server.stop());

const EMAIL = "asha@example.org";
const PASSWORD = "correct horse battery";
const signIn = (email, password, headers = {}) => fetch(`${server.url}/v1/session`, {
  method: "POST", headers: { "content-type": "application/json", ...headers }, body: JSON.stringify({ email, password }) });

test("the setup link works once", async () => {
  const token = /\/setup\?token=([\w.~-]+)/.exec(server.output)[1];
  await server.json("GET", `/v1/setup?token=${token}`, undefined, { status: 404 });
  await server.json("POST", "/v1/setup", { token, name: "Eve", email: "eve@example.org", password: PASSWORD, organisation: "E", project: "E", time_zone: "UTC" }, { status: 404 });
});

test("the cookie is for the server only, and tells nothing", async () => {
  const response = await signIn(EMAIL, PASSWORD);
  assert.equal(response.status, 200);
  const [cookie] = response.headers.getSetCookie();
  assert.match(cookie, /^kolam_session=[\w.-]{20,};/);
  for (const flag of ["HttpOnly", "SameSite=Lax", "Path=/"]) assert.ok(cookie.split("; ").includes(flag), `${flag} in ${cookie}`);
  assert.equal(response.headers.get("cache-control"), "no-store");
  const session = await response.json();
  assert.equal(session.person.email, EMAIL);
  assert.ok(!JSON.stringify(session).includes("password"));
});

test("behind TLS the cookie is Secure, too", async () => {
  const secure = await Server.start({ args: ["--https"], setup: false });
  const [, token] = await eventually(() => /\/setup\?token=([\w.~-]+)/.exec(secure.output), "the owner's link is printed");
  const response = await secure.request("POST", "/v1/setup", { headers: { "content-type": "application/json" },
    body: JSON.stringify({ token, name: "Asha", email: EMAIL, password: PASSWORD, organisation: "S", project: "S", time_zone: "UTC" }) });
  assert.equal(response.status, 201);
  assert.ok(response.headers.getSetCookie()[0].split("; ").includes("Secure"));
  await secure.stop();
});

test("a write by cookie needs the CSRF token, a reading doesn't", async () => {
  const headers = { cookie: server.cookie, "x-kolam-project": server.project };
  await server.json("GET", "/v1/catalog", undefined, { status: 200, headers });
  for (const token of [undefined, "wrong", server.csrf.slice(0, -1)]) {
    const answer = await server.json("POST", "/v1/reports", { name: "x", kind: "query", query: {} }, { status: 403, headers: { ...headers, ...(token && { "x-csrf-token": token }) } });
    assert.equal(answer.type, "csrf");
  }
});

test("signing out ends the session for good", async () => {
  const response = await signIn(EMAIL, PASSWORD);
  const cookie = response.headers.getSetCookie()[0].split(";")[0];
  const { csrf_token } = await response.json();
  assert.equal((await fetch(`${server.url}/v1/session`, { headers: { cookie } })).status, 200);
  const out = await fetch(`${server.url}/v1/session`, { method: "DELETE", headers: { cookie, "x-csrf-token": csrf_token } });
  assert.equal(out.status, 204);
  assert.match(out.headers.getSetCookie()[0], /^kolam_session=; .*Max-Age=0/);
  assert.equal((await fetch(`${server.url}/v1/session`, { headers: { cookie } })).status, 401);
});

test("nobody is signed in without a good cookie", async () => {
  for (const cookie of ["", "kolam_session=", "kolam_session=abc", `${server.cookie}x`]) {
    const answer = await server.json("GET", "/v1/session", undefined, { status: 401, headers: { cookie } });
    assert.deepEqual(answer.details, { setup_needed: false });
  }
});

test("an unknown address and a wrong password are told alike", async () => {
  const [unknown, wrong] = [await signIn("nobody@example.org", PASSWORD), await signIn(EMAIL, "wrong password")];
  assert.equal(unknown.status, 401);
  assert.equal(wrong.status, 401);
  const [a, b] = [await unknown.json(), await wrong.json()];
  assert.deepEqual({ ...a, request_id: 0 }, { ...b, request_id: 0 });
});

test("guesses are stopped before the twentieth, for that address only", async () => {
  let guesses = 0;
  let response;
  do {
    response = await signIn("victim@example.org", `guess number ${guesses++}`);
    assert.ok(guesses < 20, "they go on");
  } while (response.status === 401);
  assert.equal(response.status, 429);
  assert.ok(Number(response.headers.get("retry-after")) >= 1);
  assert.equal((await response.json()).type, "too_many_failures");
  assert.equal((await signIn("victim@example.org", PASSWORD)).status, 429);
  assert.equal((await signIn(EMAIL, PASSWORD)).status, 200);
});
