// model.mjs - the slow, obvious meaning of every report. The authority: where Kolam differs, one of
// the two is wrong, and this one is short enough to be read.
//
// A history is a list of events {person, event, time, seq, properties, items} and of profiles. A
// question is the JSON tree of docs/query.md. Everything is a plain loop over plain arrays; nothing
// is indexed, cached or clever.

const DAY = 86400000;
const UNITS = { ms: 1, s: 1000, m: 60000, h: 3600000, d: DAY, w: 7 * DAY };

export function durationMs(text) {
  const [, number, unit] = /^(\d+)(ms|s|m|h|d|w)$/.exec(text);
  return Number(number) * UNITS[unit];
}

// --- local time, by the JavaScript engine's own tables ------------------------------------------

const formats = new Map();

function localParts(zone, time) {
  if (!formats.has(zone)) {
    formats.set(zone, new Intl.DateTimeFormat("en-CA", {
      timeZone: zone, year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit",
      minute: "2-digit", hourCycle: "h23", weekday: "short",
    }));
  }
  const parts = {};
  for (const { type, value } of formats.get(zone).formatToParts(new Date(time))) parts[type] = value;
  return parts;
}

export function localDay(zone, time) {
  const p = localParts(zone, time);
  return `${p.year}-${p.month}-${p.day}`;
}

function addDays(day, n) {
  return new Date(Date.parse(`${day}T00:00:00Z`) + n * DAY).toISOString().slice(0, 10);
}

// The name of the local unit that holds the time: an ISO date, or a date-time for hours.
export function bucketName(zone, unit, time) {
  const day = localDay(zone, time);
  if (unit === "day") return day;
  if (unit === "month") return `${day.slice(0, 7)}-01`;
  if (unit === "week") {
    const weekday = (new Date(`${day}T00:00:00Z`).getUTCDay() + 6) % 7; // Monday is 0
    return addDays(day, -weekday);
  }
  throw new Error(`unit ${unit}`);
}

function nextBucket(unit, name, n) {
  if (unit === "day") return addDays(name, n);
  if (unit === "week") return addDays(name, 7 * n);
  const [year, month] = name.split("-").map(Number);
  return new Date(Date.UTC(year, month - 1 + n, 1)).toISOString().slice(0, 10);
}

// The first instant of a local day: the earliest minute that has its name.
export function dayStart(zone, day) {
  const guess = Date.parse(`${day}T00:00:00Z`);
  for (let time = guess - 15 * 3600000; time < guess + 15 * 3600000; time += 60000) {
    if (localDay(zone, time) === day) return time;
  }
  throw new Error(`no ${day} in ${zone}`);
}

// --- the history ----------------------------------------------------------------------------------

export class History {
  constructor(zone = "UTC") {
    this.zone = zone;
    this.events = [];
    this.profiles = new Map(); // person → properties
    this.leads = new Map(); // merged person → into whom
    this.erased = new Set();
    this.now = 0;
    this.seq = 1;
  }

  person(name) {
    while (this.leads.has(name)) name = this.leads.get(name);
    return name;
  }

  add(event) {
    this.events.push({ items: [], properties: {}, ...event, seq: this.seq++ });
  }

  merge(from, into) {
    [from, into] = [this.person(from), this.person(into)];
    this.seq++;
    if (from !== into) this.leads.set(from, into);
  }

  // Everybody who is known, each with their events in order.
  people() {
    const people = new Map();
    const at = (name) => {
      const person = this.person(name);
      if (!people.has(person)) people.set(person, { person, events: [], profile: {} });
      return people.get(person);
    };
    for (const event of this.events) if (!this.erased.has(event.person)) at(event.person).events.push(event);
    for (const [name, profile] of this.profiles) Object.assign(at(name).profile, profile);
    for (const one of people.values()) one.events.sort((a, b) => a.time - b.time || a.seq - b.seq);
    return [...people.values()];
  }
}

// --- filters -----------------------------------------------------------------------------------------

function compareValues(operator, has, wanted) {
  if (operator === "exists") return has !== undefined && has !== null;
  if (has === undefined || has === null) return false;
  if (operator === "in") return wanted.some((value) => compareValues("eq", has, value));
  if (operator === "between")
    return compareValues("ge", has, wanted[0]) && compareValues("le", has, wanted[1]);
  if (typeof has !== typeof wanted) return operator === "ne" ? true : false;
  switch (operator) {
    case "eq": return has === wanted;
    case "ne": return has !== wanted;
    case "lt": return has < wanted;
    case "le": return has <= wanted;
    case "gt": return has > wanted;
    case "ge": return has >= wanted;
    case "contains": return has.includes(wanted);
    case "icontains": return has.toLowerCase().includes(wanted.toLowerCase());
    case "starts": return has.startsWith(wanted);
    case "ends": return has.endsWith(wanted);
    default: throw new Error(`operator ${operator}`);
  }
}

