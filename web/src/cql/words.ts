/** The words of CQL, for colouring and completion. The server's parser is the authority. */
export const keywords = [
  'SELECT', 'FROM', 'EVENTS', 'WHERE', 'SINCE', 'UNTIL', 'BETWEEN', 'AND', 'OR', 'NOT', 'GROUP', 'BY', 'ORDER', 'ASC', 'DESC',
  'LIMIT', 'AS', 'IN', 'TIME', 'ZONE', 'FUNNEL', 'THEN', 'WITHIN', 'ATTEMPT', 'TIES', 'HOLDING', 'EXCLUDING', 'CUT', 'DROP',
  'RETENTION', 'OF', 'FIRST', 'RETURNING', 'HOURLY', 'DAILY', 'WEEKLY', 'MONTHLY', 'FOR', 'ON', 'AFTER', 'BEFORE', 'ROLLING',
  'COUNT', 'BIRTH', 'SEGMENT', 'USERS', 'DID', 'SEQUENCE', 'LAST', 'BUCKET', 'TO', 'EXPLAIN', 'ANALYZE', 'ANY', 'EVENT', 'AGO',
  'NOW', 'TODAY', 'YESTERDAY', 'START', 'THIS', 'CONTAINS', 'STARTS', 'ENDS', 'WITH', 'MATCHES', 'EXISTS', 'LOOSE', 'STRICT',
  'BEST', 'EACH', 'SEQ', 'GRACE', 'INCLUDING', 'NEVER', 'DAYS', 'ICONTAINS', 'STREAK', 'BRACKETS', 'COMPLETE', 'RANGE', 'SESSION',
  'AMONG', 'STEPS', 'PREVIOUS', 'OTHER', 'FILTER', 'NTH', 'TRUE', 'FALSE', 'FLOW', 'COLLAPSE', 'HIDE', 'KEEP', 'EXPAND',
] as const;

export const functions = ['count', 'users', 'sessions', 'sum', 'avg', 'min', 'max', 'distinct', 'percentile'] as const;

export const units = [
  'second', 'seconds', 'minute', 'minutes', 'hour', 'hours', 'day', 'days', 'week', 'weeks', 'month', 'months', 'quarter', 'year', 'years',
] as const;

/** What may follow, offered as whole phrases. */
export const phrases = [
  'GROUP BY', 'ORDER BY', 'SINCE 30 days ago', 'IN TIME ZONE', 'RETENTION OF FIRST', 'FLOW FROM', 'FLOW TO', 'ANY EVENT', 'STARTS WITH', 'ENDS WITH',
  'IN LAST 7 days', 'WITHIN 7 days', 'EVENTS OF', 'FROM events',
] as const;

const word = /^[A-Za-z_][A-Za-z0-9_]*$/;
const taken = new Set<string>([...keywords, ...units.map((unit) => unit.toUpperCase())]);

/** A property's name as CQL writes it. */
export function nameText(name: string): string {
  return word.test(name) && !taken.has(name.toUpperCase()) ? name : `"${name.replaceAll('"', '""')}"`;
}

export function stringText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** The server counts bytes of UTF-8; the editor counts UTF-16. */
export function indexOfByte(text: string, byte: number): number {
  let bytes = 0;
  for (let index = 0; index < text.length; ) {
    if (bytes >= byte) return index;
    const code = text.codePointAt(index) ?? 0;
    bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    index += code > 0xffff ? 2 : 1;
  }
  return text.length;
}

export interface Fault {
  from: number;
  to: number;
  message: string;
  suggestion: string | null;
}

export function faultOf(text: string, message: string, details: Record<string, unknown>): Fault | null {
  if (typeof details.position !== 'number') return null;
  const from = Math.min(indexOfByte(text, details.position), text.length);
  const length = typeof details.length === 'number' ? details.length : 1;
  const to = Math.max(indexOfByte(text, details.position + length), Math.min(from + 1, text.length));
  return { from, to, message, suggestion: typeof details.suggestion === 'string' ? details.suggestion : null };
}

/** The text with the suggested name in place of the wrong one, in the same quotes. */
export function accept(text: string, fault: Fault): string {
  const suggestion = fault.suggestion ?? '';
  const wrong = text.slice(fault.from, fault.to);
  const quoted = wrong.startsWith("'") ? stringText(suggestion) : wrong.startsWith('"') ? `"${suggestion}"` : null;
  const inside = "'\"".includes(text[fault.from - 1] ?? ' ');
  const fresh = quoted ?? (inside ? suggestion : wrong.startsWith('profile.') && !suggestion.startsWith('profile.') ? `profile.${nameText(suggestion)}` : nameText(suggestion));
  return text.slice(0, fault.from) + fresh + text.slice(fault.to);
}
