import { addDays, addMonths, dateLabel, daysBetween, localDate, localStamp, parse, startOfWeek, type Instant } from '@/lib/time';
import type { Span, Time, TimeUnit } from './tree';

/** A range as the URL keeps it: a preset's name, or `2017-01-01..2017-12-31` with both days in it. */
export type Range = string;

export interface Preset {
  id: Range;
  label: string;
  key?: string;
}

export const presets: readonly Preset[] = [
  { id: 'today', label: 'Today', key: 'd' },
  { id: 'yesterday', label: 'Yesterday', key: 'e' },
  { id: '24h', label: 'Last 24 hours', key: 'h' },
  { id: '7d', label: 'Last 7 days', key: 'w' },
  { id: '30d', label: 'Last 30 days', key: 't' },
  { id: '90d', label: 'Last 90 days', key: 'n' },
  { id: 'month', label: 'This month', key: 'm' },
  { id: 'last_month', label: 'Last month', key: 'p' },
  { id: 'year', label: 'This year', key: 'y' },
  { id: '12m', label: 'Last 12 months', key: 'l' },
  { id: 'all', label: 'All time', key: 'a' },
];

/** What a range depends on: the day it is, and the days that hold data. */
export interface Calendar {
  zone: string;
  now: Date;
  first: string | null;
  last: string | null;
  events: readonly Seen[];
}

/** When an event was seen, as the catalog tells. */
export interface Seen {
  name?: string;
  first_seen?: Instant;
  last_seen?: Instant;
}

export interface Dates {
  since: string;
  /** Exclusive. */
  until: string;
  /** Exact elapsed hours up to now instead of whole days. */
  hours?: number;
  /** The same range in words that stay true tomorrow. */
  span?: Span;
}

export function calendar(zone: string, events: readonly Seen[], now = new Date()): Calendar {
  const times = (pick: 'first_seen' | 'last_seen'): number[] =>
    events.map((event) => parse(event[pick])?.getTime()).filter((time) => time !== undefined);
  const first = times('first_seen');
  const last = times('last_seen');
  return {
    zone,
    now,
    first: first.length > 0 ? localDate(new Date(Math.min(...first)), zone) : null,
    last: last.length > 0 ? localDate(new Date(Math.max(...last)), zone) : null,
    events,
  };
}

/** The days that hold some events, so that a report on old ones doesn't begin with an empty month. */
export function calendarOf(c: Calendar, names: readonly string[]): Calendar {
  const events = c.events.filter((event) => event.name !== undefined && names.includes(event.name));
  return events.length > 0 ? calendar(c.zone, events, c.now) : c;
}

/** What a new report starts with: the last 30 days, or everything when nothing came lately. */
export function defaultRange(c: Calendar): Range {
  const today = localDate(c.now, c.zone);
  return c.last !== null && daysBetween(c.last, today) > 30 ? 'all' : '30d';
}

export function resolve(range: Range, c: Calendar): Dates {
  const today = localDate(c.now, c.zone);
  const tomorrow = addDays(today, 1);
  const custom = /^(\d{4}-\d\d-\d\d)\.\.(\d{4}-\d\d-\d\d)$/.exec(range);
  if (custom?.[1] && custom[2]) {
    const [from, to] = custom[1] <= custom[2] ? [custom[1], custom[2]] : [custom[2], custom[1]];
    return { since: from, until: addDays(to, 1) };
  }
  const lastDays = /^(\d+)d$/.exec(range);
  if (lastDays?.[1]) {
    // `29d` ago is the start of that local day: with today, 30 days.
    const before = Math.max(0, Number(lastDays[1]) - 1);
    return { since: addDays(today, -before), until: tomorrow, span: { since: before === 0 ? 'today' : { ago: `${before}d` } } };
  }
  const lastHours = /^(\d+)h$/.exec(range);
  if (lastHours?.[1]) {
    const hours = Number(lastHours[1]);
    return { since: localDate(new Date(c.now.getTime() - hours * 3_600_000), c.zone), until: tomorrow, hours, span: { since: { ago: `${hours}h` } } };
  }
  const month = `${today.slice(0, 7)}-01`;
  switch (range) {
    case 'today':
      return { since: today, until: tomorrow, span: { since: 'today' } };
    case 'yesterday':
      return { since: addDays(today, -1), until: today, span: { since: 'yesterday', until: 'today' } };
    case 'month':
      return { since: month, until: tomorrow, span: { since: { start_of: 'month' } } };
    case 'last_month':
      return { since: addMonths(month, -1), until: month };
    case 'year':
      return { since: `${today.slice(0, 4)}-01-01`, until: tomorrow, span: { since: { start_of: 'year' } } };
    case '12m':
      return { since: addMonths(month, -11), until: tomorrow };
    default: {
      const until = c.last !== null && c.last < today ? addDays(c.last, 1) : tomorrow;
      return { since: c.first ?? addDays(today, -29), until, span: {} };
    }
  }
}

export function spanOf(dates: Dates): Span | undefined {
  if (!dates.span) return { since: dates.since, until: dates.until };
  return Object.keys(dates.span).length > 0 ? dates.span : undefined;
}

export function spanMember(dates: Dates): { span?: Span } {
  const span = spanOf(dates);
  return span ? { span } : {};
}

