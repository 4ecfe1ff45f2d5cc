// An answer as CSV: whole, quoted as RFC 4180 says, and harmless in a spreadsheet.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Server } from "./server.mjs";

const TEXTS = ["=1+1", "+1", "-1+2", "@SUM(A1)", "\t=1", 'a "quote"', "a, comma", "two\nlines", "plain", "ünïcode", "-5", "=cmd|' /C calc'!A0"];

let server;
before(async () => {
  server = await Server.start();
  await server.asClient("POST", "/v1/events", { events: TEXTS.map((text, n) => ({ identity: `u${n}`, event: "Said", properties: { text, n: -n } })) }, { status: 200 });
  await server.countIs("Said", TEXTS.length);
});
after(() => server.stop());

async function csv(cql) {
  const response = await server.request("POST", "/v1/query", { body: JSON.stringify({ cql }),
    headers: { authorization: server.basic, "content-type": "application/json", accept: "text/csv" } });
  assert.equal(response.status, 200);
  assert.match(response.headers.get("content-type"), /^text\/csv; charset=utf-8/);
  assert.match(response.headers.get("content-disposition"), /^attachment; filename=/);
  return response.text();
}

// As RFC 4180 has it.
function parse(text) {
  const rows = [[""]];
  for (let at = 0, quoted = false; at < text.length; at++) {
    const c = text[at];
    const row = rows.at(-1);
    if (quoted && c === '"' && text[at + 1] === '"') row[row.length - 1] += text[++at];
    else if (c === '"') quoted = !quoted;
    else if (!quoted && c === ",") row.push("");
    else if (!quoted && (c === "\n" || c === "\r")) {
      if (c === "\r" && text[at + 1] === "\n") at++;
      rows.push([""]);
    } else row[row.length - 1] += c;
  }
  if (rows.at(-1).length === 1 && rows.at(-1)[0] === "") rows.pop();
  return rows;
}

test("every row of the answer is there, with its header", async () => {
  const rows = parse(await csv("SELECT count() AS many WHERE event = 'Said' GROUP BY text LIMIT 100"));
  assert.deepEqual(rows[0], ["text", "many"]);
  assert.equal(rows.length, TEXTS.length + 1);
  assert.ok(rows.every((row) => row.length === 2));
});

test("a text that a spreadsheet would run begins with an apostrophe; others are as they were", async () => {
  const rows = parse(await csv("SELECT count() WHERE event = 'Said' GROUP BY text LIMIT 100")).slice(1);
  for (const text of TEXTS) {
    const isFormula = /^[=+\-@\t\r]/.test(text);
    assert.ok(rows.some(([cell]) => cell === (isFormula ? `'${text}` : text)), JSON.stringify(text));
  }
  assert.ok(!rows.some(([cell]) => /^[=+\-@\t]/.test(cell)), "nothing is left that runs");
});

test("numbers stay numbers, also negative ones", async () => {
  const rows = parse(await csv("SELECT count() WHERE event = 'Said' GROUP BY n LIMIT 100")).slice(1);
  assert.deepEqual(rows.map(([n]) => Number(n)).sort((a, b) => a - b), TEXTS.map((_, n) => 0 - n).sort((a, b) => a - b));
});
