// run.mjs - the numbers that the spine promised, in one run: import, questions against DuckDB on the
// same data, HTTP ingest, start, idling, recovery.
//
//     node bench/run.mjs [--events 10000000] [--only import,query,http,start,recovery] [--write]
//
// Needs build/kolam, build/bench/http_load (`make bench` builds both) and the packages of tests/.
// Everything runs on 127.0.0.1 and in a temporary folder. --build DIR: another folder than build.
// --write puts the tables into docs/benchmarks.md.

import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { ROOT, argument, machine, rate, table, writeSection } from "./document.mjs";
import { median } from "./figures.mjs";
import { BUILD, cpuOf, load, memoryOf } from "./load.mjs";

process.env.KOLAM ??= join(BUILD, "kolam");
const { Server, freePort } = await import("../tests/scenario/server.mjs");
const KOLAM = process.env.KOLAM;
const requireTests = createRequire(join(ROOT, "tests", "package.json"));

const EVENTS = Number(argument("events", "1e7"));
const USERS = Math.round(EVENTS / 25);
const ONLY = argument("only", "import,query,http,start,recovery").split(",");
const folder = mkdtempSync(join(tmpdir(), "kolam-bench-"));
const lines = [];
const promises = []; // what, at least or at most, measured

function say(text = "") {
  process.stderr.write(`${text}\n`);
  lines.push(text);
}

const promise = (what, asked, measured) => promises.push([what, asked, measured]);
const ms = (n) => (n < 10 ? n.toFixed(2) : n.toFixed(0));

// Runs a command; its wall and CPU seconds as bash tells them.
function timed(command) {
  const run = spawnSync("bash", ["-c", `TIMEFORMAT='@ %R %U %S'; time ${command}`],
    { encoding: "utf8", maxBuffer: 1 << 30 });
  const [, wall, user, system] = /@ ([\d.]+) ([\d.]+) ([\d.]+)\s*$/.exec(run.stderr) ?? [];
  if (run.status !== 0) throw new Error(`${command}: ${run.stderr}`);
  return { wall: Number(wall), cpu: Number(user) + Number(system), out: run.stdout, err: run.stderr };
}

function sayTable(head, rows) {
  say(`${table(head, rows)}\n`);
}

// --- the data, imported ---------------------------------------------------------------------------

const ndjson = join(folder, "events.ndjson");
const data = join(folder, "data");

function importEvents() {
  timed(`${KOLAM} bench gen --events ${EVENTS} --users ${USERS} > ${ndjson}`);
  const cost = timed(`${KOLAM} import --data ${data} --project bench --create --time-zone UTC ${ndjson}`);
  say(`### Import of ${rate(EVENTS)} generated events as NDJSON (${(statSync(ndjson).size / 1e9).toFixed(2)} GB)\n`);
  promise(`import of ${rate(EVENTS)} events as NDJSON, a second of CPU`, "250,000", rate(EVENTS / cost.cpu));
  sayTable(["what", "measured", "at least"], [
    ["events per second of CPU", rate(EVENTS / cost.cpu), "250,000"],
    ["events per second of wall time", rate(EVENTS / cost.wall), ""],
    ["wall, CPU", `${cost.wall.toFixed(1)} s, ${cost.cpu.toFixed(1)} s`, ""],
    ["size on disk", `${(Number(timed(`du -sb ${data}/projects | cut -f1`).out) / EVENTS).toFixed(2)} bytes an event`, ""],
  ]);
}

// --- questions, against DuckDB ----------------------------------------------------------------------

