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

const days = new Map(); // zone and time → its local day; Intl is slow

export function localDay(zone, time) {
  const key = `${zone} ${time}`;
  if (!days.has(key)) {
    const p = localParts(zone, time);
    days.set(key, `${p.year}-${p.month}-${p.day}`);
  }
  return days.get(key);
}

function addDays(day, n) {
  return new Date(Date.parse(`${day}T00:00:00Z`) + n * DAY).toISOString().slice(0, 10);
}

// The name of the local unit that holds the time: an ISO date, or a date-time for hours. An hour that
// the clocks go through twice is two, told apart by its offset.
export function bucketName(zone, unit, time) {
  const day = localDay(zone, time);
  if (unit === "hour") {
    const p = localParts(zone, time);
    const minutes = Math.round((Date.parse(`${day}T${p.hour}:${p.minute}:00Z`) - Math.floor(time / 60000) * 60000) / 60000);
    const two = (n) => String(n).padStart(2, "0");
    const [sign, size] = [minutes < 0 ? "-" : "+", Math.abs(minutes)];
    return `${day}T${p.hour}:00:00${sign}${two(Math.floor(size / 60))}:${two(size % 60)}`;
  }
  if (unit === "day") return day;
  if (unit === "month") return `${day.slice(0, 7)}-01`;
  if (unit === "week") {
    const weekday = (new Date(`${day}T00:00:00Z`).getUTCDay() + 6) % 7; // Monday is 0
    return addDays(day, -weekday);
  }
  throw new Error(`unit ${unit}`);
}

function nextBucket(unit, name, n, zone) {
  if (unit === "hour") return bucketName(zone, unit, Date.parse(name) + n * 3600000);
  if (unit === "day") return addDays(name, n);
  if (unit === "week") return addDays(name, 7 * n);
  const [year, month] = name.split("-").map(Number);
  return new Date(Date.UTC(year, month - 1 + n, 1)).toISOString().slice(0, 10);
}

// The first instant of a local day: the earliest minute that has its name.
const starts = new Map();

export function dayStart(zone, day) {
  const key = `${zone} ${day}`;
  if (!starts.has(key)) starts.set(key, findDayStart(zone, day));
  return starts.get(key);
}

