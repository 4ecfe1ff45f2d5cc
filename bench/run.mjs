// run.mjs - all the numbers of docs/benchmarks.md in one run: import, questions against DuckDB on the
// same data, HTTP ingest, start, idling, recovery.
//
//     node bench/run.mjs [--events 10000000] [--only import,query,http,start,recovery] [--write]
//     node bench/run.mjs --only sustained [--seconds 300] [--rate 0] [--load-users 4000000]
//
// Needs build/kolam, build/bench/http_load (`make bench` builds both) and the packages of tests/.
// Everything runs on 127.0.0.1 and in a temporary folder. --write puts the tables into
// docs/benchmarks.md.

import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { cpus, tmpdir, totalmem } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { Server, freePort } from "../tests/scenario/server.mjs";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");
const KOLAM = process.env.KOLAM ?? join(ROOT, "build", "kolam");
const LOAD = process.env.KOLAM_LOAD ?? join(ROOT, "build", "bench", "http_load");
const requireTests = createRequire(join(ROOT, "tests", "package.json"));

const argument = (name, fallback) => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? fallback : process.argv[at + 1];
};
const EVENTS = Number(argument("events", "1e7"));
const USERS = Math.round(EVENTS / 25);
const ONLY = argument("only", "import,query,http,start,recovery").split(",");
const folder = mkdtempSync(join(tmpdir(), "kolam-bench-"));
const lines = [];

function say(text = "") {
  console.log(text);
  lines.push(text);
}

const rate = (n) => Math.round(n).toLocaleString("en");
const ms = (n) => (n < 10 ? n.toFixed(2) : n.toFixed(0));

// Runs a command; its wall and CPU seconds as bash tells them.
function timed(command) {
  const run = spawnSync("bash", ["-c", `TIMEFORMAT='@ %R %U %S'; time ${command}`],
    { encoding: "utf8", maxBuffer: 1 << 30 });
  const [, wall, user, system] = /@ ([\d.]+) ([\d.]+) ([\d.]+)\s*$/.exec(run.stderr) ?? [];
  if (run.status !== 0) throw new Error(`${command}: ${run.stderr}`);
  return { wall: Number(wall), cpu: Number(user) + Number(system), out: run.stdout, err: run.stderr };
}

function table(head, rows) {
  say(`| ${head.join(" | ")} |`);
  say(`| ${head.map(() => "---").join(" | ")} |`);
  for (const row of rows) say(`| ${row.join(" | ")} |`);
  say();
}

// --- the data, imported ---------------------------------------------------------------------------

const ndjson = join(folder, "events.ndjson");
const data = join(folder, "data");

function importEvents() {
  timed(`${KOLAM} bench gen --events ${EVENTS} --users ${USERS} > ${ndjson}`);
  const cost = timed(`${KOLAM} import --data ${data} --project bench --create --time-zone UTC ${ndjson}`);
  say(`## Import of ${rate(EVENTS)} generated events as NDJSON (${(statSync(ndjson).size / 1e9).toFixed(2)} GB)\n`);
  table(["what", "measured", "at least"], [
    ["events per second of CPU", rate(EVENTS / cost.cpu), "250,000"],
    ["events per second of wall time", rate(EVENTS / cost.wall), ""],
    ["wall, CPU", `${cost.wall.toFixed(1)} s, ${cost.cpu.toFixed(1)} s`, ""],
    ["size on disk", `${(Number(timed(`du -sb ${data}/projects | cut -f1`).out) / EVENTS).toFixed(2)} bytes an event`, ""],
  ]);
}

// --- questions, against DuckDB ----------------------------------------------------------------------