const DAY = 86400000;
const MARCH2 = Date.parse("2025-03-02");
const END = Date.parse("2025-04-01");
const DUCK = {
  "funnel of 3 steps in 7 days": `with a as (select person u, ts from e where event='Product Viewed'), b as (select person u, ts from e where event='Added to Cart'), c as (select person u, ts from e where event='Charged'), b1 as (select b.u,b.ts,a.ts st from b asof join a on b.u=a.u and b.ts>=a.ts where b.ts-a.ts<=${7 * DAY}), c1 as (select c.u,b1.st from c asof join b1 on c.u=b1.u and c.ts>=b1.ts where c.ts-b1.st<=${7 * DAY}) select (select count(distinct u) from a),(select count(distinct u) from b1),(select count(distinct u) from c1)`,
  "retention 90 x 90 days": `with f as (select person,min(ts//${DAY}) co from e where event='App Launched' group by 1), r as (select distinct person, ts//${DAY} d from e where event='Product Viewed') select sum(c),max(c) from (select co, d-co n, count(*) c from f join r using(person) where d>=co and d-co<90 group by 1,2)`,
  "segment: at least 5 in 30 days": `select count(*) from (select person from e where event='Product Viewed' and ts>=${MARCH2} group by 1 having count(*)>=5)`,
  "users per day, 90 days": `select count(*),sum(x) from (select ts//${DAY} d,count(distinct person) x from e where event='Product Viewed' and ts<${END} group by 1)`,
  "users of 90 days, exact": `select count(distinct person) from e where event='Product Viewed' and ts<${END}`,
  "events per day of one type": `select count(*),sum(x) from (select ts//${DAY} d,count(*) x from e where event='Charged' and ts<${END} group by 1)`,
  "sum by category": `select category, sum(price) x from e where event='Charged' and ts<${END} group by 1 order by 2 desc limit 3`,
  "top 10 products": `select product, count(*) x from e where event='Charged' and ts<${END} group by 1 order by 2 desc limit 3`,
  "one user's timeline of 100": `select ts,event,product,price from e where person='user_0000700000' order by ts desc limit 100`,
};
// For 10 M events, wall.
const FLOORS = {
  "funnel of 3 steps in 7 days": "50 ms", "retention 90 x 90 days": "60 ms", "segment: at least 5 in 30 days": "10 ms",
  "users of 90 days, exact": "5 ms", "one user's timeline of 100": "5 ms",
};
const FUNNEL = "funnel of 3 steps in 7 days";

