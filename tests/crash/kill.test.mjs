// kill.test.mjs - the real process is killed a hundred times under load: nothing acknowledged is
// lost, nothing is invented, nothing counts twice.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Random } from "../model/random.mjs";
import { Server } from "../scenario/server.mjs";

const KILLS = Number(process.env.KILLS ?? 100);
let server;
before(async () => { server = await Server.start(); });
after(() => server.stop());

test(`nothing acknowledged is lost in ${KILLS} kills under load`, async () => {
  const random = new Random(11);
  const acknowledged = new Set();
  const sent = new Set();
  let next = 0;
  const sendOne = async () => {
    const ids = Array.from({ length: 1 + random.below(40) }, () => next++);
    const events = ids.map((n) => ({ identity: `u${n % 17}`, event: "Killed", event_id: `k${n}`, time: 1767225600000 + n, properties: { n } }));
    for (const n of ids) sent.add(n);
    const answer = await server.asClient("POST", "/v1/events", { events }).catch(() => undefined);
    if (answer?.processed === ids.length) for (const n of ids) acknowledged.add(n);
  };
  for (let kill = 0; kill < KILLS; kill++) {
    const target = 5 + random.below(40);
    let done = 0;
    let stopping = false;
    const lanes = Array.from({ length: 4 }, async () => {
      while (!stopping) {
        await sendOne();
        done++;
      }
    });
    while (done < target) await new Promise((resolve) => setImmediate(resolve));
    server.process.kill("SIGKILL");
    stopping = true;
    await server.exited;
    server.status = undefined;
    await Promise.all(lanes);
    await server.launch();
  }
  const answer = await server.asClient("POST", "/v1/query", { cql: "SELECT count() WHERE event = 'Killed' GROUP BY n LIMIT 1000000" }, { status: 200 });
  const stored = new Map(answer.rows.map(([n, count]) => [n, count]));
  for (const n of acknowledged) assert.equal(stored.get(n), 1, `event ${n} was acknowledged`);
  for (const [n, count] of stored) {
    assert.ok(sent.has(n), `event ${n} was never sent`);
    assert.equal(count, 1, `event ${n} counts once`);
  }
  console.log(`${KILLS} kills, ${sent.size} events sent, ${acknowledged.size} acknowledged, ${stored.size} stored`);
});
