// server.mjs - the real binary on a folder and a port of its own, with an owner and an API client.

import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
export const KOLAM = process.env.KOLAM ?? ["build", "build-test"].map((b) => join(ROOT, b, "kolam")).find(existsSync);

export function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.on("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

// Asks again until `check` gives something true; for conditions that come with time.
export async function eventually(check, what, timeoutMs = 15000) {
  const end = Date.now() + timeoutMs;
  for (;;) {
    const result = await check();
    if (result) return result;
    if (Date.now() > end) throw new Error(`not in ${timeoutMs} ms: ${what}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

// The program itself, to its end: { status, stdout, stderr }.
export function kolam(args, { input = "", env = {} } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(KOLAM, args, { stdio: ["pipe", "pipe", "pipe"], env: { ...process.env, ...env } });
    const result = { stdout: "", stderr: "" };
    child.on("error", reject);
    child.stdin.on("error", () => {}); // it may end without reading
    child.stdout.on("data", (chunk) => { result.stdout += chunk; });
    child.stderr.on("data", (chunk) => { result.stderr += chunk; });
    child.on("close", (code, signal) => resolve({ ...result, status: code ?? signal }));
    child.stdin.end(input);
  });
}

export const temporaryFolder = () => mkdtempSync(join(tmpdir(), "kolam-scenario-"));

// A connection that is written and read by hand.
export class Wire {
  constructor(port) {
    this.text = "";
    this.socket = connect(port, "127.0.0.1");
    this.socket.setNoDelay(true);
    this.isOpen = true;
    this.socket.on("error", () => {});
    this.closed = new Promise((resolve) => this.socket.on("close", () => { this.isOpen = false; resolve(); }));
    this.socket.on("data", (chunk) => { this.text += chunk; this.wake?.(); });
    this.closed.then(() => this.wake?.());
  }

  write(text) {
    return new Promise((resolve) => this.socket.write(text, resolve));
  }

  // The text so far, once it matches.
  async until(pattern) {
    while (!pattern.test(this.text)) {
      if (!this.isOpen) throw new Error(`closed before ${pattern}: ${this.text}`);
      await new Promise((resolve) => { this.wake = resolve; });
    }
    return this.text;
  }

  end() {
    this.socket.destroy();
    return this.closed;
  }
}

export class Server {
  constructor(options = {}) {
    this.folder = options.folder ?? temporaryFolder();
    this.keepsFolder = Boolean(options.folder);
    this.command = options.command ?? "serve";
    this.args = options.args ?? [];
    this.output = "";
  }

  // Starts and waits until it answers. `setup`: makes the owner, a project and an API client.
  static async start(options = {}) {
    const server = new Server(options);
    await server.launch();
    if (options.setup !== false) await server.setup();
    return server;
  }

  async begin() {
    this.port = this.port ?? (await freePort());
    this.url = `http://127.0.0.1:${this.port}`;
    this.process = spawn(KOLAM, [this.command, "--data", this.folder, "--listen", `127.0.0.1:${this.port}`, ...this.args],
      { stdio: ["ignore", "pipe", "pipe"] });
    this.exited = new Promise((resolve) => this.process.on("exit", (code, signal) => { this.status = code ?? signal; resolve(this.status); }));
    for (const stream of [this.process.stdout, this.process.stderr])
      stream.on("data", (chunk) => { this.output += chunk; });
  }

  async launch() {
    await this.begin();
    await eventually(async () => {
      if (this.status !== undefined) throw new Error(`ended with ${this.status}: ${this.output}`);
      return fetch(`${this.url}/readyz`).then((r) => r.ok, () => false);
    }, "the server answers");
  }

  async setup() {
    const link = await eventually(() => /\/setup\?token=([\w.~-]+)/.exec(this.output), "the owner's link is printed");
    const owner = await this.json("POST", "/v1/setup", {
      token: link[1], name: "Asha", email: "asha@example.org", password: "correct horse battery",
      organisation: "Shop", project: "Shop", time_zone: "UTC",
    }, { status: 201 });
    this.csrf = owner.csrf_token;
    this.project = owner.organisations[0].projects[0].id;
    const client = await this.asOwner("POST", "/v1/api-clients", { name: "tests", scopes: ["ingest", "query", "people", "manage"] }, { status: 201 });
    this.client = { id: client.id, secret: client.secret };
  }

  get basic() {
    return `Basic ${Buffer.from(`${this.client.id}:${this.client.secret}`).toString("base64")}`;
  }

  async request(method, path, { body, headers = {} } = {}) {
    const response = await fetch(`${this.url}${path}`, { method, headers, body, redirect: "manual" });
    for (const cookie of response.headers.getSetCookie())
      if (cookie.startsWith("kolam_session=")) this.cookie = cookie.split(";")[0];
    return response;
  }

  async json(method, path, value, { status, headers = {} } = {}) {
    const response = await this.request(method, path, {
      headers: { ...(value === undefined ? {} : { "content-type": "application/json" }), ...headers },
      body: value === undefined ? undefined : JSON.stringify(value),
    });
    const text = await response.text();
    if (status !== undefined && response.status !== status)
      throw new Error(`${method} ${path} answered ${response.status}, not ${status}: ${text}`);
    return text ? JSON.parse(text) : undefined;
  }

  asOwner(method, path, value, options = {}) {
    return this.json(method, path, value, { ...options, headers: { cookie: this.cookie, "x-csrf-token": this.csrf, "x-kolam-project": this.project ?? "", ...options.headers } });
  }

  asClient(method, path, value, options = {}) {
    return this.json(method, path, value, { ...options, headers: { authorization: this.basic, ...options.headers } });
  }

  asCleverTap(method, path, value, options = {}) {
    return this.json(method, path, value, { ...options, headers: { "x-clevertap-account-id": this.client.id, "x-clevertap-passcode": this.client.secret, ...options.headers } });
  }

  async rows(cql) {
    return (await this.asClient("POST", "/v1/query", { cql }, { status: 200 })).rows;
  }

  // An acknowledged event is visible within a second; this waits for it.
  async countIs(event, count) {
    await eventually(async () => {
      const answer = await this.asClient("POST", "/v1/query", { cql: `SELECT count() WHERE event = '${event}'` });
      return answer.rows?.[0]?.[0] === count;
    }, `${count} events of ${event} are visible`);
  }

  async kill() {
    this.process.kill("SIGKILL");
    await this.exited;
    this.status = undefined;
  }

  async stop() {
    if (this.status === undefined) this.process.kill("SIGTERM");
    const status = await this.exited;
    if (!this.keepsFolder) rmSync(this.folder, { recursive: true, force: true });
    return status;
  }
}