async function duckCosts() {
  const { DuckDBInstance } = requireTests("@duckdb/node-api");
  const instance = await DuckDBInstance.create(join(folder, "d.duckdb"), { threads: "1", memory_limit: "10GB" });
  const duck = await instance.connect();
  await duck.run(`create table e as select identity as person, ts, evtName as "event", evtData."Product ID" as product, evtData."Category" as category, evtData."Price" as price from read_json('${ndjson}', format='newline_delimited', columns={identity:'VARCHAR',ts:'BIGINT',evtName:'VARCHAR',evtData:'STRUCT("Platform" VARCHAR,"City" VARCHAR,"Product ID" BIGINT,"Category" VARCHAR,"Price" DOUBLE,"Quantity" INT)'})`);
  const costs = {};
  for (const [name, sql] of Object.entries(DUCK)) {
    const walls = [], cpus = [];
    let rows = (await duck.runAndReadAll(sql)).getRows();
    for (let i = 0; i < 3; i++) {
      const start = performance.now(), used = process.cpuUsage();
      rows = (await duck.runAndReadAll(sql)).getRows();
      const after = process.cpuUsage(used);
      walls.push(performance.now() - start);
      cpus.push((after.user + after.system) / 1e3);
    }
    const [wall, cpu] = [median(walls), median(cpus)];
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
  const best = (name) => Math.min(single[name].wall_ms, both[name]?.wall_ms ?? Infinity);
  const ratio = (name) => duck[name].cpu / single[name].cpu_ms;
  for (const [name, asked] of Object.entries(FLOORS)) promise(name, asked, `${ms(best(name))} ms`);
  promise(`${FUNNEL}: DuckDB's CPU to Kolam's`, "20 ×", `${ratio(FUNNEL).toFixed(0)} ×`);
  say(`### Questions over ${rate(EVENTS)} events of ${rate(USERS)} users, warm, through parser, planner, snapshot and checksums\n`);
  say("Medians. DuckDB has one thread, and the same events in its own file; CPU against CPU. `best` is the better of one and two threads.\n");
  sayTable(["question", "Kolam CPU, 1 thread", "Kolam wall, best", "asked", "DuckDB CPU", "ratio of CPU", "Kolam's first rows", "DuckDB's"],
    Object.keys(single).filter((name) => name in DUCK).map((name) => [name, `${ms(single[name].cpu_ms)} ms`, `${ms(best(name))} ms`,
      FLOORS[name] ?? "", `${ms(duck[name].cpu)} ms`, `${ratio(name).toFixed(0)} ×`,
      single[name].first.slice(0, 60), duck[name].answer.slice(0, 60)]));
}

// --- HTTP ---------------------------------------------------------------------------------------------

async function httpIngest() {
  const server = await Server.start();
  const rows = [];
  for (const [connections, batch, floor] of [[8, 1000, "200,000 events/s"], [64, 1, "15,000 requests/s"]]) {
    const before = cpuOf(server.process.pid);
    const result = await load(server, connections, batch, 10);
    const cpu = cpuOf(server.process.pid) - before;
    promise(`HTTP, ${connections} connections, ${batch} in a request`, floor, `${rate(result.events_per_s)}/s`);
    rows.push([`${connections} connections, ${batch} in a request`, rate(result.events_per_s), rate(result.requests_per_s), `${result.p50_ms} / ${result.p99_ms} ms`,
      `${cpu.toFixed(1)} + ${result.client_cpu_s} s of ${(2 * result.seconds).toFixed(0)}`, String(result.refused), floor]);
  }
  say("### HTTP `POST /v1/events`, fsync on, the load generator on the same two cores\n");
  sayTable(["load", "events/s acknowledged", "requests/s", "p50 / p99", "CPU: server + client", "refused", "at least"], rows);
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
  const memory = memoryOf(child.pid, "VmRSS");
  child.kill("SIGTERM");
  await run(child);
  promise("start on the demo's folder", "1 s", `${seconds.toFixed(2)} s`);
  promise("memory, idle", "64 MB", `${memory.toFixed(0)} MB`);
  promise("CPU, idle", "0.5 %", `${(cpu * 100).toFixed(2)} %`);
  say("### Start and idling, on the demo's folder\n");
  sayTable(["what", "measured", "at most"], [["start", `${seconds.toFixed(2)} s`, "1 s"], ["memory", `${memory.toFixed(0)} MB`, "64 MB"], ["CPU", `${(cpu * 100).toFixed(2)} %`, "0.5 %"]]);
}

// --- recovery --------------------------------------------------------------------------------------------------

// The server says when it serves. The tests' launch asks without a pause, which takes a processor.
async function launchQuietly(server) {
  await server.begin();
  await new Promise((resolve, reject) => {
    server.process.stdout.on("data", () => / serves /.test(server.output.slice(-200)) && resolve());
    server.exited.then(() => reject(new Error(server.output)));
  });
  if (!(await server.request("GET", "/readyz")).ok) throw new Error("it serves, and isn't ready");
}

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
  await launchQuietly(server);
  const seconds = (performance.now() - start) / 1000;
  const [[after]] = await server.rows("SELECT count()");
  promise(`recovery after kill -9 with ${(log / 2 ** 30).toFixed(2)} GiB of log`, "10 s", `${seconds.toFixed(1)} s`);
  say("### Recovery after kill -9\n");
  sayTable(["what", "measured", "at most"], [["log", `${(log / 2 ** 30).toFixed(2)} GiB`, ""], ["events before, after", `${rate(before)}, ${rate(after)}`, ""],
    ["until it answers", `${seconds.toFixed(1)} s`, "10 s"]]);
  await server.stop();
}

const PARTS = { import: importEvents, query: askQuestions, http: httpIngest, start: startAndIdle, recovery };
try {
  for (const part of ONLY) await PARTS[part]();
  const text = [`## What the spine promised\n\nMade by \`node bench/run.mjs --events ${EVENTS}\` on ${machine()}.\n`,
    `${table(["what", "asked", "measured"], promises)}\n`, ...lines].join("\n");
  console.log(text);
  if (process.argv.includes("--write")) writeSection("spine", text);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
