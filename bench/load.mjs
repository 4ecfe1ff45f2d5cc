// load.mjs - a server under load: bench/http_load.c beside it, and what the server uses.

import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { ROOT, argument } from "./document.mjs";

export const BUILD = argument("build", join(ROOT, "build"));
const LOAD = process.env.KOLAM_LOAD ?? join(BUILD, "bench", "http_load");

export function cpuOf(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

// "VmRSS" or "VmHWM", in MiB.
export const memoryOf = (pid, what) => Number(new RegExp(`${what}:\\s+(\\d+)`).exec(readFileSync(`/proc/${pid}/status`, "utf8"))[1]) / 1024;

// Not spawnSync: the server's output has to be read meanwhile.
export function load(server, connections, batch, seconds, users = 100000, eventsPerSecond = 0) {
  return new Promise((resolve, reject) => {
    const run = spawn(LOAD, [server.port, connections, batch, seconds, server.basic, users, eventsPerSecond].map(String), { stdio: ["ignore", "pipe", "inherit"] });
    let text = "";
    run.on("error", reject);
    run.stdout.on("data", (chunk) => { text += chunk; });
    run.on("exit", () => { try { resolve(JSON.parse(text)); } catch (error) { reject(error); } });
  });
}
