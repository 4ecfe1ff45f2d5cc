// driver.mjs - talks to tests/model/driver.c: a line out, a line back.

import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const BUILDS = ["build-test", "build"].map((build) => join(ROOT, build, "tests", "model", "driver"));
export const DRIVER = process.env.KOLAM_DRIVER ?? BUILDS.find(existsSync) ?? BUILDS[0];

export class Driver {
  constructor({ tail = 8, flush = 24, shards = 2, zone = "UTC" } = {}) {
    this.folder = mkdtempSync(join(tmpdir(), "kolam-model-"));
    this.process = spawn(DRIVER, [this.folder, tail, flush, shards, zone].map(String),
      { stdio: ["pipe", "pipe", "inherit"] });
    this.lines = createInterface({ input: this.process.stdout })[Symbol.asyncIterator]();
    this.exited = new Promise((resolve) => this.process.on("exit", resolve));
  }

  // One command; `argument` is text or something to be JSON. Throws when the driver says error, if
  // `mayFail` isn't set.
  async ask(word, argument, { mayFail = false } = {}) {
    const text = argument === undefined ? ""
      : ` ${typeof argument === "string" ? argument : JSON.stringify(argument)}`;
    this.process.stdin.write(`${word}${text}\n`);
    const { value, done } = await this.lines.next();
    if (done) throw new Error(`the driver ended (${await this.exited}) at: ${word}${text}`);
    const answer = JSON.parse(value);
    if (answer.error && !mayFail) throw new Error(`${answer.error}, at: ${word}${text}`);
    return answer;
  }

  async close() {
    this.process.stdin.end();
    const status = await this.exited;
    rmSync(this.folder, { recursive: true, force: true });
    if (status !== 0) throw new Error(`the driver ended with status ${status}`);
  }
}