const DAY = 86400000;
const MARCH2 = Date.parse("2025-03-02");
const DUCK = {
  "funnel of 3 steps in 7 days": `with a as (select person u, ts from e where event='Product Viewed'), b as (select person u, ts from e where event='Added to Cart'), c as (select person u, ts from e where event='Charged'), b1 as (select b.u,b.ts,a.ts st from b asof join a on b.u=a.u and b.ts>=a.ts where b.ts-a.ts<=${7 * DAY}), c1 as (select c.u,b1.st from c asof join b1 on c.u=b1.u and c.ts>=b1.ts where c.ts-b1.st<=${7 * DAY}) select (select count(distinct u) from a),(select count(distinct u) from b1),(select count(distinct u) from c1)`,
  "retention 90 x 90 days": `with f as (select person,min(ts//${DAY}) co from e where event='App Launched' group by 1), r as (select distinct person, ts//${DAY} d from e where event='Product Viewed') select sum(c),max(c) from (select co, d-co n, count(*) c from f join r using(person) where d>=co and d-co<90 group by 1,2)`,
  "segment: at least 5 in 30 days": `select count(*) from (select person from e where event='Product Viewed' and ts>=${MARCH2} group by 1 having count(*)>=5)`,
  "users per day, 90 days": `select count(*),sum(x) from (select ts//${DAY} d,count(distinct person) x from e where event='Product Viewed' group by 1)`,
  "users of 90 days, exact": `select count(distinct person) from e where event='Product Viewed'`,
  "events per day of one type": `select count(*),sum(x) from (select ts//${DAY} d,count(*) x from e where event='Charged' group by 1)`,
  "sum by category": `select category, sum(price) x from e where event='Charged' group by 1 order by 2 desc limit 3`,
  "top 10 products": `select product, count(*) x from e where event='Charged' group by 1 order by 2 desc limit 3`,
  "one user's timeline of 100": `select ts,event,product,price from e where person='user_0000700000' order by ts desc limit 100`,
};
const FLOORS = {
  "funnel of 3 steps in 7 days": "50 ms; 20 × less CPU", "retention 90 x 90 days": "60 ms", "segment: at least 5 in 30 days": "10 ms",
  "users of 90 days, exact": "5 ms", "one user's timeline of 100": "5 ms",
};

async function duckCosts() {
  const { DuckDBInstance } = requireTests("@duckdb/node-api");
  const instance = await DuckDBInstance.create(join(folder, "d.duckdb"), { threads: "1", memory_limit: "10GB" });
  const duck = await instance.connect();
  await duck.run(`create table e as select identity person, ts, evtName event, evtData."Product ID" product, evtData."Category" category, evtData."Price" price from read_json('${ndjson}', format='newline_delimited', columns={identity:'VARCHAR',ts:'BIGINT',evtName:'VARCHAR',evtData:'STRUCT("Platform" VARCHAR,"City" VARCHAR,"Product ID" BIGINT,"Category" VARCHAR,"Price" DOUBLE,"Quantity" INT)'})`);
  const costs = {};
  for (const [name, sql] of Object.entries(DUCK)) {
    let wall = Infinity, cpu = Infinity, rows;
    for (let i = 0; i < 3; i++) {
      const start = performance.now(), used = process.cpuUsage();
      rows = (await duck.runAndReadAll(sql)).getRows();
      const after = process.cpuUsage(used);
      wall = Math.min(wall, performance.now() - start);
      cpu = Math.min(cpu, (after.user + after.system) / 1e3);
    }
    costs[name] = { wall, cpu, answer: rows.slice(0, 3).map((r) => r.map(String).join(",")).join(";") };
  }
  duck.closeSync();
  instance.closeSync();
  return costs;
}

async function askQuestions() {
  const one = timed(`${KOLAM} bench query --data ${data} --project bench --repeat 7 --threads 1 --format json`);
  const two = timed(`${KOLAM} bench query --data ${data} --project bench --repeat 7 --threads 2 --format json`);
  const parse = (run) => Object.fromEntries(run.out.trim().split("\n").map((l) => JSON.parse(l)).map((q) => [q.question, q]));
  const [single, both, duck] = [parse(one), parse(two), await duckCosts()];
  say(`## Questions over ${rate(EVENTS)} events of ${rate(USERS)} users, warm, through parser, planner, snapshot and checksums\n`);
  say("DuckDB has one thread, and the same events in its own file; CPU against CPU. `best` is the better of one and two threads.\n");
  table(["question", "Kolam CPU, 1 thread", "Kolam wall, best", "asked", "DuckDB CPU", "ratio of CPU", "Kolam's first rows", "DuckDB's"],
    Object.keys(single).map((name) => [name, `${ms(single[name].cpu_ms)} ms`, `${ms(Math.min(single[name].wall_ms, both[name]?.wall_ms ?? Infinity))} ms`,
      FLOORS[name] ?? "", `${ms(duck[name].cpu)} ms`, `${(duck[name].cpu / single[name].cpu_ms).toFixed(0)} ×`,
      single[name].answer.slice(0, 60), duck[name].answer.slice(0, 60)]));
}

// --- HTTP ---------------------------------------------------------------------------------------------

