// The command line: what each command does, prints, and ends with.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

import { eventually, freePort, KOLAM, Server } from "./server.mjs";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const place = mkdtempSync(join(tmpdir(), "kolam-commands-"));
const data = join(place, "data");
after(() => rmSync(place, { recursive: true, force: true }));

const kolam = (args, options = {}) => spawnSync(KOLAM, args, { encoding: "utf8", ...options });
const line = (i) => JSON.stringify({ identity: `u${i % 10}`, event: i % 2 ? "Odd" : "Even", time: `2026-01-01T00:00:${String(i % 60).padStart(2, "0")}Z`, properties: { n: i } });

test("help has examples, and wrong usage ends with 2 and one line", () => {
  assert.match(kolam(["--help"]).stdout, /serve .*\n[\s\S]*import/);
  for (const command of ["serve", "demo", "import", "query", "export", "user", "check", "backup", "restore", "admin", "config"]) {
    const help = kolam([command, "--help"]);
    assert.equal(help.status, 0);
    assert.match(help.stdout, new RegExp(`usage: kolam ${command}`));
  }
  for (const args of [[], ["frobnicate"], ["query", "--bogus"], ["import"], ["query", "--format", "xml", "SELECT count()"]]) {
    const wrong = kolam(args);
    assert.equal(wrong.status, 2, args.join(" "));
  }
  assert.match(kolam(["query", "--bogus"]).stderr, /^kolam: .*--bogus.*\n$/);
});

test("files are imported, packed or not, and each bad line is told with its number", () => {
  const good = join(place, "good.ndjson.gz");
  writeFileSync(good, gzipSync(Array.from({ length: 1000 }, (_, i) => line(i)).join("\n")));
  const first = kolam(["import", "--data", data, "--project", "Shop", "--create", "--time-zone", "Asia/Kolkata", good]);
  assert.equal(first.status, 0, first.stderr);
  assert.deepEqual(JSON.parse(first.stdout), { lines: 1000, taken: 1000, refused: 0 });
  const mixed = join(place, "mixed.ndjson");
  writeFileSync(mixed, `${line(0)}\nnot json\n\n{"event":"No one"}\n${line(1)}\n`);
  const second = kolam(["import", "--data", data, "--project", "Shop", mixed]);
  assert.equal(second.status, 3);
  assert.deepEqual(JSON.parse(second.stdout), { lines: 4, taken: 2, refused: 2 });
  assert.match(second.stderr, /mixed\.ndjson:2: /);
  assert.match(second.stderr, /mixed\.ndjson:4: /);
  const csv = join(place, "table.csv");
  writeFileSync(csv, 'identity,event,time,Amount,City\nu1,Charged,2026-01-01T00:00:00Z,12.5,"Pune, India"\nu2,Charged,sometime,1,x\n');
  const third = kolam(["import", "--data", data, "--project", "Shop", csv]);
  assert.equal(third.status, 3);
  assert.match(third.stderr, /table\.csv:3: /);
  const piped = kolam(["import", "--data", data, "--project", "Shop", "-"], { input: `${line(2)}\n` });
  assert.equal(piped.status, 0, piped.stderr);
});

test("a question is answered as JSON, CSV or a table; a wrong one points at the place", () => {
  const ask = (...args) => kolam(["query", "--data", data, "--project", "Shop", ...args]);
  const json = JSON.parse(ask("SELECT count() GROUP BY event ORDER BY event").stdout);
  assert.deepEqual(json.rows, [["Charged", 1], ["Even", 502], ["Odd", 501]]);
  assert.match(ask("--format", "csv", "SELECT count() GROUP BY event ORDER BY event").stdout, /^event,count\(\)\r?\nCharged,1/);
  assert.match(ask("--format", "table", "SELECT count()").stdout, /1004/);
  assert.match(ask("--explain", "SELECT count()").stdout, /plan|step/);
  const wrong = ask("SELECT count() WHERE event = 'Evn'");
  assert.equal(wrong.status, 3);
  assert.match(wrong.stderr, /did you mean Even\?/);
  assert.match(wrong.stderr, /\^/);
  const file = join(place, "question.cql");
  writeFileSync(file, "SELECT count()\n  WHERE event = 'Odd'\n");
  assert.deepEqual(JSON.parse(ask("--file", file).stdout).rows, [[501]]);
  assert.equal(kolam(["query", "--data", data, "--project", "Nothing", "SELECT count()"]).status, 3);
  assert.equal(kolam(["query", "--data", join(place, "nowhere"), "--project", "Shop", "SELECT count()"]).status, 3);
});

