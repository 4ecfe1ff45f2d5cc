// document.mjs - docs/benchmarks.md holds a section for each suite; each is written by its own script
// and leaves the others as they are.

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");
const DOCUMENT = join(ROOT, "docs", "benchmarks.md");
const HEAD = "# Benchmarks\n\n`make bench` makes all of this again; each section says what made it, where and when.\n";
const ORDER = ["published", "ingest", "spine"];

const begin = (name) => `<!-- ${name}: begin -->`;
const end = (name) => `<!-- ${name}: end -->`;

function sectionOf(text, name) {
  const from = text.indexOf(begin(name));
  const to = text.indexOf(end(name));
  return from < 0 || to < from ? null : text.slice(from + begin(name).length, to).trim();
}

// Replaces the section `name`, or adds it.
export function writeSection(name, markdown) {
  const old = existsSync(DOCUMENT) ? readFileSync(DOCUMENT, "utf8") : "";
  const sections = ORDER.map((n) => [n, n === name ? markdown.trim() : sectionOf(old, n)]).filter(([, text]) => text);
  writeFileSync(DOCUMENT, [HEAD, ...sections.map(([n, text]) => `${begin(n)}\n${text}\n${end(n)}\n`)].join("\n"));
}

export const machine = () => `${new Date().toISOString().slice(0, 10)}: ${cpus()[0].model}, ${cpus().length} processors, ${(totalmem() / 2 ** 30).toFixed(0)} GiB`;

export function table(head, rows) {
  return [head, head.map(() => "---"), ...rows].map((row) => `| ${row.join(" | ")} |`).join("\n");
}

export function argument(name, fallback) {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? fallback : process.argv[at + 1];
}

export const rate = (n) => Math.round(n).toLocaleString("en");