function cpuOf(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

// Not spawnSync: the server's output has to be read meanwhile.
function load(server, connections, batch, seconds, users = 100000, eventsPerSecond = 0) {
  return new Promise((resolve, reject) => {
    const run = spawn(LOAD, [server.port, connections, batch, seconds, server.basic, users, eventsPerSecond].map(String), { stdio: ["ignore", "pipe", "inherit"] });
    let text = "";
    run.stdout.on("data", (chunk) => { text += chunk; });
    run.on("exit", () => { try { resolve(JSON.parse(text)); } catch (error) { reject(error); } });
  });
}

async function httpIngest() {
  const server = await Server.start();
  const rows = [];
  for (const [connections, batch, floor] of [[8, 1000, "500,000 events/s"], [64, 1, ""], [256, 1, "40,000 requests/s"]]) {
    const before = cpuOf(server.process.pid);
    const result = await load(server, connections, batch, 10);
    const cpu = cpuOf(server.process.pid) - before;
    rows.push([`${connections} connections, ${batch} an request`, rate(result.events_per_s), rate(result.requests_per_s), `${result.p50_ms} / ${result.p99_ms} ms`,
      `${cpu.toFixed(1)} + ${result.client_cpu_s} s of ${(2 * result.seconds).toFixed(0)}`, String(result.refused), floor]);
  }
  say("## HTTP `POST /v1/events`, fsync on, the load generator on the same two cores\n");
  table(["load", "events/s acknowledged", "requests/s", "p50 / p99", "CPU: server + client", "refused", "at least"], rows);
  await server.stop();
}

// --- HTTP for minutes, with questions ---------------------------------------------------------------------

const QUESTIONS = [
  "SELECT count() WHERE event = 'Charged' GROUP BY hour",
  "SELECT users() WHERE event = 'Product Viewed'",
  "FUNNEL 'Product Viewed' THEN 'Added to Cart' THEN 'Charged' WITHIN 7 days",
  "EVENTS OF 'user_0000000042' LIMIT 100",
];

const percentile = (values, p) => [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * p))] ?? NaN;
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, Math.max(0, milliseconds)));

async function metric(server, name) {
  const text = await fetch(`${server.url}/metrics`, { headers: { authorization: server.basic } }).then((r) => r.text());
  return Number(new RegExp(`^kolam_${name}(?:{[^}]*})? (\\d+)`, "m").exec(text)?.[1] ?? NaN);
}

function partFiles(server) {
  return readdirSync(join(server.folder, "projects"), { recursive: true }).filter((name) => name.endsWith(".part")).length;
}

// One event of its own, and how long after its acknowledgement a question counts it.
async function staleness(server, number) {
  await server.asClient("POST", "/v1/events", { identity: "probe", event: "Probe" }, { status: 200 });
  const acknowledged = performance.now();
  while ((await server.rows("SELECT count() WHERE event = 'Probe'"))[0][0] < number);
  return performance.now() - acknowledged;
}

// Once a second, until it's told to end: a question of the four in turn, and a probe.
async function askMeanwhile(server, state) {
  const found = { questions: QUESTIONS.map(() => []), stale: [], files: 0, refusals: 0 };
  const start = performance.now();
  for (let n = 0; !state.isDone; n++) {
    const began = performance.now();
    try {
      await server.rows(QUESTIONS[n % QUESTIONS.length]);
      found.questions[n % QUESTIONS.length].push(performance.now() - began);
      found.stale.push(await staleness(server, found.stale.length + 1));
    } catch (error) {
      if (!/answered 429/.test(error.message)) throw error;
      found.refusals++; // the queue was full: the probe wasn't taken
    }
    found.files = Math.max(found.files, partFiles(server));
    await pause(start + (n + 1) * 1000 - performance.now());
  }
  return found;
}

async function sustained() {
  const seconds = Number(argument("seconds", "300"));
  const eventsPerSecond = Number(argument("rate", "0"));
  const users = Number(argument("load-users", "4000000"));
  const server = await Server.start();
  await server.asClient("POST", "/v1/events", { identity: "user_0000000042", event: "Product Viewed" }, { status: 200 });
  for (const event of ["Added to Cart", "Charged", "Warm Up"])
    await server.asClient("POST", "/v1/events", { identity: "user_0000000042", event }, { status: 200 });
  await server.countIs("Warm Up", 1);
  const state = { isDone: false };
  const before = cpuOf(server.process.pid);
  const asking = askMeanwhile(server, state);
  const result = await load(server, 8, 1000, seconds, users, eventsPerSecond);
  const cpu = cpuOf(server.process.pid) - before;
  const end = { queue: await metric(server, "project_queue_bytes"), memory: await metric(server, "project_memory_events"), files: partFiles(server) };
  state.isDone = true;
  const found = await asking;
  const peak = Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${server.process.pid}/status`, "utf8"))[1]) / 2 ** 20;
  const events = result.events_per_s * result.seconds;
  const all = found.questions.flat();
  say(`## HTTP \`POST /v1/events\` for ${seconds} s: batches of 1000, 8 connections, ${rate(users)} users at random, ${eventsPerSecond ? `${rate(eventsPerSecond)} events/s offered` : "as many as are taken"}, fsync on, a question and a probe every second\n`);
  table(["what", "measured", "asked"], [
    ["events acknowledged a second", rate(result.events_per_s), "500,000"],
    ["acknowledgement, p50 / p99", `${result.p50_ms} / ${result.p99_ms} ms`, "p99 100 ms"],
    ["requests refused (429)", `${rate(result.refused)}; of the probes ${found.refusals}`, ""],
    ["CPU of the server, all threads; of the generator", `${(cpu / events * 1e6).toFixed(2)} us an event; ${(result.client_cpu_s / events * 1e6).toFixed(3)} us`, ""],
    ...QUESTIONS.map((question, i) => [`\`${question}\`, p50 / p99`, `${ms(percentile(found.questions[i], 0.5))} / ${ms(percentile(found.questions[i], 0.99))} ms`, ""]),
    ["all questions, p99", `${ms(percentile(all, 0.99))} ms`, ""],
    ["acknowledged until visible, p50 / p99", `${ms(percentile(found.stale, 0.5))} / ${ms(percentile(found.stale, 0.99))} ms`, "50 ms typically"],
    ["memory, peak", `${peak.toFixed(2)} GiB`, "2 GiB"],
    ["at the end: waiting to be applied; events in memory; part files (most at any time)", `${(end.queue / 2 ** 20).toFixed(1)} MiB; ${rate(end.memory)}; ${end.files} (${found.files})`, ""],
  ]);
  await server.stop();
}

