// What docs/guide says is what happens. Blocks marked `run` are run, in the order of the page, and what
// they print is compared with the block marked `answer` behind them; … stands for anything.
//
//     ```sh run           bash, in a folder of the page's own; $URL, $ID, $SECRET reach a server
//     ```sh run=3         the same, and the exit status
//     ```sql run          kolam query, of the demo's data
//     ```text answer      (or json)
//
// KOLAM_GUIDE=write node scenario/guide.test.mjs    writes the answers into the pages; read the diff.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { after, before, test } from "node:test";

import { KOLAM, Server, eventually, freePort } from "./server.mjs";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const GUIDE = join(ROOT, "docs", "guide");
const DATA = join(ROOT, "demo", "complete-journey");
const WRITES = process.env.KOLAM_GUIDE === "write";
const FENCE = /^```(\w+) (run(?:=(\d+))?|answer)\n([\s\S]*?)^```$/gm;

let server;
let work;

before(async () => {
  work = mkdtempSync(join(tmpdir(), "kolam-guide-"));
  mkdirSync(join(work, "bin"));
  symlinkSync(KOLAM, join(work, "bin", "kolam"));
  const imported = await bash(`kolam import --project Demo --create --time-zone America/New_York --data '${join(work, "data")}' \
    '${join(DATA, "profiles.ndjson.gz")}' '${join(DATA, "events.ndjson.gz")}'`, work, {});
  assert.equal(imported.status, 0, imported.text);
  server = new Server({ folder: join(work, "data") });
  server.port = await freePort();
  await server.launch();
  await server.setup();
  await useProject("Demo");
});

after(async () => {
  await server?.stop();
  rmSync(work, { recursive: true, force: true });
});

// The setup's owner belongs to the organisation that the import made, so sees its projects.
async function useProject(name) {
  const session = await server.asOwner("GET", "/v1/session", undefined, { status: 200 });
  let project = session.organisations.flatMap((o) => o.projects).find((p) => p.name === name);
  if (!project) project = await server.asOwner("POST", "/v1/projects", { name, time_zone: "UTC" }, { status: 201 });
  server.project = project.id;
  server.client = await server.asOwner("POST", "/v1/api-clients", { name: "guide", scopes: ["ingest", "query", "people", "manage"] }, { status: 201 });
}

function bash(script, cwd, env) {
  return new Promise((resolve) => {
    const shell = spawn("bash", ["-c", script], { cwd, stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, PATH: `${join(work, "bin")}:${process.env.PATH}`, LC_ALL: "C.UTF-8", ...env } });
    let text = "";
    for (const stream of [shell.stdout, shell.stderr]) stream.on("data", (chunk) => { text += chunk; });
    shell.on("close", (status) => resolve({ status, text }));
  });
}

function run(block, cwd) {
  const { id, secret } = server.client;
  if (block.language === "sql")
    return bash(`kolam query --format table --file - <<'END_OF_QUESTION'\n${block.text}END_OF_QUESTION`, cwd,
      { KOLAM_SERVER: server.url, KOLAM_TOKEN: `${id}.${secret}` });
  return bash(block.text, cwd, { URL: server.url, ID: id, SECRET: secret });
}

// What was acknowledged is visible a moment later.
async function settle() {
  await eventually(async () => {
    const text = await (await fetch(`${server.url}/metrics`)).text();
    const values = (name) => [...text.matchAll(new RegExp(`^kolam_project_${name}\\{.*\\} (\\d+)$`, "gm"))].map((m) => m[1]).join();
    return values("position") === values("applied");
  }, "what was sent is applied");
}

const tidy = (text) => text.replaceAll(server.url, "http://127.0.0.1:8080").replace(/[ \t\r]+$/gm, "").trimEnd();
const pattern = (text) => new RegExp(`^${tidy(text).split("…").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("[\\s\\S]*?")}$`);

// What is in C is tests/unit/embed's: it wants the library, not the server.
function blocksOf(page) {
  return [...page.matchAll(FENCE)].filter((m) => m[1] !== "c").map((m) => ({ language: m[1], isAnswer: m[2] === "answer", status: Number(m[3] ?? 0),
    text: m[4], at: m.index, length: m[0].length, line: page.slice(0, m.index).split("\n").length }));
}

for (const name of readdirSync(GUIDE).filter((n) => n.endsWith(".md")).sort()) {
  const path = join(GUIDE, name);
  const page = readFileSync(path, "utf8");
  const blocks = blocksOf(page);
  if (!blocks.some((b) => !b.isAnswer)) continue;
  test(`docs/guide/${name} says what happens`, async () => {
    const cwd = join(work, name);
    mkdirSync(cwd);
    await useProject(blocks.some((b) => b.language === "sql") ? "Demo" : `Shop of ${name}`);
    let written = page;
    for (const [i, block] of [...blocks.entries()]) {
      if (block.isAnswer) continue;
      const { status, text } = await run(block, cwd);
      const expected = blocks[i + 1]?.isAnswer ? blocks[i + 1] : undefined;
      if (WRITES && expected) {
        if (!pattern(expected.text).test(tidy(text)))
          written = written.replace(page.slice(expected.at, expected.at + expected.length), () => `\`\`\`${expected.language} answer\n${tidy(text)}\n\`\`\``);
      } else {
        assert.equal(status, block.status, `${name}:${block.line}: ended with ${status}:\n${text}`);
        if (expected && !pattern(expected.text).test(tidy(text)))
          assert.equal(tidy(text), tidy(expected.text), `${name}:${block.line}: another answer`);
      }
      await settle();
    }
    if (WRITES && written !== page) writeFileSync(path, written);
  });
}
