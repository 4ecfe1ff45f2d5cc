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

// Many lie exactly a window of a question, or the gap of a session, from one another, or a
// millisecond past it.
const ANCHORS = [0, 1, 2, 3, 13, 14, 24, 25, 36, 48, 72, 73, 74, 85, 96, 144];
const OFFSETS = [-1, 1, 500, HOUR / 3, HOUR / 3 + 1];

function randomMoment(random) {
  if (random.chance(0.03)) return NOW + random.pick([-1, 0, 1]);
  const hour = random.chance(0.5) ? random.pick(ANCHORS) : random.below(SPAN_HOURS);
  return START + hour * HOUR + (random.chance(0.3) ? random.pick(OFFSETS) : 0);
}

export function randomEvent(random) {
  const properties = {};
  if (random.chance(0.7)) properties.n = random.below(4);
  if (random.chance(0.5)) properties.r = random.below(6) / 2 + 0.25;
  if (random.chance(0.6)) properties.s = random.pick(["x", "y", "zebra", "Zebra"]);
  // The same name with two types.
  if (random.chance(0.4)) properties.mixed = random.chance(0.5) ? random.below(3) : random.pick(["0", "1", "x"]);
  if (random.chance(0.2)) properties.flag = random.chance(0.5);
  const items = Array.from({ length: random.chance(0.2) ? 1 + random.below(3) : 0 }, () =>
    ({ kind: random.pick(["k1", "k2", "k3"]), ...(random.chance(0.7) ? { price: 1 + random.below(3) } : {}) }));
  return { person: random.pick(PEOPLE), event: random.pick(EVENTS), time: randomMoment(random), properties, items };
}