/** A span of a saved tree as a range of the picker; null when it has no such form. */
export function rangeOf(span: Span | undefined): Range | null {
  const date = (time: Time | undefined): string | null =>
    typeof time === 'string' && /^\d{4}-\d\d-\d\d$/.test(time) ? time : null;
  if (!span || Object.keys(span).length === 0) return 'all';
  if (span.between) {
    const [from, to] = span.between.map(date);
    return from && to ? `${from}..${to}` : null;
  }
  if (span.in_last) return /^\d+h$/.test(span.in_last) ? span.in_last : null;
  if (span.this) return { month: 'month', year: 'year', day: 'today' }[span.this] ?? null;
  const since = date(span.since);
  const until = date(span.until);
  if (since && until) return `${since}..${addDays(until, -1)}`;
  if (span.since === 'yesterday' && span.until === 'today') return 'yesterday';
  if (span.until !== undefined && span.until !== 'now') return null;
  if (typeof span.since === 'object' && 'ago' in span.since) {
    const found = /^(\d+)([hdw])$/.exec(span.since.ago);
    if (!found) return null;
    return found[2] === 'h' ? span.since.ago : `${Number(found[1]) * (found[2] === 'w' ? 7 : 1) + 1}d`;
  }
  if (typeof span.since === 'object' && 'start_of' in span.since) {
    return { month: 'month', year: 'year', day: 'today' }[span.since.start_of] ?? null;
  }
  return span.since === 'today' ? 'today' : null;
}

export function previous(dates: Dates): Dates {
  const days = daysBetween(dates.since, dates.until);
  return { since: addDays(dates.since, -days), until: dates.since };
}

export function yearBefore(dates: Dates): Dates {
  return { since: addMonths(dates.since, -12), until: addMonths(dates.until, -12) };
}

const maximumBuckets = 2000;

export function unitsFor(dates: Dates): TimeUnit[] {
  const days = daysBetween(dates.since, dates.until);
  const units: TimeUnit[] = [];
  if ((dates.hours ?? days * 24) <= 24) units.push('minute');
  if (days * 24 <= maximumBuckets) units.push('hour');
  if (!dates.hours) units.push('day');
  if (days > 7) units.push('week');
  if (days > 31) units.push('month');
  if (days > 180) units.push('quarter');
  if (days > 730) units.push('year');
  return units.length > 0 ? units : ['day'];
}

export function defaultUnit(dates: Dates): TimeUnit {
  const days = daysBetween(dates.since, dates.until);
  if (dates.hours || days <= 2) return 'hour';
  if (days <= 92) return 'day';
  return days <= 760 ? 'week' : 'month';
}

/** The part of a time cell that names its bucket, whatever follows it (seconds, offset). */
export function bucketName(cell: unknown, unit: TimeUnit): string {
  const length = unit === 'minute' ? 16 : unit === 'hour' ? 13 : 10;
  const text = String(cell).replace(' ', 'T');
  const name = text.length === 7 ? `${text}-01` : text.length === 4 ? `${text}-01-01` : text;
  return unit === 'hour' ? `${name.slice(0, length)}:00` : name.slice(0, length);
}

/** Every bucket of a range in order, also those in which nothing happened. */
export function buckets(dates: Dates, unit: TimeUnit, c: Calendar): string[] {
  const names: string[] = [];
  if (unit === 'minute' || unit === 'hour') {
    const step = unit === 'hour' ? 3_600_000 : 60_000;
    const limit = dates.hours ? dates.hours * (3_600_000 / step) + 1 : (daysBetween(dates.since, dates.until) + 2) * (86_400_000 / step);
    const start = dates.hours ? c.now.getTime() - dates.hours * 3_600_000 : Date.parse(`${addDays(dates.since, -1)}T00:00:00Z`);
    const nowName = localStamp(c.now, c.zone);
    for (let i = 0; i <= limit && names.length < maximumBuckets; i++) {
      const name = bucketName(localStamp(new Date(start + i * step), c.zone), unit);
      const date = name.slice(0, 10);
      if (date < dates.since || date >= dates.until || name > nowName || names.at(-1) === name) continue;
      names.push(name);
    }
    return names;
  }
  const today = localDate(c.now, c.zone);
  const first = bucketStart(dates.since, unit);
  for (let at = first; at < dates.until && at <= today && names.length < maximumBuckets; ) {
    names.push(at);
    at = bucketEnd(at, unit);
  }
  return names;
}

function bucketStart(date: string, unit: TimeUnit): string {
  const month = Number(date.slice(5, 7));
  switch (unit) {
    case 'week':
      return startOfWeek(date);
    case 'month':
      return `${date.slice(0, 7)}-01`;
    case 'quarter':
      return `${date.slice(0, 4)}-${String(month - ((month - 1) % 3)).padStart(2, '0')}-01`;
    case 'year':
      return `${date.slice(0, 4)}-01-01`;
    default:
      return date;
  }
}

function bucketEnd(name: string, unit: TimeUnit): string {
  const months = { month: 1, quarter: 3, year: 12 }[unit as string];
  return months ? addMonths(name, months) : addDays(name, unit === 'week' ? 7 : 1);
}

/** What to know about a bucket that isn't wholly counted; undefined for whole ones. */
export function partOf(name: string, unit: TimeUnit, dates: Dates, c: Calendar): string | undefined {
  if (unit === 'minute' || unit === 'hour') return undefined;
  const end = bucketEnd(name, unit);
  const today = localDate(c.now, c.zone);
  if (end > today) return 'not over yet';
  if (name < dates.since) return `only from ${dateLabel(dates.since, 'day')}`;
  return end > dates.until ? `only until ${dateLabel(addDays(dates.until, -1), 'day')}` : undefined;
}