test("what is exported imports to the same answers", () => {
  const out = kolam(["export", "--data", data, "--project", "Shop"], { maxBuffer: 1 << 28 });
  assert.equal(out.status, 0, out.stderr);
  const copy = join(place, "copy");
  const taken = kolam(["import", "--data", copy, "--project", "Shop", "--create", "--time-zone", "Asia/Kolkata", "-"], { input: out.stdout });
  assert.equal(taken.status, 0, taken.stderr);
  const question = "SELECT count(), users(), sum(n) GROUP BY event, day ORDER BY event";
  const rows = [data, copy].map((folder) => JSON.parse(kolam(["query", "--data", folder, "--project", "Shop", question]).stdout).rows);
  assert.deepEqual(rows[1], rows[0]);
  const one = kolam(["export", "--data", data, "--project", "Shop", "--user", "u3"]);
  assert.ok(one.stdout.trim().split("\n").every((text) => JSON.parse(text).identity === "u3"));
});

test("a user is shown with identities and timeline", () => {
  const shown = JSON.parse(kolam(["user", "--data", data, "--project", "Shop", "--limit", "3", "u3"]).stdout);
  assert.deepEqual(shown.identities, [{ kind: "identity", value: "u3" }]);
  assert.equal(shown.events.length, 3);
  assert.equal(kolam(["user", "--data", data, "--project", "Shop", "nobody"]).status, 3);
});

test("check finds all well, and names a changed byte", () => {
  const well = kolam(["check", "--deep", "--data", data]);
  assert.equal(well.status, 0, well.stdout + well.stderr);
  assert.match(well.stdout, /all is well/);
  const manifest = /projects\/(\S+):/.exec(well.stdout)[1];
  const path = join(data, "projects", manifest, "MANIFEST");
  const bytes = readFileSync(path);
  writeFileSync(path, Buffer.concat([bytes.subarray(0, 20), Buffer.from([bytes[20] ^ 0xff]), bytes.subarray(21)]));
  const damaged = kolam(["check", "--data", data]);
  assert.equal(damaged.status, 1, damaged.stdout + damaged.stderr);
  assert.match(damaged.stdout, /MANIFEST/);
  writeFileSync(path, bytes);
});

