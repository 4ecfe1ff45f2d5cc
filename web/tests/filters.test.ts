import { describe, expect, it } from 'vitest';
import { both, filterTree, groupOf, stepOf, stepTree, type FilterGroup, type FilterRow } from '@/model/filters';

const row = (part: Partial<FilterRow>): FilterRow => ({ on: 'event', name: 'Amount', op: 'is', values: [1], ...part });

describe('filters', () => {
  it('writes nothing for rows that are not filled in', () => {
    expect(filterTree({ match: 'all', rows: [row({ values: [] }), row({ op: 'gt', values: [''] }), row({ op: 'between', values: [1] })] })).toBeUndefined();
  });

  it('writes one value as a comparison and several as a list', () => {
    expect(filterTree({ match: 'all', rows: [row({ values: ['a'] })] })).toEqual({ property: 'Amount', operator: 'eq', value: 'a' });
    expect(filterTree({ match: 'all', rows: [row({ values: ['a', 'b'] })] })).toEqual({ property: 'Amount', operator: 'in', value: ['a', 'b'] });
    expect(filterTree({ match: 'all', rows: [row({ op: 'is_not', values: ['a', 'b'] })] })).toEqual({ not: { property: 'Amount', operator: 'in', value: ['a', 'b'] } });
  });

  it('reads back every row that it writes', () => {
    const rows: FilterRow[] = [
      row({}), row({ values: ['a', 'b'] }), row({ op: 'is_not' }), row({ op: 'is_not', values: [1, 2] }), row({ op: 'gt', values: [3.5] }),
      row({ op: 'between', values: [1, 9] }), row({ op: 'icontains', values: ['x'] }), row({ op: 'exists', values: [] }),
      row({ op: 'missing', values: [] }), row({ on: 'profile', name: 'city', values: ['Pune'] }), row({ values: [true] }),
    ];
    for (const match of ['all', 'any'] as const) {
      const group: FilterGroup = { match, rows };
      expect(groupOf(filterTree(group))).toEqual(group);
    }
  });

  it('says that it cannot show nested conditions', () => {
    const leaf = { property: 'a', operator: 'eq', value: 1 };
    expect(groupOf({ all: [{ any: [leaf, leaf] }, leaf] })).toBeNull();
    expect(groupOf({ not: { all: [leaf] } })).toBeNull();
    expect(groupOf({ event: 'Charged' })).toBeNull();
  });

  it('joins conditions without needless nesting', () => {
    const [a, b, c] = ['a', 'b', 'c'].map((property) => ({ property, operator: 'exists' }));
    expect(both(a, undefined)).toBe(a);
    expect(both({ all: [a!, b!] }, c)).toEqual({ all: [a, b, c] });
    expect(both({ any: [a!, b!] }, c)).toEqual({ all: [{ any: [a, b] }, c] });
  });

  it('keeps a step through the tree and back', () => {
    for (const step of [{ events: ['A'] }, { events: ['A', 'B'] }, { events: [], any: true }, { events: ['A'], filters: { match: 'all' as const, rows: [row({})] } }]) {
      expect(stepOf(stepTree(step))).toEqual(step);
    }
  });
});
