// published.mjs - the published clickstream in Kolam, DuckDB and ClickHouse: the same questions, the
// same answers, one table of what they cost. `kolam bench --suite published` starts it.

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { ROOT, argument, machine, rate, table, writeSection } from "./document.mjs";
import { seconds } from "./figures.mjs";
import { PEERS, isInstalled } from "./peers.mjs";

const USAGE = `usage: kolam bench --suite published [options]

Makes the published events, loads them into Kolam, DuckDB and ClickHouse, one after the other, asks each the
same questions, checks that the answers agree, and prints a table of what they cost.

  --events N        100,000,000 when not said; 1e9 wants 25 GB of disk for Kolam alone
  --users N         an event in 25
  --engines LIST    kolam,duckdb,clickhouse; those not listed are taken from the folder when it has them
  --folder DIR      where the data go; kept, and used again by the next run (else a temporary folder)
  --repeat N        how often a question is asked after the first time; the median counts (3)
  --timelines N     of how many users (10000)
  --memory GB       at most for each peer (6)
  --cache BYTES     of Kolam's sections (2 GiB)
  --note TEXT       what a reader of the table has to know besides
  --write           the table goes into docs/benchmarks.md too
`;
if (process.argv.includes("--help")) {
  process.stdout.write(USAGE);
  process.exit(0);
}

const KOLAM = argument("kolam", join(ROOT, "build", "kolam"));
const EVENTS = Number(argument("events", "1e8"));
const USERS = Number(argument("users", Math.max(1, Math.round(EVENTS / 25))));
const DAYS = 90;
const ENGINES = argument("engines", "kolam,duckdb,clickhouse").split(",");
const FOLDER = argument("folder", null);
const REPEAT = Number(argument("repeat", "3"));
const TIMELINES = Number(argument("timelines", "10000"));
const MEMORY_GB = Number(argument("memory", "6"));
const CACHE = argument("cache", String(2 ** 31));
const folder = FOLDER ?? mkdtempSync(join(tmpdir(), "kolam-published-"));

const FUNNEL = "funnel of 3 steps in 7 days";

// name, CPU milliseconds asked for at 100 M, ratio asked for.
const ASKED = {
  [FUNNEL]: [170, 60],
  "retention 90 x 90 days": [140, 50],
  "segment: at least 5 in 30 days": [17, 40],
  "users per day, 90 days": [50, 35],
  "users of 90 days, exact": [11, 90],
  "events per day of one type": [1, null],
  "sum by category": [20, 5],
  "top 10 products": [5, 5],
  "flow of 5 steps": [1000, 10],
};

const progress = (text) => process.stderr.write(`[${new Date().toISOString().slice(11, 19)}] ${text}\n`);

function must(what, command, args, options = {}) {
  const run = spawnSync(command, args.map(String), { encoding: "utf8", maxBuffer: 1 << 30, stdio: ["ignore", "pipe", "inherit"], ...options });
  if (run.error || run.status !== 0) throw new Error(`${what} ended with ${run.error ?? run.status ?? run.signal}`);
  return run.stdout;
}

// --- Kolam ---------------------------------------------------------------------------------------------

function bytesIn(path) {
  const sums = { parts: 0, log: 0, rest: 0 };
  const walk = (at) => {
    for (const entry of readdirSync(at, { withFileTypes: true })) {
      const name = join(at, entry.name);
      if (entry.isDirectory()) walk(name);
      else sums[entry.name.endsWith(".part") ? "parts" : entry.name.endsWith(".log") ? "log" : "rest"] += statSync(name).size;
    }
  };
  walk(path);
  return sums;
}

function loadKolam(data) {
  const note = join(data, "loaded.json");
  const wanted = JSON.stringify([EVENTS, USERS, DAYS]);
  if (existsSync(note)) {
    const before = JSON.parse(readFileSync(note, "utf8"));
    if (before.wanted === wanted) return before;
    rmSync(data, { recursive: true, force: true });
  }
  progress(`Kolam: imports ${rate(EVENTS)} events from a pipe`);
  const costs = join(folder, "import.time");
  const started = performance.now();
  const out = must("kolam import", "bash", ["-c",
    '"$KOLAM" bench gen --events "$1" --users "$2" --days "$3" --form lean | { TIMEFORMAT="%R %U %S"; { time "$KOLAM" import --data "$4" --project bench --create --time-zone UTC - 2>&3; } 3>&2 2>"$5"; }',
    "import", EVENTS, USERS, DAYS, data, costs], { env: { ...process.env, KOLAM } });
  const [, user, system] = readFileSync(costs, "utf8").trim().split(/\s+/).map(Number);
  const counts = JSON.parse(out.trim().split("\n").at(-1));
  if (counts.refused !== 0) throw new Error(`kolam import refused ${counts.refused} lines`);
  const loaded = { wanted, rows: counts.taken, wall_ms: performance.now() - started, cpu_ms: (user + system) * 1000 };
  writeFileSync(note, JSON.stringify(loaded));
  return loaded;
}