test("the settings in force tell where they come from", () => {
  const file = join(place, "kolam.toml");
  writeFileSync(file, '# a comment\n[server]\nlisten = "127.0.0.1:9999"\nworkers = 7\n');
  const shown = kolam(["config", "--config", file, "--workers", "3"], { env: { ...process.env, KOLAM_DATA: "/srv/kolam" } }).stdout;
  assert.match(shown, /^data += \/srv\/kolam +# environment$/m);
  assert.match(shown, /^listen += 127\.0\.0\.1:9999 +# file$/m);
  assert.match(shown, /^workers += 3 +# flag$/m);
  assert.match(shown, /^threads += 0 +# default$/m);
  writeFileSync(file, "lisen = 1\n");
  assert.equal(kolam(["config", "--config", file]).status, 2);
});

test("keys are made, listed and revoked; the audit log is whole", () => {
  const admin = (...args) => kolam(["admin", ...args, "--data", data]);
  const made = admin("key", "create", "--project", "Shop", "--scopes", "ingest,query", "--name", "tests");
  assert.equal(made.status, 0, made.stderr);
  const id = /id +(\S+)/.exec(made.stdout)[1];
  assert.match(admin("key", "list", "--project", "Shop").stdout, new RegExp(`${id} +tests +ingest,query`));
  assert.equal(admin("key", "revoke", id, "--project", "Shop").status, 0);
  assert.doesNotMatch(admin("key", "list", "--project", "Shop").stdout, new RegExp(id));
  assert.equal(admin("key", "create", "--project", "Shop", "--scopes", "everything").status, 2);
  assert.match(admin("audit", "list").stdout, /client\.revoke/);
  assert.equal(admin("audit", "verify").status, 0);
});

test("a folder in use says so; its server answers the same commands", async () => {
  const server = await Server.start();
  const used = kolam(["query", "--data", server.folder, "--project", "Shop", "SELECT count()"]);
  assert.equal(used.status, 4);
  assert.match(used.stderr, /another process is using it/);
  const env = { ...process.env, KOLAM_TOKEN: `${server.client.id}.${server.client.secret}` };
  const through = (args, options = {}) => new Promise((resolve) => {
    const child = spawn(KOLAM, [...args, "--server", server.url], { env });
    const result = { stdout: "", stderr: "" };
    child.stdout.on("data", (chunk) => { result.stdout += chunk; });
    child.stderr.on("data", (chunk) => { result.stderr += chunk; });
    child.on("close", (status) => resolve({ ...result, status }));
    child.stdin.end(options.input ?? "");
  });
  const sent = await through(["import", "-"], { input: `${line(0)}\nnot json\n${line(1)}\n` });
  assert.equal(sent.status, 3);
  assert.deepEqual(JSON.parse(sent.stdout), { lines: 3, taken: 2, refused: 1 });
  assert.match(sent.stderr, /-:2: /);
  await server.countIs("Odd", 1);
  assert.deepEqual(JSON.parse((await through(["query", "SELECT count() WHERE event = 'Odd'"])).stdout).rows, [[1]]);
  assert.match((await through(["query", "--format", "table", "SELECT count() GROUP BY event"])).stdout, /Odd +1/);
  assert.match((await through(["user", "u1"])).stdout, /"identity":"u1"/);
  assert.equal((await through(["query", "SELECT"])).status, 3);
  const second = kolam(["serve", "--data", join(place, "other"), "--listen", `127.0.0.1:${server.port}`]);
  assert.equal(second.status, 4);
  assert.match(second.stderr, /port \d+ of 127\.0\.0\.1 is in use/);
  const same = kolam(["serve", "--data", server.folder, "--listen", "127.0.0.1:0"]);
  assert.equal(same.status, 4);
  assert.equal(await server.stop(), 0);
});

test("the demo loads its data once, opens signed in, and stops at Ctrl-C", async () => {
  const folder = join(place, "demo");
  const run = async () => {
    const port = await freePort();
    const child = spawn(KOLAM, ["demo", "--data", folder, "--listen", `127.0.0.1:${port}`, "--demo-data", join(ROOT, "demo", "complete-journey")]);
    let output = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => { output += chunk; });
    const link = await eventually(() => /http:\S+\/signin\?ticket=(\S+)/.exec(output), "the link is printed", 60000);
    const url = `http://127.0.0.1:${port}`;
    const session = await fetch(`${url}/v1/session`, { method: "POST", body: JSON.stringify({ ticket: link[1] }) });
    assert.equal(session.status, 200);
    const cookie = session.headers.getSetCookie()[0].split(";")[0];
    const { organisations, csrf_token: csrf } = await session.json();
    const headers = { cookie, "x-csrf-token": csrf, "x-kolam-project": organisations[0].projects[0].id };
    const { reports } = await (await fetch(`${url}/v1/reports`, { headers })).json();
    const answers = await Promise.all(reports.map(async (report) => {
      const answer = await fetch(`${url}/v1/query`, { method: "POST", headers, body: JSON.stringify({ query: report.query }) });
      assert.equal(answer.status, 200, report.name);
      return [report.kind, await answer.json()];
    }));
    child.kill("SIGINT");
    assert.equal(await new Promise((resolve) => child.on("exit", resolve)), 0);
    return { output, answers: Object.fromEntries(answers) };
  };
  const first = await run();
  assert.match(first.output, /Loading/);
  assert.deepEqual(first.answers.funnel.rows.map((row) => row.slice(0, 3)), [[1, "Campaign Received", 1559], [2, "Coupon Redeemed", 372], [3, "Item Purchased", 330]]);
  assert.deepEqual(Object.keys(first.answers).sort(), ["funnel", "retention", "timeline", "trends"]);
  assert.ok(first.answers.timeline.rows.length > 10);
  const second = await run();
  assert.doesNotMatch(second.output, /Loading/);
  assert.deepEqual(second.answers.funnel.rows, first.answers.funnel.rows);
});