// --- start, idling ----------------------------------------------------------------------------------------

async function startAndIdle() {
  const demo = join(folder, "demo");
  const port = await freePort();
  const run = (process_) => new Promise((resolve) => process_.on("exit", resolve));
  const startDemo = async () => {
    const start = performance.now();
    const child = spawn(KOLAM, ["demo", "--data", demo, "--listen", `127.0.0.1:${port}`], { stdio: "ignore", cwd: ROOT });
    while (!(await fetch(`http://127.0.0.1:${port}/readyz`).then((r) => r.ok, () => false)))
      if (child.exitCode !== null) throw new Error("the demo ended");
    return { child, seconds: (performance.now() - start) / 1000 };
  };
  const first = await startDemo();
  first.child.kill("SIGTERM");
  await run(first.child);
  const { child, seconds } = await startDemo();
  await new Promise((resolve) => setTimeout(resolve, 3000)); // what starting leaves to do
  const before = cpuOf(child.pid);
  await new Promise((resolve) => setTimeout(resolve, 20000));
  const cpu = (cpuOf(child.pid) - before) / 20;
  const memory = Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, "utf8"))[1]) / 1024;
  child.kill("SIGTERM");
  await run(child);
  say("## Start and idling, on the demo's folder\n");
  table(["what", "measured", "at most"], [["first start, with the import", `${first.seconds.toFixed(2)} s`, ""],
    ["start", `${seconds.toFixed(2)} s`, "1 s"], ["memory", `${memory.toFixed(0)} MB`, "64 MB"], ["CPU", `${(cpu * 100).toFixed(2)} %`, "0.5 %"]]);
}

// --- recovery --------------------------------------------------------------------------------------------------

async function recovery() {
  // Neither log nor memory makes a checkpoint due before the log has grown to a gibibyte; the start
  // after the kill is an ordinary one.
  const server = await Server.start({ args: ["--checkpoint", String(4 * 2 ** 30), "--flush", "8000000"] });
  let log = 0;
  for (let round = 0; log < 2 ** 30 && round < 24; round++) {
    await load(server, 8, 1000, 5);
    log = Number(timed(`du -sb ${server.folder}/projects/*/log | cut -f1`).out);
  }
  const [[before]] = await server.rows("SELECT count()");
  await server.kill();
  server.args = [];
  const start = performance.now();
  await server.launch();
  const seconds = (performance.now() - start) / 1000;
  const [[after]] = await server.rows("SELECT count()");
  say("## Recovery after kill -9\n");
  table(["what", "measured", "at most"], [["log", `${(log / 2 ** 30).toFixed(2)} GiB`, ""], ["events before, after", `${rate(before)}, ${rate(after)}`, ""],
    ["until it answers", `${seconds.toFixed(1)} s`, "10 s"]]);
  await server.stop();
}

const PARTS = { import: importEvents, query: askQuestions, http: httpIngest, start: startAndIdle, recovery, sustained };
say(`# Benchmarks\n\nMade by \`node bench/run.mjs --events ${EVENTS}\` on ${new Date().toISOString().slice(0, 10)}: ${cpus()[0].model}, ${cpus().length} processors, ${(totalmem() / 2 ** 30).toFixed(0)} GiB.\n`);
try {
  for (const part of ONLY) await PARTS[part]();
  if (process.argv.includes("--write")) writeFileSync(join(ROOT, "docs", "benchmarks.md"), `${lines.join("\n").trim()}\n`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