function askKolam(data, threads, timelines) {
  progress(`Kolam: asks with ${threads} thread${threads > 1 ? "s" : ""}`);
  const out = must("kolam bench query", KOLAM, ["bench", "query", "--data", data, "--project", "bench", "--repeat", Math.max(REPEAT, 5), "--threads", threads,
    "--cache", CACHE, "--users", USERS, "--format", "json", ...(timelines ? ["--timelines", TIMELINES] : [])]);
  const asked = out.trim().split("\n").map((line) => JSON.parse(line));
  return Object.fromEntries(asked.map(({ question, ...cost }) => [question, cost]));
}

function runKolam() {
  const data = join(folder, "kolam");
  const loaded = loadKolam(data);
  const questions = askKolam(data, 1, true);
  const both = askKolam(data, 2, false);
  for (const [name, cost] of Object.entries(both)) questions[name].wall_two_ms = cost.wall_ms;
  const sizes = bytesIn(join(data, "projects"));
  if (!FOLDER) rmSync(data, { recursive: true, force: true });
  return { title: "Kolam", version: must("kolam --version", KOLAM, ["--version"]).trim(), loaded, size: sizes.parts, sizes, questions };
}

// --- answers in one form: a list of names and what each is -----------------------------------------------------

const cents = (value) => Math.round(Number(value) * 100);
const by = (name, value) => (row) => [name(row), value(row)];

const FROM_KOLAM = {
  [FUNNEL]: (rows) => rows.map(by((r) => `step ${r[0]}`, (r) => r[2])),
  "retention 90 x 90 days": (rows) => rows.filter((r) => r[0] !== null && r[3] > 0).map(by((r) => `${r[0]} + ${r[2]}`, (r) => r[3])), // not that of all cohorts
  "sum by category": (rows) => rows.map(by((r) => r[0], (r) => cents(r[1]))),
  "top 10 products": (rows) => rows.map((r, i) => [`place ${i + 1}`, r[1]]), // of equals any may be the tenth
  "flow of 5 steps": (rows) => rows.filter((r) => r[0].at(-1) !== "(other)").map(by((r) => r[0].join(" > "), (r) => r[2])),
};
const FROM_PEER = {
  [FUNNEL]: ([row]) => row.map((users, i) => [`step ${i + 1}`, users]),
  "retention 90 x 90 days": (rows) => rows.map(by((r) => `${r[0]} + ${r[1]}`, (r) => r[2])),
  "sum by category": FROM_KOLAM["sum by category"],
  "top 10 products": FROM_KOLAM["top 10 products"],
  "flow of 5 steps": (rows) => rows.map(by((r) => (r[0].items ?? r[0]).join(" > "), (r) => r[1])),
};
const plain = (rows) => rows.map((r) => (r.length === 1 ? ["", r[0]] : r));

// The events of a user in the same millisecond have an order in Kolam alone, so that the paths of a few
// users differ; and of paths that are as frequent, any may be the last of those shown.
const SLACK = { "flow of 5 steps": Math.ceil(EVENTS / 2e7) };

function answerOf(engine, name, cost) {
  const rows = engine === "kolam" ? cost.table.rows : cost.answer;
  return new Map(((engine === "kolam" ? FROM_KOLAM : FROM_PEER)[name] ?? plain)(rows));
}

// The first differences, in words.
function differences(name, ours, theirs) {
  const slack = SLACK[name] ?? 0;
  const least = slack ? Math.min(...ours.values(), ...theirs.values()) + slack : -Infinity;
  const found = [];
  for (const key of new Set([...ours.keys(), ...theirs.keys()])) {
    const [a, b] = [ours.get(key), theirs.get(key)];
    const isMissing = (a === undefined || b === undefined) && Math.max(a ?? 0, b ?? 0) > least;
    const isDifferent = a !== undefined && b !== undefined && Math.abs(a - b) > slack;
    if (isMissing || isDifferent) found.push(`${key}: ${a ?? "nothing"}, not ${b ?? "nothing"}`);
  }
  return found;
}