export function matches(filter, event, profile) {
  if (!filter) return true;
  if (filter.all) return filter.all.every((f) => matches(f, event, profile));
  if (filter.any) return filter.any.some((f) => matches(f, event, profile));
  if (filter.not) return !matches(filter.not, event, profile);
  if (filter.event) return [].concat(filter.event).includes(event.event);
  if (filter.profile) return compareValues(filter.operator, profile[filter.profile], filter.value);
  if (filter.property.startsWith("Items.")) {
    const name = filter.property.slice(6);
    return event.items.some((item) => compareValues(filter.operator, item[name], filter.value));
  }
  return compareValues(filter.operator, event.properties[filter.property], filter.value);
}

function isStep(step, event, profile) {
  return (step.any_event || step.events.includes(event.event)) && matches(step.where, event, profile);
}

// --- spans --------------------------------------------------------------------------------------------

function instant(history, when, isEnd) {
  if (when === undefined) return isEnd ? Infinity : -Infinity;
  if (when === "now") return history.now;
  if (/^\d{4}-\d\d-\d\d$/.test(when)) return dayStart(history.zone, when);
  return Date.parse(when);
}

function range(history, span = {}) {
  if (span.in_last) {
    const last = durationMs(span.in_last);
    return (time) => time >= history.now - last && time <= history.now;
  }
  const since = instant(history, span.since, false);
  const until = instant(history, span.until, true);
  return (time) => time >= since && time < until;
}

// --- select --------------------------------------------------------------------------------------------

function measure(which, rows) {
  if (which.measure === "count") return rows.length;
  if (which.measure === "users") return new Set(rows.map((r) => r.person)).size;
  const all = rows.map((r) => r.event.properties[which.property]).filter((v) => v !== undefined);
  if (which.measure === "distinct") return new Set(all.map((v) => JSON.stringify(v))).size;
  const numbers = all.filter((v) => typeof v === "number");
  const sum = numbers.reduce((a, b) => a + b, 0);
  switch (which.measure) {
    case "sum": return numbers.length ? sum : null;
    case "avg": return numbers.length ? sum / numbers.length : null;
    case "min": return numbers.length ? Math.min(...numbers) : null;
    case "max": return numbers.length ? Math.max(...numbers) : null;
    default: throw new Error(`measure ${which.measure}`);
  }
}

function keyOf(history, key, event, profile) {
  if (key === "event") return event.event;
  if (typeof key === "string") return bucketName(history.zone, key, event.time);
  const value = key.profile ? profile[key.profile] : event.properties[key.property];
  return value === undefined ? null : value;
}

export function select(history, query) {
  const inside = range(history, query.span);
  const groups = new Map();
  for (const { person, events, profile } of history.people()) {
    for (const event of events) {
      if (!inside(event.time) || !matches(query.where, event, profile)) continue;
      const keys = (query.group_by ?? []).map((key) => keyOf(history, key, event, profile));
      const name = JSON.stringify(keys);
      if (!groups.has(name)) groups.set(name, { keys, rows: [] });
      groups.get(name).rows.push({ person, event });
    }
  }
  if (!query.group_by?.length && groups.size === 0) groups.set("[]", { keys: [], rows: [] });
  return [...groups.values()].map(({ keys, rows }) =>
    [...keys, ...query.measures.map((m) => measure(m, rows))]);
}

// --- funnels ----------------------------------------------------------------------------------------------

// How far this person gets, by trying every chain: step i + 1 is any other event that may come after
// the event of step i.
function funnelLevel(history, query, { events, profile }) {
  const inside = range(history, query.span);
  const within = durationMs(query.within);
  const ties = query.ties ?? "any";
  const follows = (a, b) => {
    if (ties === "any") return b.time >= a.time;
    if (ties === "seq") return b.time > a.time || (b.time === a.time && b.seq > a.seq);
    return b.time >= a.time - durationMs(ties.grace);
  };
  const holds = (a, b) => (query.holding ?? []).every((p) =>
    a.properties[p] !== undefined && a.properties[p] === b.properties[p]);
  const disturbed = (a, b) => query.order === "strict" && events.some((e) =>
    e !== a && e !== b && (e.time > a.time || (e.time === a.time && e.seq > a.seq)) &&
    (e.time < b.time || (e.time === b.time && e.seq < b.seq)));
  const best = (chain) => {
    const first = chain[0];
    const last = chain[chain.length - 1];
    let level = chain.length;
    if (level === query.steps.length) return level;
    for (const event of events) {
      if (chain.includes(event) || !isStep(query.steps[chain.length], event, profile)) continue;
      if (!follows(last, event) || event.time - first.time > within || !holds(first, event)) continue;
      if (query.complete === "in_range" && !inside(event.time)) continue;
      if (disturbed(last, event)) continue;
      level = Math.max(level, best([...chain, event]));
    }
    return level;
  };
  const starts = events.filter((e) => inside(e.time) && isStep(query.steps[0], e, profile) &&
    (query.holding ?? []).every((p) => e.properties[p] !== undefined));
  return Math.max(0, ...starts.map((start) => best([start])));
}