// Some of one person at one moment, in whatever order they come.
export function randomEvents(random, count) {
  const events = [];
  for (let i = 0; i < count; i++) {
    const event = randomEvent(random);
    const { person, time } = i > 0 && random.chance(0.25) ? events[i - 1] : event;
    events.push({ ...event, person, time });
  }
  return events;
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
    () => ({ property: "s", operator: "matches", value: random.pick(["^z", "e.r", "[xy]$"]) }),
    () => ({ property: "Items.kind", operator: random.pick(["eq", "ne"]), value: random.pick(["k1", "k2"]) }),
    () => ({ property: "Items.price", operator: random.pick(["gt", "lt"]), value: 2 }),
    () => ({ not: randomFilter(random, depth + 1) }),
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
    { since: { ago: `${1 + random.below(9)}${random.pick(["d", "h"])}` } },
    { since: "yesterday" }, { since: { ago: "6d" }, until: "today" }, { since: { start_of: random.pick(["week", "month"]) } },
    { between: [day(from), day(from + random.below(3))] },
    { in_last: random.pick(["30h", "5d"]) }, { this: random.pick(["day", "week", "month"]) },
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

const KEYS = ["day", "week", "month", "event", { property: "s" }, { property: "n" }, { property: "mixed" }, { profile: "city" }];

function randomMeasure(random, depth = 0) {
  if (depth < 2 && random.chance(0.15))
    return { formula: random.pick(["add", "subtract", "multiply", "divide"]), of: [randomMeasure(random, depth + 1), randomMeasure(random, depth + 1)] };
  const measure = random.pick([
    { measure: "count" }, { measure: "users" }, { measure: "sessions" }, { measure: "sum", property: "n" },
    { measure: "sum", property: "r" }, { measure: "avg", property: "r" }, { measure: "min", property: "r" },
    { measure: "max", property: "n" }, { measure: "distinct", property: "s" }, { measure: "distinct", property: "mixed" },
    { measure: "percentile", property: "n", q: random.pick([0, 0.25, 0.5, 0.9, 1]) }, { measure: "percentile", property: "r", q: 0.5 },
  ]);
  return random.chance(0.15) ? { ...measure, where: randomFilter(random, 2) } : measure;
}

export function randomSelect(random) {
  const measures = Array.from({ length: 1 + random.below(3) }, () => randomMeasure(random));
  const group_by = [];
  for (let i = random.below(3); i > 0; i--) {
    const key = random.chance(0.1) ? "hour" : random.pick(KEYS);
    const isTime = (k) => ["hour", "day", "week", "month"].includes(k);
    if (!group_by.some((k) => JSON.stringify(k) === JSON.stringify(key) || (isTime(k) && isTime(key)))) group_by.push(key);
  }
  return clean({ report: "select", measures, group_by, where: random.chance(0.6) ? randomFilter(random) : undefined, span: randomSpan(random) });
}

function randomBy(random) {
  return random.chance(0.25) ? [random.pick(KEYS)] : undefined;
}

// Steps of one event type each, no two of the same.
function apartSteps(random, count) {
  const left = [...EVENTS];
  return Array.from({ length: count }, () => {
    const [event] = left.splice(random.below(left.length), 1);
    const step = { events: [event] };
    if (random.chance(0.2)) step.where = randomFilter(random, 2);
    return step;
  });
}

function randomExclusions(random, steps) {
  const from = 1 + random.below(steps - 1);
  return [clean({
    step: { events: [random.pick(EVENTS)] }, mode: "cut",
    between: random.chance(0.5) ? [from, from + 1 + random.below(steps - from)] : undefined,
  })];
}

export function randomFunnel(random) {
  const count = 2 + random.below(3);
  // "plain" has a way of its own through the engine.
  const kind = random.pick(["plain", "plain", "plain", "loose", "loose", "strict", "any", "grace", "excluding", "previous"]);
  const isApart = ["plain", "grace", "excluding", "previous"].includes(kind) || random.chance(0.3);
  const steps = isApart ? apartSteps(random, count) : Array.from({ length: count }, () => randomStep(random));
  return clean({
    report: "funnel", steps, within: random.pick(["1h", "2h", "12h", "1d", "3d"]),
    attempt: kind === "plain" ? undefined : random.pick([undefined, "best", "first", "each"]),
    ties: kind === "grace" ? { grace: random.pick(["1s", "1h"]) } : kind === "strict" ? "seq" : random.pick([undefined, "any", "seq"]),
    order: kind === "strict" || kind === "any" ? kind : undefined,
    scope: kind === "strict" && random.chance(0.4) ? "steps" : undefined,
    window_from: kind === "previous" ? "previous" : undefined,
    excluding: kind === "excluding" ? randomExclusions(random, count) : undefined,
    holding: !["plain", "any"].includes(kind) && random.chance(0.15) ? ["n"] : undefined,
    within_session: (kind !== "plain" && random.chance(0.1)) || undefined,
    complete: random.chance(0.3) ? "in_range" : undefined,
    by: kind === "plain" ? undefined : randomBy(random),
    span: randomSpan(random),
  });
}

export function randomRetention(random) {
  const periods = 1 + random.below(5);
  const brackets = [...Array(periods).keys()].filter(() => random.chance(0.6));
  return clean({
    report: "retention", first: random.chance(0.5), start: randomStep(random), return: randomStep(random),
    unit: random.pick(["hour", "day", "day", "week", "month"]), periods,
    mode: random.pick([undefined, "on", "on_or_after", "on_or_before", "streak"]),
    brackets: random.chance(0.2) && brackets.length ? brackets : undefined,
    rolling: random.chance(0.25) || undefined,
    sum: random.chance(0.2) ? random.pick(["n", "r"]) : undefined,
    by: randomBy(random),
    count_birth: random.chance(0.3), span: randomSpan(random),
  });
}

function randomTime(random) {
  return random.pick([undefined, undefined, { since: "2025-10-31" }, { since: "2025-10-30", until: "2025-11-02" }, { in_last: "4d" },
    { since: { ago: "5d" } }, { this: "month" }, { until: "2025-11-01" }]);
}

function randomCondition(random, depth = 0) {
  if (depth < 2 && random.chance(0.4)) {
    const list = [randomCondition(random, depth + 1), randomCondition(random, depth + 1)];
    return random.pick([{ all: list }, { any: list }, { not: list[0] }]);
  }
  const time = randomTime(random);
  const occurrence = random.chance(0.25) ? random.pick(["first", "last", 1, 2, 3]) : undefined;
  const event = random.pick(EVENTS);
  const operator = random.pick(["gt", "le", "eq", "ge"]);
  return clean(random.pick([
    () => ({ profile: "city", operator: "eq", value: random.pick(["Pune", "Goa"]) }),
    () => ({ profile: "age", operator: random.pick(["lt", "ge"]), value: 20 }),
    () => ({ profile: "age", operator: "exists" }),
    () => ({ event, operator: random.pick(["ge", "le", "eq"]), value: 1 + random.below(3), time, occurrence, where: random.chance(0.3) ? randomFilter(random, 2) : undefined }),
    () => ({ event: ["A", "B"], operator: "ge", value: 1 + random.below(4), time, occurrence }),
    () => ({ event, operator: "lt", value: 2, including_never: random.chance(0.5), time }),
    () => ({ event, aggregate: random.pick(["sum", "max", "min", "avg", "avg_all"]), property: "n", operator, value: random.below(4), time, occurrence }),
    () => ({ event: ["A", "C"], aggregate: random.pick(["sum", "max"]), property: "r", operator, value: random.below(4) / 2, time }),
    () => ({ event: random.chance(0.3) ? ["A", "D"] : event, aggregate: "days", operator: "ge", value: 2, time }),
    () => ({ event, aggregate: "distinct", property: random.pick(["s", "mixed"]), operator: "ge", value: 2, time, occurrence: undefined }),
    () => ({ sequence: [randomStep(random), randomStep(random)], within: random.pick(["1h", "1d"]), time }),
    () => ({ sequence: [{ events: [event] }, { events: [random.pick(EVENTS)] }, { events: [random.pick(EVENTS)] }], within: "2d", time }),
  ])());
}

export function randomSegment(random) {
  return clean({
    report: "segment", where: randomCondition(random),
    as_of: random.chance(0.25) ? random.pick(["2025-11-01", "2025-11-03T10:00:00Z", { ago: "2d" }]) : undefined,
  });
}

export function randomFlow(random) {
  const some = () => EVENTS.filter(() => random.chance(0.4));
  const shown = random.pick([{}, {}, { hide: some() }, { keep: some() }]);
  const properties = ["s", "n", "mixed", "flag", "never"];
  return clean({
    report: "flow", direction: random.pick(["from", "to"]),
    start: random.chance(0.2) ? { events: ["A", "B", "D"] } : randomStep(random),
    steps: random.pick([undefined, 1, 2, 3, 20]),
    within: random.chance(0.4) ? random.pick(["1h", "12h", "2d", "30d"]) : undefined,
    collapse: random.chance(0.4), ...shown,
    expand: random.chance(0.3) ? some().map((event) => ({ event, property: random.pick(properties) })) : undefined,
    limit: random.pick([undefined, undefined, 1, 3, 8]),
    span: randomSpan(random),
  });
}

export function randomTimeline(random) {
  return clean({ report: "events", identity: random.pick(PEOPLE), where: random.chance(0.3) ? randomFilter(random) : undefined, span: randomSpan(random), limit: 1000 });
}