// The questions whose answers differ, in words; none when all is well.
function disagreements(results) {
  const wrong = [];
  const { kolam, ...peers } = results;
  for (const [engine, peer] of Object.entries(peers)) {
    if (kolam.loaded.rows !== peer.loaded.rows) wrong.push(`events: Kolam has ${kolam.loaded.rows}, ${peer.title} ${peer.loaded.rows}`);
    for (const name of Object.keys(peer.questions)) {
      if (name === "timelines") continue;
      if (peer.questions[name].error) continue;
      if (!kolam.questions[name]) {
        wrong.push(`${name}: Kolam wasn't asked`);
        continue;
      }
      const ours = answerOf("kolam", name, kolam.questions[name]);
      const theirs = answerOf(engine, name, peer.questions[name]);
      if (ours.size === 0) wrong.push(`${name}: no rows`);
      const found = differences(name, ours, theirs);
      if (found.length > 0) wrong.push(`${name}: ${peer.title} disagrees (${found.length} of ${ours.size} rows): ${found.slice(0, 3).join("; ")}`);
    }
    for (const [user, count] of Object.entries(peer.questions.timelines?.counts ?? {}))
      if (kolam.questions.timelines.counts[user] !== count) wrong.push(`timeline of user ${user} of the sample: Kolam has ${kolam.questions.timelines.counts[user]} events, ${peer.title} ${count}`);
  }
  return wrong;
}

// --- the table --------------------------------------------------------------------------------------------------

const times = (ratio) => `${ratio < 10 ? ratio.toFixed(1) : ratio.toFixed(0)} ×`;
const better = (peers, of) => Math.min(...peers.map(of));

function peerCell(cost) {
  if (!cost) return "";
  return cost.error ?? `${seconds(cost.cpu_ms)} (${seconds(cost.wall_ms)})`;
}

function costRows(kolam, peers) {
  const rows = [];
  for (const name of Object.keys(kolam.questions).filter((n) => n in ASKED)) {
    const ours = kolam.questions[name];
    const asking = peers.filter((p) => p.questions[name]?.cpu_ms);
    const [cpu, ratio] = ASKED[name];
    rows.push([name, seconds(ours.cpu_ms), EVENTS === 1e8 && cpu ? seconds(cpu) : "", seconds(ours.wall_ms),
      `${seconds(ours.wall_two_ms)}${EVENTS === 1e9 && name === FUNNEL ? " (asked: 1.00 s)" : ""}`,
      ...peers.map((p) => peerCell(p.questions[name])),
      asking.length ? times(better(asking, (p) => p.questions[name].cpu_ms) / ours.cpu_ms) : "", ratio ? `${ratio} ×` : ""]);
  }
  return rows;
}

function timelineRow(kolam, peers) {
  const ours = kolam.questions.timelines;
  return [`a timeline of 100: p99 of ${rate(TIMELINES)} users`, seconds(ours.cpu_ms), "", `${seconds(ours.wall_ms)} (asked: 2 ms)`, "",
    ...peers.map((p) => `${seconds(p.questions.timelines.cpu_ms)} (${seconds(p.questions.timelines.wall_ms)}), of ${p.questions.timelines.users} users`),
    peers.length ? times(better(peers, (p) => p.questions.timelines.wall_ms) / ours.wall_ms) : "", "1 ×"];
}

function sizeTable(kolam, peers) {
  const each = (bytes) => `${(bytes / kolam.loaded.rows).toFixed(2)} B`;
  const smaller = peers.length ? better(peers, (p) => p.size) : null;
  const row = (name, bytes, asked) => [name, each(bytes), ...peers.map((p) => each(p.size)), smaller ? (bytes / smaller).toFixed(2) : "", asked];
  const { parts, log, rest } = kolam.sizes;
  return table(["size on disk, an event", "Kolam", ...peers.map((p) => p.title), "of the smaller", "asked"], [
    row("events", parts, "≤ 6.00 B, ≤ 0.70"), row("with identities and state, without the log", parts + rest, ""), row("with the log, which is trimmed by and by", parts + rest + log, "")]);
}

function loadTable(kolam, peers) {
  const cell = (engine) => `${seconds(engine.loaded.cpu_ms)} (${rate(engine.loaded.rows / (engine.loaded.cpu_ms / 1000))} events/s)`;
  return table(["CPU of loading", "Kolam", ...peers.map((p) => p.title)], [["from a pipe", cell(kolam), ...peers.map(cell)],
    ["wall", seconds(kolam.loaded.wall_ms), ...peers.map((p) => seconds(p.loaded.wall_ms))]]);
}