// [step, event names, users] for each step.
export function funnel(history, query) {
  const levels = history.people().map((person) => funnelLevel(history, query, person));
  return query.steps.map((_, i) => [i + 1, levels.filter((level) => level > i).length]);
}

// --- retention ------------------------------------------------------------------------------------------------

// {cohort: {size, [k]: users}} over calendar units.
export function retention(history, query) {
  const inside = range(history, query.span);
  const cohorts = new Map();
  const cell = (cohort) => {
    if (!cohorts.has(cohort)) cohorts.set(cohort, { size: 0, users: Array(query.periods).fill(0) });
    return cohorts.get(cohort);
  };
  for (const { events, profile } of history.people()) {
    const starts = events.filter((e) => isStep(query.start, e, profile));
    const backs = events.filter((e) => isStep(query.return, e, profile));
    const births = new Map(); // cohort → the event that made it
    if (query.first) {
      if (starts.length && inside(starts[0].time))
        births.set(bucketName(history.zone, query.unit, starts[0].time), starts[0]);
    } else {
      for (const start of starts) {
        const cohort = bucketName(history.zone, query.unit, start.time);
        if (inside(start.time) && !births.has(cohort)) births.set(cohort, start);
      }
    }
    for (const [cohort, birth] of births) {
      const row = cell(cohort);
      row.size++;
      const returned = (k) => backs.some((back) =>
        bucketName(history.zone, query.unit, back.time) === nextBucket(query.unit, cohort, k) &&
        (k > 0 || query.count_birth || back !== birth));
      for (let k = 0; k < query.periods; k++) {
        const later = Array.from({ length: 400 - k }, (_, i) => k + i);
        const earlier = Array.from({ length: k + 1 }, (_, i) => i);
        const mode = query.mode ?? "on";
        if (mode === "on" ? returned(k)
          : (mode === "on_or_after" ? later : earlier).some(returned)) row.users[k]++;
      }
    }
  }
  return cohorts;
}

// --- segments ----------------------------------------------------------------------------------------------------

function aggregate(history, condition, events) {
  const numbers = events.map((e) => e.properties[condition.property]).filter((v) => typeof v === "number");
  const sum = numbers.reduce((a, b) => a + b, 0);
  switch (condition.aggregate ?? "count") {
    case "count": return events.length;
    case "days": return new Set(events.map((e) => localDay(history.zone, e.time))).size;
    case "sum": return sum;
    case "avg": return numbers.length ? sum / numbers.length : undefined;
    case "avg_all": return events.length ? sum / events.length : undefined;
    case "min": return numbers.length ? Math.min(...numbers) : undefined;
    case "max": return numbers.length ? Math.max(...numbers) : undefined;
    case "distinct":
      return new Set(events.map((e) => e.properties[condition.property])
        .filter((v) => v !== undefined).map((v) => JSON.stringify(v))).size;
    default: throw new Error(`aggregate ${condition.aggregate}`);
  }
}

function holdsFor(history, condition, one) {
  if (condition.all) return condition.all.every((c) => holdsFor(history, c, one));
  if (condition.any) return condition.any.some((c) => holdsFor(history, c, one));
  if (condition.not) return !holdsFor(history, condition.not, one);
  if (condition.profile)
    return compareValues(condition.operator, one.profile[condition.profile], condition.value);
  if (condition.sequence) {
    const query = { steps: condition.sequence, within: condition.within, span: condition.time };
    return funnelLevel(history, query, one) === condition.sequence.length;
  }
  const inside = range(history, condition.time);
  const did = one.events.filter((e) => e.event === condition.event &&
    matches(condition.where, e, one.profile));
  const counted = did.filter((e) => inside(e.time));
  if (counted.length === 0) return Boolean(condition.including_never);
  const value = aggregate(history, condition, counted);
  return compareValues(condition.operator ?? "ge", value, condition.value ?? 1);
}

// The people of the segment.
export function segment(history, query) {
  return history.people().filter((one) => holdsFor(history, query.where, one)).map((one) => one.person);
}

// --- timeline --------------------------------------------------------------------------------------------------------

export function timeline(history, query) {
  const inside = range(history, query.span);
  const person = history.person(query.identity);
  const one = history.people().find((p) => p.person === person);
  if (!one) return [];
  return one.events.filter((e) => inside(e.time) && matches(query.where, e, one.profile));
}