function findDayStart(zone, day) {
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
    case "matches": return new RegExp(wanted).test(has);
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

function instant(history, when, otherwise) {
  const today = localDay(history.zone, history.now);
  if (when === undefined) return otherwise;
  if (when === "now") return history.now;
  if (when === "today") return dayStart(history.zone, today);
  if (when === "yesterday") return dayStart(history.zone, addDays(today, -1));
  if (when.start_of) return dayStart(history.zone, bucketName(history.zone, when.start_of, history.now));
  if (when.ago) {
    const [, number, unit] = /^(\d+)([hdw])$/.exec(when.ago);
    if (unit === "h") return history.now - Number(number) * 3600000;
    return dayStart(history.zone, addDays(today, -Number(number) * (unit === "w" ? 7 : 1)));
  }
  if (/^\d{4}-\d\d-\d\d$/.test(when)) return dayStart(history.zone, when);
  return Date.parse(when);
}

// Which times are in the span.
function range(history, span = {}) {
  if (span.in_last) {
    const last = durationMs(span.in_last);
    return (time) => time >= history.now - last && time <= history.now;
  }
  if (span.this) {
    const name = bucketName(history.zone, span.this, history.now);
    return (time) => bucketName(history.zone, span.this, time) === name;
  }
  if (span.between) {
    const [first, last] = span.between;
    const from = instant(history, first);
    const isDay = /^\d{4}-\d\d-\d\d$/.test(last);
    const to = isDay ? dayStart(history.zone, addDays(last, 1)) : instant(history, last) + 1;
    return (time) => time >= from && time < to;
  }
  const since = instant(history, span.since, -Infinity);
  const until = instant(history, span.until, Infinity);
  return (time) => time >= since && time < until;
}

// --- select --------------------------------------------------------------------------------------------

// Runs of one person's rows, of any group, without a gap of more than 20 minutes; how many have a row
// of this group.
function sessions(all, group) {
  const last = new Map();
  const inGroup = new Set(group);
  const met = new Set();
  let session = 0;
  for (const row of all) {
    const { person, event } = row;
    if (!last.has(person) || event.time - last.get(person).time > 20 * 60000) session++;
    last.set(person, event);
    if (inGroup.has(row)) met.add(session);
  }
  return met.size;
}

// Between the two nearest ranks, in proportion.
function percentile(numbers, q) {
  const sorted = [...numbers].sort((a, b) => a - b);
  const at = q * (sorted.length - 1);
  const below = Math.floor(at);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (sorted[above] - sorted[below]) * (at - below);
}

function measure(which, group, all) {
  if (which.formula) {
    const [a, b] = which.of.map((part) => measure(part, group, all));
    if (a === null || b === null || (which.formula === "divide" && b === 0)) return null;
    return { add: a + b, subtract: a - b, multiply: a * b, divide: a / b }[which.formula];
  }
  const rows = group.filter((r) => matches(which.where, r.event, r.profile));
  if (which.measure === "count") return rows.length;
  if (which.measure === "users") return new Set(rows.map((r) => r.person)).size;
  if (which.measure === "sessions") return sessions(all.filter((r) => matches(which.where, r.event, r.profile)), rows);
  const values = rows.map((r) => r.event.properties[which.property]).filter((v) => v !== undefined);
  if (which.measure === "distinct") return new Set(values.map((v) => JSON.stringify(v))).size;
  const numbers = values.filter((v) => typeof v === "number");
  const sum = numbers.reduce((a, b) => a + b, 0);
  switch (which.measure) {
    case "sum": return numbers.length ? sum : null;
    case "avg": return numbers.length ? sum / numbers.length : null;
    case "min": return numbers.length ? Math.min(...numbers) : null;
    case "max": return numbers.length ? Math.max(...numbers) : null;
    case "percentile": return numbers.length ? percentile(numbers, which.q) : null;
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
  const all = [];
  for (const { person, events, profile } of history.people()) {
    for (const event of events) {
      if (!inside(event.time) || !matches(query.where, event, profile)) continue;
      const keys = (query.group_by ?? []).map((key) => keyOf(history, key, event, profile));
      const name = JSON.stringify(keys);
      if (!groups.has(name)) groups.set(name, { keys, rows: [] });
      const row = { person, event, profile };
      all.push(row);
      groups.get(name).rows.push(row);
    }
  }
  if (!query.group_by?.length && groups.size === 0) groups.set("[]", { keys: [], rows: [] });
  return [...groups.values()].map(({ keys, rows }) =>
    [...keys, ...query.measures.map((m) => measure(m, rows, all))]);
}

// --- funnels ----------------------------------------------------------------------------------------------

const isBefore = (a, b) => a.time < b.time || (a.time === b.time && a.seq < b.seq);

function sessionOf(events) {
  const session = new Map();
  events.forEach((event, i) =>
    session.set(event, i === 0 ? 0 : session.get(events[i - 1]) + (event.time - events[i - 1].time > 20 * 60000)));
  return session;
}

// How far this person gets from these starts, by trying every chain: step i + 1 is any other event
// that may come after the event of step i.
function levelFrom(history, query, { events, profile }, starts) {
  const inside = range(history, query.span);
  const within = durationMs(query.within);
  const ties = query.ties ?? "any";
  const session = sessionOf(events);
  const follows = (a, b) => {
    if (query.order === "strict" || ties === "seq") return isBefore(a, b);
    return b.time >= a.time - (ties.grace ? durationMs(ties.grace) : 0);
  };
  const holds = (a, b) =>
    (query.holding ?? []).every((p) => a.properties[p] !== undefined && a.properties[p] === b.properties[p]) &&
    (!query.within_session || session.get(a) === session.get(b));
  const mayStep = (e, i) => isStep(query.steps[i], e, profile) &&
    (query.holding ?? []).every((p) => e.properties[p] !== undefined) &&
    (query.complete !== "in_range" || inside(e.time));
  const isOther = (e) => query.scope !== "steps" ||
    query.steps.some((step) => isStep(step, e, profile)) ||
    (query.excluding ?? []).some((x) => isStep(x.step, e, profile));
  const disturbed = (a, b, level) =>
    (query.order === "strict" && events.some((e) => isOther(e) && isBefore(a, e) && isBefore(e, b))) ||
    (query.excluding ?? []).some(({ step, between: [from, to] = [1, query.steps.length] }) =>
      level >= from && level < to && events.some((e) => e !== a && e !== b && isStep(step, e, profile) &&
        (ties === "seq" ? isBefore(a, e) && isBefore(e, b) : a.time < e.time && e.time < b.time)));
  const longest = (chain) => {
    const last = chain[chain.length - 1];
    const since = query.window_from === "previous" ? last : chain[0];
    let level = chain.length;
    if (level === query.steps.length) return level;
    for (const event of events) {
      if (chain.includes(event) || !mayStep(event, chain.length)) continue;
      if (!follows(last, event) || event.time - since.time > within || !holds(chain[0], event)) continue;
      if (disturbed(last, event, chain.length)) continue;
      level = Math.max(level, longest([...chain, event]));
    }
    return level;
  };
  return Math.max(0, ...starts.map((start) => longest([start])));
}

// ORDER ANY: the most steps that different events within the window from a start can be given.
function levelInAnyOrder(history, query, { events, profile }, starts) {
  const inside = range(history, query.span);
  const within = durationMs(query.within);
  const session = sessionOf(events);
  const steps = (e) => query.steps.map((_, i) => i).filter((i) => isStep(query.steps[i], e, profile));
  const most = (left, taken) => {
    if (left.length === 0) return taken.size;
    const [first, ...rest] = left;
    return Math.max(most(rest, taken), ...steps(first).filter((i) => !taken.has(i))
      .map((i) => most(rest, new Set([...taken, i]))));
  };
  return Math.max(0, ...starts.flatMap((start) => {
    const left = events.filter((e) => isBefore(start, e) && e.time - start.time <= within &&
      (query.holding ?? []).every((p) => e.properties[p] !== undefined && e.properties[p] === start.properties[p]) &&
      (!query.within_session || session.get(e) === session.get(start)) &&
      (query.complete !== "in_range" || inside(e.time)) && steps(e).length > 0);
    return steps(start).map((i) => most(left, new Set([i])));
  }));
}

function funnelStarts(history, query, { events, profile }) {
  const inside = range(history, query.span);
  const firsts = query.order === "any" ? query.steps : [query.steps[0]];
  return events.filter((e) => inside(e.time) && firsts.some((step) => isStep(step, e, profile)) &&
    (query.holding ?? []).every((p) => e.properties[p] !== undefined));
}

const levelOf = (history, query, one, starts) =>
  (query.order === "any" ? levelInAnyOrder : levelFrom)(history, query, one, starts);

// The levels that one person adds: of the best chain, of the first attempt, or of each attempt.
function funnelLevels(history, query, one, starts) {
  if (starts.length === 0) return [];
  if (query.attempt === "each") return starts.map((start) => levelOf(history, query, one, [start]));
  return [levelOf(history, query, one, query.attempt === "first" ? [starts[0]] : starts)];
}

// [keys, step, users] for each group (the values at a start) and step.
export function funnel(history, query) {
  const groups = new Map();
  if (!query.by?.length) groups.set("[]", []);
  for (const one of history.people()) {
    let starts = funnelStarts(history, query, one);
    if (query.attempt === "first") starts = starts.slice(0, 1);
    const byKey = new Map();
    for (const start of starts) {
      const key = JSON.stringify((query.by ?? []).map((k) => keyOf(history, k, start, one.profile)));
      byKey.set(key, [...(byKey.get(key) ?? []), start]);
    }
    for (const [key, some] of byKey)
      groups.set(key, [...(groups.get(key) ?? []), ...funnelLevels(history, query, one, some)]);
  }
  return [...groups].flatMap(([key, levels]) =>
    query.steps.map((_, i) => [...JSON.parse(key), i + 1, levels.filter((level) => level > i).length]));
}

// --- retention ------------------------------------------------------------------------------------------------

const ROLLING = { hour: 3600000, day: DAY, week: 7 * DAY, month: 30 * DAY };

// The first period of each column, and behind the last how many there are.
function columnsOf(query) {
  const firsts = query.brackets?.length ? query.brackets : Array.from({ length: query.periods }, (_, k) => k);
  return [...firsts, query.periods];
}

// A return's period, from 0; undefined when it was before.
function periodOf(history, query, birth, back) {
  if (query.rolling)
    return back.time < birth.time ? undefined : Math.floor((back.time - birth.time) / ROLLING[query.unit]);
  const cohort = bucketName(history.zone, query.unit, birth.time);
  const bucket = bucketName(history.zone, query.unit, back.time);
  if (Date.parse(bucket) < Date.parse(cohort)) return undefined;
  for (let k = 0; k < 2000; k++)
    if (nextBucket(query.unit, cohort, k, history.zone) === bucket) return k;
  return 2000;
}

function birthsOf(history, query, starts) {
  const inside = range(history, query.span);
  const births = new Map(); // cohort → the event that made it
  for (const start of query.first ? starts.slice(0, 1) : starts) {
    const cohort = bucketName(history.zone, query.unit, start.time);
    if (inside(start.time) && !births.has(cohort)) births.set(cohort, start);
  }
  return births;
}

// Which columns the periods of somebody's returns count in, and which returns each is about.
function retained(query, column, backs) {
  const firsts = columnsOf(query);
  const hits = (from, to) => backs.filter(({ period }) => period >= from && period < to);
  switch (query.mode ?? "on") {
    case "on_or_after": return hits(firsts[column], Infinity);
    case "on_or_before": return hits(0, firsts[column + 1]);
    case "streak":
      for (let c = 0; c < column; c++) if (hits(firsts[c], firsts[c + 1]).length === 0) return [];
  }
  return hits(firsts[column], firsts[column + 1]);
}

// [keys, cohort, size, k, users, sum] for each cohort that somebody is in.
export function retention(history, query) {
  const rows = new Map();
  const firsts = columnsOf(query);
  for (const { events, profile } of history.people()) {
    const starts = events.filter((e) => isStep(query.start, e, profile));
    for (const [cohort, birth] of birthsOf(history, query, starts)) {
      const backs = events.filter((e) => isStep(query.return, e, profile) && (e !== birth || query.count_birth))
        .map((event) => ({ event, period: periodOf(history, query, birth, event) }))
        .filter(({ period }) => period !== undefined);
      const keys = (query.by ?? []).map((key) => keyOf(history, key, birth, profile));
      for (let column = 0; column + 1 < firsts.length; column++) {
        const name = JSON.stringify([...keys, cohort, firsts[column]]);
        if (!rows.has(name)) rows.set(name, { keys, cohort, k: firsts[column], size: 0, users: 0, sum: null });
        const row = rows.get(name);
        const hits = retained(query, column, backs);
        row.size++;
        row.users += hits.length > 0;
        for (const { event } of hits) {
          const amount = event.properties[query.sum];
          if (typeof amount === "number") row.sum = (row.sum ?? 0) + amount;
        }
      }
    }
  }
  return [...rows.values()].map((r) =>
    [...r.keys, r.cohort, r.size, r.k, r.users, ...(query.sum ? [r.sum] : [])]);
}

// --- flows ---------------------------------------------------------------------------------------------------

// What stands for an event: its type, or a value of it.
function flowNode(query, event) {
  const expansion = (query.expand ?? []).find((x) => x.event === event.event);
  const value = expansion && event.properties[expansion.property];
  const name = value === undefined ? event.event : `${event.event}: ${value}`;
  return { event: event.event, value, name, key: JSON.stringify([event.event, value]) }; // 1 isn't "1"
}

// The one path that a person gives, from the first start in the span (or back from the last).
function flowPath(history, query, { events, profile }) {
  const inside = range(history, query.span);
  const isBackwards = query.direction === "to";
  const walked = isBackwards ? [...events].reverse() : events;
  const first = walked.findIndex((e) => inside(e.time) && isStep(query.start, e, profile));
  if (first < 0) return [];
  const start = walked[first];
  const isInTime = (e) => query.within ? Math.abs(e.time - start.time) <= durationMs(query.within) : inside(e.time);
  const isShown = (e) => query.keep?.length ? query.keep.includes(e.event) : !(query.hide ?? []).includes(e.event);
  const path = [flowNode(query, start)];
  for (const event of walked.slice(first + 1)) {
    if (path.length > (query.steps ?? 5)) break;
    if (!isShown(event) || !isInTime(event)) continue;
    const node = flowNode(query, event);
    if (query.collapse && node.key === path[path.length - 1].key) continue;
    path.push(node);
  }
  return path;
}

const TYPES = ["undefined", "boolean", "number", "string"];

function compareNodes(a, b) {
  const [x, y] = [[a.event, TYPES.indexOf(typeof a.value), a.value], [b.event, TYPES.indexOf(typeof b.value), b.value]];
  for (let i = 0; i < 3; i++) if (x[i] !== y[i]) return x[i] < y[i] ? -1 : 1;
  return 0;
}

export function flow(history, query) {
  const root = { children: new Map(), users: 0 };
  for (const one of history.people()) {
    const path = flowPath(history, query, one);
    let at = root;
    if (path.length) root.users++;
    for (const node of path) {
      if (!at.children.has(node.key)) at.children.set(node.key, { node, children: new Map(), users: 0, depth: at.depth === undefined ? 0 : at.depth + 1 });
      at = at.children.get(node.key);
      at.users++;
    }
  }
  const all = []; // in preorder by name
  const list = (at) => [...at.children.values()].sort((a, b) => compareNodes(a.node, b.node)).forEach((child) => { all.push(child); list(child); });
  list(root);
  const kept = new Set([...all].sort((a, b) => b.users - a.users || all.indexOf(a) - all.indexOf(b)).slice(0, query.limit ?? 1000));
  const rows = [];
  const show = (at, path) => {
    const children = [...at.children.values()];
    for (const child of children.filter((c) => kept.has(c)).sort((a, b) => b.users - a.users || compareNodes(a.node, b.node))) {
      const below = [...child.children.values()].reduce((sum, c) => sum + c.users, 0);
      const isLast = child.depth === (query.steps ?? 5);
      rows.push([[...path, child.node.name], child.depth, child.users, isLast ? null : child.users - below]);
      show(child, [...path, child.node.name]);
    }
    const left = children.filter((c) => !kept.has(c)).reduce((sum, c) => sum + c.users, 0);
    if (left) rows.push([[...path, "(other)"], path.length, left, null]);
  };
  show(root, []);
  return rows;
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
    const query = { steps: condition.sequence, within: condition.within };
    const inside = range(history, condition.time);
    const starts = one.events.filter((e) => inside(e.time) && isStep(query.steps[0], e, one.profile));
    return levelFrom(history, query, one, starts) === condition.sequence.length;
  }
  const inside = range(history, condition.time);
  let did = one.events.filter((e) => [].concat(condition.event).includes(e.event) &&
    matches(condition.where, e, one.profile));
  if (condition.occurrence === "first") did = did.slice(0, 1);
  else if (condition.occurrence === "last") did = did.slice(-1);
  else if (condition.occurrence) did = did.slice(condition.occurrence - 1, condition.occurrence);
  const counted = did.filter((e) => inside(e.time));
  if (counted.length === 0) return Boolean(condition.including_never);
  const value = aggregate(history, condition, counted);
  return compareValues(condition.operator ?? "ge", value, condition.value ?? 1);
}

// The people of the segment. AS OF: with now at that time, and only what happened before it; profiles
// are as they are.
export function segment(history, query) {
  const then = Object.create(history);
  if (query.as_of !== undefined) then.now = instant(history, query.as_of);
  const isKnown = (e) => query.as_of === undefined || e.time < then.now;
  return history.people()
    .filter((one) => holdsFor(then, query.where, { ...one, events: one.events.filter(isKnown) }))
    .map((one) => one.person);
}

// --- timeline --------------------------------------------------------------------------------------------------------

export function timeline(history, query) {
  const inside = range(history, query.span);
  const person = history.person(query.identity);
  const one = history.people().find((p) => p.person === person);
  if (!one) return [];
  return one.events.filter((e) => inside(e.time) && matches(query.where, e, one.profile));
}
