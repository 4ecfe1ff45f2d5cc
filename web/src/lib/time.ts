/** Times are shown in the project's time zone, whatever the browser's is. */

export type Instant = string | number | null | undefined;

/** RFC 3339, or seconds or milliseconds since 1970. */
export function parse(value: Instant): Date | null {
  if (value === null || value === undefined || value === '') return null;
  const date = typeof value === 'number' ? new Date(value < 1e11 ? value * 1000 : value) : new Date(value);
  return Number.isNaN(date.getTime()) ? null : date;
}

const formats = new Map<string, Intl.DateTimeFormat>();

function format(zone: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = zone + JSON.stringify(options);
  let found = formats.get(key);
  if (!found) {
    try {
      found = new Intl.DateTimeFormat('en-GB', { ...options, timeZone: zone });
    } catch {
      found = new Intl.DateTimeFormat('en-GB', { ...options, timeZone: 'UTC' });
    }
    formats.set(key, found);
  }
  return found;
}

export function dateTime(value: Instant, zone: string): string {
  const date = parse(value);
  if (!date) return '–';
  return format(zone, {
    day: 'numeric', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit', second: '2-digit',
    hourCycle: 'h23',
  }).format(date);
}

export function clock(value: Instant, zone: string): string {
  const date = parse(value);
  if (!date) return '–';
  return format(zone, { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' }).format(date);
}

export function dayName(value: Instant, zone: string): string {
  const date = parse(value);
  if (!date) return '–';
  return format(zone, { weekday: 'short', day: 'numeric', month: 'long', year: 'numeric' }).format(date);
}

export function day(value: Instant, zone: string): string {
  const date = parse(value);
  return date ? format(zone, { day: 'numeric', month: 'short', year: 'numeric' }).format(date) : '–';
}

/** The local date of an instant, as YYYY-MM-DD. */
export function localDate(date: Date, zone: string): string {
  return localStamp(date, zone).slice(0, 10);
}

/** The local date and time of an instant, as YYYY-MM-DDTHH:MM. */
export function localStamp(date: Date, zone: string): string {
  const parts: Record<string, string> = {};
  const formatter = format(zone, {
    year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', hourCycle: 'h23',
  });
  for (const part of formatter.formatToParts(date)) parts[part.type] = part.value;
  return `${(parts.year ?? '').padStart(4, '0')}-${parts.month}-${parts.day}T${parts.hour}:${parts.minute}`;
}

/** Calendar arithmetic on YYYY-MM-DD, free of any time zone. */
export function addDays(date: string, days: number): string {
  const at = new Date(`${date}T00:00:00Z`);
  at.setUTCDate(at.getUTCDate() + days);
  return at.toISOString().slice(0, 10);
}

export function addMonths(date: string, months: number): string {
  const at = new Date(`${date}T00:00:00Z`);
  const dayOfMonth = at.getUTCDate();
  at.setUTCDate(1);
  at.setUTCMonth(at.getUTCMonth() + months);
  const last = new Date(Date.UTC(at.getUTCFullYear(), at.getUTCMonth() + 1, 0)).getUTCDate();
  at.setUTCDate(Math.min(dayOfMonth, last));
  return at.toISOString().slice(0, 10);
}

export function daysBetween(from: string, to: string): number {
  return Math.round((Date.parse(`${to}T00:00:00Z`) - Date.parse(`${from}T00:00:00Z`)) / 86_400_000);
}

export function startOfWeek(date: string): string {
  const weekday = (new Date(`${date}T00:00:00Z`).getUTCDay() + 6) % 7;
  return addDays(date, -weekday);
}

/** "3 Jan 2017" for a calendar date, "Jan 2017" for a month. */
export function dateLabel(date: string, unit: string, withYear = true): string {
  const at = new Date(`${date.slice(0, 10)}T00:00:00Z`);
  if (Number.isNaN(at.getTime())) return date;
  if (unit === 'year') return date.slice(0, 4);
  if (unit === 'quarter') return `Q${Math.floor(at.getUTCMonth() / 3) + 1} ${date.slice(0, 4)}`;
  if (unit === 'month') return format('UTC', { month: 'short', year: 'numeric' }).format(at);
  const text = format('UTC', withYear ? { day: 'numeric', month: 'short', year: 'numeric' } : { day: 'numeric', month: 'short' }).format(at);
  return unit === 'hour' || unit === 'minute' ? `${text}, ${date.slice(11, 16)}` : text;
}

export function ago(value: Instant, now = Date.now()): string {
  const date = parse(value);
  if (!date) return 'never';
  const seconds = Math.round((now - date.getTime()) / 1000);
  if (seconds < 5) return 'just now';
  const steps: [number, string][] = [[60, 's'], [3600, 'min'], [86_400, 'h'], [86_400 * 60, 'd'], [86_400 * 730, 'mo'], [Infinity, 'y']];
  const sizes = [1, 60, 3600, 86_400, 86_400 * 30.44, 86_400 * 365.25];
  const at = steps.findIndex(([limit]) => seconds < limit);
  return `${Math.floor(seconds / (sizes[at] ?? 1))} ${steps[at]?.[1]} ago`;
}