function markdown(results, skipped) {
  const { kolam, ...rest } = results;
  const peers = Object.values(rest);
  const command = `kolam bench --suite published --events ${EVENTS}`;
  const note = argument("note", "");
  return [`## ${["Kolam", ...peers.map((p) => p.title)].join(", ").replace(/, ([^,]*)$/, " and $1")} on ${rate(kolam.loaded.rows)} events\n`,
    `Made by \`${command}\` on ${machine()}; ${kolam.version}${peers.map((p) => `, ${p.title} ${p.version}`).join("")}.${skipped.map((s) => ` ${s} wasn't installed.`).join("")}${note ? ` ${note}` : ""}`,
    `${rate(USERS)} possible users, ${DAYS} days, ${rate(TIMELINES)} timelines. All engines agree, in every row (of the timelines: how many events; of the top products: the counts;`,
    `of the flow: the 1000 largest nodes, and ${SLACK["flow of 5 steps"]} users more or less, since only Kolam has an order of a user's events in the same millisecond).\n`,
    "Warm, the median of several runs; CPU is that of the process (`getrusage`), with one thread; Kolam's questions go through parser, planner, snapshot",
    "and checksums, and nothing remembers an answer. A peer's cell is CPU (wall). DuckDB holds the events in order of time, ClickHouse in three sort keys",
    "(`(event, user, time)`, `(user, time)`, `(day, event, hash of user, user, time)`), and each question is asked of the key that suits it best. Both have users as",
    "small integers and names as dictionaries; Kolam takes identities as text. What is asked is for 100 M events.\n",
    table(["question", "Kolam CPU", "asked", "Kolam wall", "Kolam wall, 2 threads", ...peers.map((p) => p.title), "the better one's CPU to Kolam's", "asked"],
      [...costRows(kolam, peers), timelineRow(kolam, peers)]), "",
    sizeTable(kolam, peers), "", loadTable(kolam, peers), "",
    "Loading: Kolam reads JSON with identities, checks and logs every event (fsync); DuckDB reads CSV; ClickHouse reads binary rows with codes for names",
    "(and makes all three tables of them).\n"].join("\n");
}

// --- all of it ------------------------------------------------------------------------------------------------

function runPeer(engine) {
  const home = join(folder, engine);
  const results = join(folder, `${engine}.json`);
  mkdirSync(home, { recursive: true });
  progress(`${PEERS[engine].title}: loads, unless it has`);
  must(PEERS[engine].title, process.execPath, [join(dirname(fileURLToPath(import.meta.url)), "published_peer.mjs"), JSON.stringify({
    engine, folder: home, kolam: KOLAM, events: EVENTS, users: USERS, days: DAYS, repeat: REPEAT, timelines: TIMELINES, sample: 200, results, keep: FOLDER !== null,
    memory: `${MEMORY_GB}GB`, memoryBytes: MEMORY_GB * 1e9,
  })]);
  if (!FOLDER) rmSync(home, { recursive: true, force: true });
  return JSON.parse(readFileSync(results, "utf8"));
}

function gather() {
  const results = {}, skipped = [];
  mkdirSync(folder, { recursive: true });
  for (const engine of ["kolam", ...Object.keys(PEERS)]) {
    const saved = join(folder, `${engine}.json`);
    if (engine !== "kolam" && ENGINES.includes(engine) && !isInstalled(PEERS[engine])) {
      console.error(`${PEERS[engine].title} is skipped: its package (${PEERS[engine].module}) isn't installed; cd tests && npm install`);
      skipped.push(PEERS[engine].title);
    } else if (ENGINES.includes(engine)) {
      results[engine] = engine === "kolam" ? runKolam() : runPeer(engine);
      writeFileSync(saved, JSON.stringify(results[engine]));
    } else if (existsSync(saved)) {
      const before = JSON.parse(readFileSync(saved, "utf8"));
      if (before.loaded.wanted === JSON.stringify([EVENTS, USERS, DAYS])) results[engine] = before;
    }
  }
  return { results, skipped };
}

try {
  if (!existsSync(KOLAM)) throw new Error(`there's no ${KOLAM}: make build`);
  const { results, skipped } = gather();
  if (!results.kolam) throw new Error("nothing to show without Kolam's own numbers");
  const wrong = disagreements(results);
  if (wrong.length > 0) {
    console.error(`THE ENGINES DISAGREE:\n${wrong.slice(0, 40).join("\n")}`);
    process.exitCode = 1;
  } else {
    const text = markdown(results, skipped);
    console.log(text);
    if (process.argv.includes("--write")) writeSection("published", text);
  }
} catch (error) {
  console.error(`kolam: ${error.message}`);
  process.exitCode = 1;
} finally {
  if (!FOLDER) rmSync(folder, { recursive: true, force: true });
}
