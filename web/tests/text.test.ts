import { describe, expect, it } from 'vitest';
import { accept, faultOf, indexOfByte, nameText } from '@/cql/words';
import { toCsv } from '@/lib/csv';
import { duration, number, share } from '@/lib/format';
import { ago, dateLabel, localStamp, parse } from '@/lib/time';
import { decodeState, encodeState } from '@/lib/url-state';
import { evaluate, parseFormula } from '@/model/formula';

describe('positions in a query', () => {
  it('are found from bytes of UTF-8', () => {
    const text = "event = 'Café 🍎' AND x";
    const bytes = new TextEncoder().encode(text.slice(0, text.indexOf('x'))).length;
    expect(indexOfByte(text, bytes)).toBe(text.indexOf('x'));
    expect(indexOfByte(text, 10_000)).toBe(text.length);
  });

  it('mark at least one character, also at the end', () => {
    expect(faultOf('SELECT', 'more is expected', { position: 6, length: 0 })).toMatchObject({ from: 6, to: 6 });
    expect(faultOf('SELECT x', 'no', { position: 7, length: 0 })).toMatchObject({ from: 7, to: 8 });
    expect(faultOf('SELECT', 'no', {})).toBeNull();
  });

  it('take a suggestion in the quotes of what was wrong', () => {
    const fix = (text: string, wrong: string, suggestion: string): string =>
      accept(text, { from: text.indexOf(wrong), to: text.indexOf(wrong) + wrong.length, message: '', suggestion });
    expect(fix("event = 'Chargd'", "'Chargd'", 'Charged')).toBe("event = 'Charged'");
    expect(fix("event = 'Chargd'", 'Chargd', 'Charged')).toBe("event = 'Charged'");
    expect(fix('Storid = 1', 'Storid', 'Store ID')).toBe('"Store ID" = 1');
    expect(fix('profile.cty = 1', 'profile.cty', 'city')).toBe('profile.city = 1');
  });

  it('quote names that are not plain words', () => {
    expect(nameText('Amount')).toBe('Amount');
    expect(nameText('Store ID')).toBe('"Store ID"');
    expect(nameText('order')).toBe('"order"');
  });
});

describe('formulas', () => {
  const value = (text: string, ...values: (number | null)[]): number | null => {
    const parsed = parseFormula(text, values.length);
    if (!parsed.ok) throw new Error(parsed.error);
    return evaluate(parsed.node, values);
  };

  it('follow the usual order of operations', () => {
    expect(value('A + B * 2', 1, 3)).toBe(7);
    expect(value('(A + B) * -2', 1, 3)).toBe(-8);
    expect(value('a - b - 1', 10, 3)).toBe(6);
  });

  it('have no value where a series has none, or nothing is divided by', () => {
    expect(value('A / B', 1, 0)).toBeNull();
    expect(value('A + B', 1, null)).toBeNull();
  });

  it('say what is wrong', () => {
    for (const text of ['A +', 'A B', '(A', 'C', 'A ^ B', '']) expect(parseFormula(text, 2).ok).toBe(false);
  });
});

describe('what people read', () => {
  it('has grouped numbers, and no more digits than help', () => {
    expect(number(1234567)).toBe('1,234,567');
    expect(number(0.123456)).toBe('0.123');
    expect(number(null)).toBe('–');
    expect(share(0.2116)).toBe('21.2%');
    expect(share(1)).toBe('100%');
  });

  it('has spans of time in two units', () => {
    expect(duration(0)).toBe('0 ms');
    expect(duration(1_418_400_000)).toBe('16d 10h');
    expect(duration(3_600_000)).toBe('1h');
  });

  it('has times in the zone of the project', () => {
    expect(localStamp(new Date('2017-01-01T04:59:00Z'), 'America/New_York')).toBe('2016-12-31T23:59');
    expect(dateLabel('2017-02-01', 'month')).toBe('Feb 2017');
    expect(dateLabel('2017-02-03T05:00', 'hour')).toBe('3 Feb 2017, 05:00');
  });

  it('takes instants in text, seconds and milliseconds', () => {
    for (const value of ['2017-01-01T00:00:00Z', 1_483_228_800, 1_483_228_800_000]) expect(parse(value)?.toISOString()).toBe('2017-01-01T00:00:00.000Z');
    expect(parse('nonsense')).toBeNull();
    expect(ago('2017-01-01T00:00:00Z', Date.parse('2017-01-01T02:10:00Z'))).toBe('2 h ago');
  });
});

describe('files and links', () => {
  it('CSV keeps commas, quotes and line ends inside a field', () => {
    expect(toCsv(['a', 'b,c'], [['x"y', null], ['1\n2', 1.5], [{ k: [1] }, true]])).toBe('a,"b,c"\r\n"x""y",\r\n"1\n2",1.5\r\n"{""k"":[1]}",true\r\n');
  });

  it('a link brings back the same state, whatever is in it', () => {
    const state = { a: ["it's + & = % # 'q' \"", 'ünïcode 🍎'], b: { c: 1.5 } };
    expect(decodeState(new URLSearchParams(`q=${encodeState(state)}`).get('q'))).toEqual(state);
    expect(decodeState('{broken')).toBeNull();
  });
});
