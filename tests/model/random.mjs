// random.mjs - histories and questions from a seed: few event types, few people, little time, so that
// ties, window edges and month ends come up all the time.

export class Random {
  constructor(seed) {
    this.state = seed >>> 0;
  }

  // mulberry32
  next() {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let t = this.state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }

  below(n) {
    return Math.floor(this.next() * n);
  }

  pick(list) {
    return list[this.below(list.length)];
  }

  chance(p) {
    return this.next() < p;
  }
}

const HOUR = 3600000;
export const EVENTS = ["A", "B", "C", "D"];
export const PEOPLE = ["ann", "bob", "cem", "dee", "eva", "fay"];
// Across the ends of two months, and across a change of the clocks in New York (2025-11-02).
export const START = Date.parse("2025-10-29T00:00:00Z");
export const SPAN_HOURS = 24 * 8;
export const NOW = START + (SPAN_HOURS + 30) * HOUR;

function randomTime(random) {
  const hour = START + random.below(SPAN_HOURS) * HOUR;
  return random.chance(0.3) ? hour + random.pick([-1, 1, 500]) : hour;
}

export function randomEvent(random) {
  const properties = {};
  if (random.chance(0.7)) properties.n = random.below(4);
  if (random.chance(0.5)) properties.r = random.below(6) / 2 + 0.25;
  if (random.chance(0.6)) properties.s = random.pick(["x", "y", "zebra", "Zebra"]);
  // The same name with two types.
  if (random.chance(0.4)) properties.mixed = random.chance(0.5) ? random.below(3) : random.pick(["0", "1", "x"]);
  if (random.chance(0.2)) properties.flag = random.chance(0.5);
  return { person: random.pick(PEOPLE), event: random.pick(EVENTS), time: randomTime(random), properties };
}

export function randomProfile(random) {
  const profile = {};
  if (random.chance(0.8)) profile.city = random.pick(["Pune", "Goa", "Delhi"]);
  if (random.chance(0.5)) profile.age = 18 + random.below(5);
  return profile;
}

// --- questions -------------------------------------------------------------------------------------

function randomFilter(random, depth = 0) {
  if (depth < 2 && random.chance(0.3)) {
    const list = [randomFilter(random, depth + 1), randomFilter(random, depth + 1)];
    return random.chance(0.5) ? { all: list } : { any: list };
  }
  return random.pick([
    () => ({ property: "n", operator: random.pick(["eq", "ne", "lt", "le", "gt", "ge"]), value: random.below(4) }),
    () => ({ property: "r", operator: random.pick(["lt", "ge"]), value: random.below(6) / 2 }),
    () => ({ property: "s", operator: random.pick(["eq", "ne", "contains", "starts", "ends", "icontains"]), value: random.pick(["x", "zebra", "e", "Z"]) }),
    () => ({ property: "s", operator: "in", value: ["x", "zebra"] }),
    () => ({ property: "n", operator: "between", value: [1, 2] }),
    () => ({ property: random.pick(["n", "s", "mixed", "never"]), operator: "exists" }),
    () => ({ profile: "city", operator: random.pick(["eq", "ne"]), value: "Pune" }),
    () => ({ profile: "age", operator: "ge", value: 20 }),
    () => ({ event: random.pick(EVENTS) }),
    () => ({ event: ["A", "C"] }),
  ])();
}

function randomSpan(random) {
  const day = (n) => new Date(START + n * 24 * HOUR).toISOString().slice(0, 10);
  const from = random.below(5);
  return random.pick([
    undefined,
    { since: day(from) },
    { since: day(from), until: day(from + 1 + random.below(4)) },
    { since: new Date(START + random.below(SPAN_HOURS) * HOUR).toISOString() },
  ]);
}

function randomStep(random) {
  if (random.chance(0.1)) return { any_event: true };
  const step = { events: random.chance(0.2) ? ["A", "B"] : [random.pick(EVENTS)] };
  if (random.chance(0.25)) step.where = randomFilter(random, 2);
  return step;
}

function clean(query) {
  return JSON.parse(JSON.stringify(query)); // leaves out what is undefined
}

