// ingest.mjs - taking events in at full speed: the server under load for minutes, with questions
// meanwhile; then single events on many connections; then an import.
//
//     node bench/ingest.mjs [--only sustained,singles,import] [--seconds 300] [--rate 0]
//                           [--load-users 4000000] [--events 10000000] [--build DIR] [--write]
//
// The load generator is on the same processors. --write puts the tables into docs/benchmarks.md.

import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { argument, machine, rate, table, writeSection } from "./document.mjs";
import { quantile } from "./figures.mjs";
import { BUILD, cpuOf, load, memoryOf } from "./load.mjs";

process.env.KOLAM ??= join(BUILD, "kolam");
const { Server } = await import("../tests/scenario/server.mjs");
const KOLAM = process.env.KOLAM;
const ONLY = argument("only", "sustained,singles,import").split(",");
const EVENTS = Number(argument("events", "1e7"));
const lines = [];

function say(text) {
  process.stderr.write(`${text}\n`);
  lines.push(text);
}

const sayTable = (rows) => say(`${table(["what", "asked", "measured"], rows)}\n`);

// --- HTTP for minutes, with questions ---------------------------------------------------------------------

const QUESTIONS = [
  "SELECT count() WHERE event = 'Charged' GROUP BY hour",
  "SELECT users() WHERE event = 'Product Viewed'",
  "FUNNEL 'Product Viewed' THEN 'Added to Cart' THEN 'Charged' WITHIN 7 days",
  "EVENTS OF 'user_0000000042' LIMIT 100",
];

const ms = (n) => (n < 10 ? n.toFixed(2) : n.toFixed(0));
const both = (values) => `${ms(quantile(values, 0.5))} / ${ms(quantile(values, 0.99))} ms`;
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

// What was acknowledged is there; requests in flight at the end may be there too.
async function mustHold(server, acknowledged) {
  const [[count]] = await server.rows("SELECT count()");
  if (count < acknowledged) throw new Error(`${acknowledged} events were acknowledged, ${count} are there`);
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
  await mustHold(server, result.acknowledged);
  const events = result.acknowledged;
  say(`HTTP \`POST /v1/events\` for ${seconds} s: batches of 1000, 8 connections, ${rate(users)} users at random, ${eventsPerSecond ? `${rate(eventsPerSecond)} events/s offered` : "as many as are taken"}, a question and a probe every second.\n`);
  sayTable([
    ["events acknowledged a second", "500,000", rate(result.events_per_s)],
    ["acknowledgement, p50 / p99", "p99 100 ms", `${result.p50_ms} / ${result.p99_ms} ms`],
    ["requests refused (429)", "", `${rate(result.refused)}; of the probes ${found.refusals}`],
    ["CPU of the server, all threads; of the generator", "", `${(cpu / events * 1e6).toFixed(2)} µs an event; ${(result.client_cpu_s / events * 1e6).toFixed(3)} µs`],
    ...QUESTIONS.map((question, i) => [`\`${question}\`, p50 / p99`, "", both(found.questions[i])]),
    ["all questions, p99", "", `${ms(quantile(found.questions.flat(), 0.99))} ms`],
    ["acknowledged until visible, p50 / p99", "50 ms typically", both(found.stale)],
    ["memory, peak", "2 GiB", `${(memoryOf(server.process.pid, "VmHWM") / 1024).toFixed(2)} GiB`],
    ["at the end: waiting to be applied; events in memory; part files (most at any time)", "", `${(end.queue / 2 ** 20).toFixed(1)} MiB; ${rate(end.memory)}; ${end.files} (${found.files})`],
  ]);
  await server.stop();
}

// --- single events, and files ------------------------------------------------------------------------------

async function singles() {
  const server = await Server.start();
  const result = await load(server, 256, 1, 15);
  await mustHold(server, result.acknowledged);
  say("HTTP, one event in a request, 256 connections.\n");
  sayTable([["requests a second", "40,000", rate(result.requests_per_s)], ["acknowledgement, p50 / p99", "", `${result.p50_ms} / ${result.p99_ms} ms`]]);
  await server.stop();
}

function imports() {
  const folder = mkdtempSync(join(tmpdir(), "kolam-ingest-"));
  const file = join(folder, "events.ndjson");
  const script = 'set -e; "$0" bench gen --events "$1" --users "$2" > "$3"; TIMEFORMAT="@ %R %U %S"; time "$0" import --data "$4" --project bench --create --time-zone UTC "$3"';
  try {
    const run = spawnSync("bash", ["-c", script, KOLAM, EVENTS, Math.round(EVENTS / 25), file, join(folder, "data")].map(String), { encoding: "utf8" });
    if (run.status !== 0) throw new Error(`the import ended with ${run.status}: ${run.stderr}`);
    const [wall, user, system] = /@ ([\d.]+) ([\d.]+) ([\d.]+)\s*$/.exec(run.stderr).slice(1).map(Number);
    say(`\`kolam import\` of ${rate(EVENTS)} events as NDJSON.\n`);
    sayTable([["events a second of CPU", "600,000", rate(EVENTS / (user + system))], ["events a second of wall time", "", rate(EVENTS / wall)]]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const PARTS = { sustained, singles, import: imports };
for (const part of ONLY) await PARTS[part]();
const text = `## Taking events in\n\nMade by \`node bench/ingest.mjs\` on ${machine()}; fsync on, the load generator on the same processors.\n\n${lines.join("\n")}`;
console.log(text);
if (process.argv.includes("--write")) writeSection("ingest", text);
