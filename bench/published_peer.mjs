// published_peer.mjs - one peer in a process of its own, so that its CPU time and its memory are its
// own. Started by published.mjs with one argument, a JSON of options; prints one JSON of results.

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { PEERS } from "./peers.mjs";
import { median, quantile, sampleUser } from "./figures.mjs";

const options = JSON.parse(process.argv[2]);
const Peer = PEERS[options.engine];
const peer = new Peer(options);

async function measured(work) {
  const start = performance.now(), used = process.cpuUsage();
  const result = await work();
  const cpu = process.cpuUsage(used);
  return { result, wall_ms: performance.now() - start, cpu_ms: (cpu.user + cpu.system) / 1e3 };
}

// Data that an earlier run left in the folder are used again when they're the same.
async function load() {
  const note = join(options.folder, "loaded.json");
  const wanted = JSON.stringify([options.events, options.users, options.days]);
  if (existsSync(note)) {
    const before = JSON.parse(readFileSync(note, "utf8"));
    if (before.wanted === wanted) return before;
  }
  const { result: rows, wall_ms, cpu_ms } = await measured(() => peer.load());
  const loaded = { wanted, rows, wall_ms, cpu_ms };
  writeFileSync(note, JSON.stringify(loaded));
  return loaded;
}

// What takes more memory than a peer has isn't answered; any other failure is ours.
async function ask(sql) {
  try {
    await peer.rows(sql);
  } catch (error) {
    if (!/memory/i.test(error.message)) throw error;
    return { error: `more than ${options.memory}` };
  }
  const runs = [];
  for (let i = 0; i < options.repeat; i++) runs.push(await measured(() => peer.rows(sql)));
  return { wall_ms: median(runs.map((r) => r.wall_ms)), cpu_ms: median(runs.map((r) => r.cpu_ms)), answer: runs[0].result };
}

// Every `stride`th user of Kolam's sample, for as long as a minute lasts; the second time counts.
async function timelines() {
  const stride = Math.max(1, Math.floor(options.timelines / options.sample));
  const walls = [], cpus = [], counts = {};
  const end = performance.now() + 60000;
  for (let i = 0; i < options.timelines && performance.now() < end; i += stride) {
    const sql = peer.timeline(sampleUser(i, options.timelines, options.users));
    counts[i] = (await peer.rows(sql)).length;
    const run = await measured(() => peer.rows(sql));
    walls.push(run.wall_ms);
    cpus.push(run.cpu_ms);
  }
  return { wall_ms: quantile(walls, 0.99), p50_ms: median(walls), cpu_ms: quantile(cpus, 0.99), users: walls.length, counts };
}

await peer.open();
const loaded = await load();
const questions = {};
for (const [name, sql] of Object.entries(peer.questions)) {
  process.stderr.write(`${Peer.title}: ${name}\n`);
  questions[name] = await ask(sql);
}
process.stderr.write(`${Peer.title}: timelines\n`);
questions.timelines = await timelines();
const size = await peer.size();
writeFileSync(options.results, JSON.stringify({ title: Peer.title, version: peer.version, loaded, size, sizes: peer.sizes, questions }));
peer.close();
process.exit(0); // its threads may not end by themselves