export function randomSelect(random) {
  const measures = [];
  const count = 1 + random.below(3);
  for (let i = 0; i < count; i++) {
    measures.push(random.pick([
      { measure: "count" }, { measure: "users" }, { measure: "sum", property: "n" },
      { measure: "avg", property: "r" }, { measure: "min", property: "r" }, { measure: "max", property: "n" },
      { measure: "distinct", property: "s" }, { measure: "distinct", property: "mixed" },
    ]));
  }
  const keys = ["day", "week", "month", "event", { property: "s" }, { property: "n" }, { property: "mixed" }, { profile: "city" }];
  const group_by = [];
  for (let i = random.below(3); i > 0; i--) {
    const key = random.pick(keys);
    const isTime = (k) => ["day", "week", "month"].includes(k);
    if (!group_by.some((k) => JSON.stringify(k) === JSON.stringify(key) || (isTime(k) && isTime(key)))) group_by.push(key);
  }
  return clean({ report: "select", measures, group_by, where: random.chance(0.6) ? randomFilter(random) : undefined, span: randomSpan(random) });
}

export function randomFunnel(random) {
  const steps = Array.from({ length: 2 + random.below(3) }, () => randomStep(random));
  const ties = random.pick([undefined, "any", "seq"]);
  return clean({
    report: "funnel", steps, within: random.pick(["1h", "2h", "12h", "1d", "3d"]), ties,
    order: ties === "seq" && random.chance(0.4) ? "strict" : undefined,
    holding: random.chance(0.15) ? ["n"] : undefined,
    complete: random.chance(0.3) ? "in_range" : undefined,
    span: randomSpan(random),
  });
}

export function randomRetention(random) {
  return clean({
    report: "retention", first: random.chance(0.5), start: randomStep(random), return: randomStep(random),
    unit: random.pick(["day", "week", "month"]), periods: 1 + random.below(5),
    mode: random.pick([undefined, "on", "on_or_after", "on_or_before"]),
    count_birth: random.chance(0.3), span: randomSpan(random),
  });
}

function randomCondition(random, depth = 0) {
  if (depth < 2 && random.chance(0.4)) {
    const list = [randomCondition(random, depth + 1), randomCondition(random, depth + 1)];
    return random.pick([{ all: list }, { any: list }, { not: list[0] }]);
  }
  const time = random.pick([undefined, { since: "2025-10-31" }, { since: "2025-10-30", until: "2025-11-02" }, { in_last: "4d" }]);
  return clean(random.pick([
    () => ({ profile: "city", operator: "eq", value: random.pick(["Pune", "Goa"]) }),
    () => ({ profile: "age", operator: random.pick(["lt", "ge"]), value: 20 }),
    () => ({ profile: "age", operator: "exists" }),
    () => ({ event: random.pick(EVENTS), operator: random.pick(["ge", "le", "eq"]), value: 1 + random.below(3), time, where: random.chance(0.3) ? randomFilter(random, 2) : undefined }),
    () => ({ event: random.pick(EVENTS), operator: "lt", value: 2, including_never: random.chance(0.5), time }),
    () => ({ event: random.pick(EVENTS), aggregate: random.pick(["sum", "max", "min", "avg"]), property: "n", operator: random.pick(["gt", "le"]), value: random.below(4), time }),
    () => ({ event: random.pick(EVENTS), aggregate: "days", operator: "ge", value: 2, time }),
    () => ({ event: random.pick(EVENTS), aggregate: "distinct", property: "s", operator: "ge", value: 2, time }),
    () => ({ sequence: [{ events: [random.pick(EVENTS)] }, { events: [random.pick(EVENTS)] }], within: "1d", time: time?.in_last ? undefined : time }),
  ])());
}

export function randomSegment(random) {
  return { report: "segment", where: randomCondition(random) };
}

export function randomTimeline(random) {
  return clean({ report: "events", identity: random.pick(PEOPLE), where: random.chance(0.3) ? randomFilter(random) : undefined, span: randomSpan(random), limit: 1000 });
}
