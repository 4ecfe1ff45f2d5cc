import { describe, expect, it } from 'vitest';
import type { Answer, Cell } from '@/lib/types';
import { dropped, funnelOf, funnelTree, reached, readFunnel, type FunnelState } from '@/model/funnel';
import { readRetention, retentionOf, retentionTree } from '@/model/retention';
import { combine, seriesTree, trendsOf, type TrendsState } from '@/model/trends';

const dates = { since: '2017-01-01', until: '2018-01-01' };
const range = '2017-01-01..2017-12-31';

function answer(columns: string[], rows: Cell[][], report = 'select'): Answer {
  return { report, columns: columns.map((name) => ({ name, type: 'string' })), rows, meta: {} };
}

describe('trends', () => {
  const state: TrendsState = { series: [{ events: ['Charged'], measure: 'count' }], range, unit: 'week' };

  it('ask over time in order of time, and in total without it', () => {
    const series = state.series[0]!;
    expect(seriesTree(state, series, dates, 'week')).toEqual({
      report: 'select', measures: [{ measure: 'count' }], where: { event: 'Charged' },
      group_by: ['week'], order_by: [{ item: 0 }], limit: 10_000, span: dates,
    });
    expect(seriesTree(state, series, dates, null)).toEqual({ report: 'select', measures: [{ measure: 'count' }], where: { event: 'Charged' }, span: dates });
  });

  it('come back from their tree', () => {
    const broken: TrendsState = {
      series: [{ events: ['A', 'B'], measure: 'sum', property: 'Amount', filters: { match: 'all', rows: [{ on: 'event', name: 'Amount', op: 'gt', values: [5] }] } }],
      by: { on: 'profile', name: 'city' }, range, unit: 'month',
    };
    expect(trendsOf(seriesTree(broken, broken.series[0]!, dates, 'month'))).toEqual(broken);
    expect(trendsOf({ report: 'select', measures: [{ measure: 'count' }], group_by: ['event'] })).toBeNull();
  });

  it('draw nothing as zero, and an average of nothing as a gap', () => {
    const names = ['2017-01-02', '2017-01-09'];
    const byTime = answer(['week', 'v'], [['2017-01-09', 3]]);
    const total = answer(['v'], [[3]]);
    const points = (measure: string): (number | null)[] =>
      combine({ ...state, series: [{ events: ['A'], measure, property: 'x' }] }, [{ byTime, total }], 'week', names, []).lines[0]!.points;
    expect(points('count')).toEqual([0, 3]);
    expect(points('avg')).toEqual([null, 3]);
  });

  it('draw the largest values of a breakdown by their exact totals', () => {
    const by: TrendsState = { ...state, by: { on: 'event', name: 'Department' } };
    const byTime = answer(['week', 'Department', 'count()'], [['2017-01-02', 'A', 1], ['2017-01-02', 'B', 5], ['2017-01-02', null, 2]]);
    const total = answer(['Department', 'count()'], [['A', 1], ['B', 5], [null, 2]]);
    const result = combine(by, [{ byTime, total }], 'week', ['2017-01-02'], [], 2);
    expect(result.hidden).toBe(1);
    expect(result.lines.map((line) => [line.name, line.points, line.total])).toEqual([['B', [5], 5], ['(not set)', [2], 2], ['Other (1)', [1], 1]]);
  });

  it('never add up unique users of other values', () => {
    const by: TrendsState = { ...state, series: [{ events: ['A'], measure: 'users' }], by: { on: 'event', name: 'Department' } };
    const byTime = answer(['week', 'Department', 'users()'], [['2017-01-02', 'A', 1], ['2017-01-02', 'B', 5]]);
    const total = answer(['Department', 'users()'], [['A', 1], ['B', 5]]);
    expect(combine(by, [{ byTime, total }], 'week', ['2017-01-02'], [], 1).lines.map((line) => line.name)).toEqual(['B']);
  });

  it('calculate a formula point by point and over the totals', () => {
    const two: TrendsState = { ...state, series: [...state.series, { events: ['B'], measure: 'count' }], formula: 'B / A * 100', formulaOnly: true };
    const part = (total: number, cells: number[]) => ({ byTime: answer(['week', 'v'], cells.map((cell, i) => [`2017-01-0${i + 1}`, cell])), total: answer(['v'], [[total]]) });
    const { lines } = combine(two, [part(10, [4, 0]), part(5, [1, 4])], 'day', ['2017-01-01', '2017-01-02'], []);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatchObject({ points: [25, null], total: 50 });
  });
});

describe('funnels', () => {
  const state: FunnelState = {
    steps: [{ events: ['A'] }, { events: ['B'], filters: { match: 'any', rows: [{ on: 'event', name: 'x', op: 'is', values: ['y'] }, { on: 'profile', name: 'z', op: 'exists', values: [] }] } }, { events: [], any: true }],
    within: '30d', from: 'previous', order: 'strict', attempt: 'first', holding: ['p'], excluding: [{ step: { events: ['C'] }, mode: 'drop' }],
    by: { on: 'event', name: 'type' }, range,
  };

  it('come back from their tree with every option', () => {
    expect(funnelOf(funnelTree(state, dates))).toEqual(state);
  });

  it('leave options to the server that have its defaults', () => {
    expect(Object.keys(funnelTree({ steps: [{ events: ['A'] }, { events: ['B'] }], order: 'loose', attempt: 'best' }, dates)).sort()).toEqual(['report', 'span', 'steps', 'within']);
  });

  it('with options that the builder lacks are for the editor', () => {
    expect(funnelOf({ ...funnelTree(state, dates), ties: 'seq' })).toBeNull();
    expect(funnelOf({ ...funnelTree(state, dates), complete: 'in_range' })).toBeNull();
  });

  it('name the people behind a step where a condition can', () => {
    const plain: FunnelState = { steps: [{ events: ['A'] }, { events: ['B'] }, { events: ['C'] }], within: '30d' };
    expect(reached(plain, dates, 1)).toEqual({ event: 'A', time: dates });
    expect(reached(plain, dates, 2)).toEqual({ sequence: [{ events: ['A'] }, { events: ['B'] }], within: '30d', time: dates });
    expect(dropped(plain, dates, 1)).toEqual({ all: [{ event: 'A', time: dates }, { not: reached(plain, dates, 2) }] });
    expect(reached(state, dates, 2)).toBeNull();
  });

  it('are read group by group, the largest first', () => {
    const columns = ['type', 'step', 'event', 'users', 'conversion_first', 'conversion_previous', 'median_ms'];
    const groups = readFunnel(answer(columns, [['a', 1, 'A', 2, 1, 1, null], ['a', 2, 'B', 1, 0.5, 0.5, 7], ['b', 1, 'A', 9, 1, 1, null], ['b', 2, 'B', 0, 0, 0, null]], 'funnel'));
    expect(groups.map((group) => group.group)).toEqual(['b', 'a']);
    expect(groups[1]?.steps[1]).toEqual({ name: 'B', users: 1, fromFirst: 0.5, fromPrevious: 0.5, medianMs: 7 });
  });
});

describe('retention', () => {
  it('comes back from its tree', () => {
    const state = { start: { events: ['A'] }, back: { events: ['B'] }, first: true, unit: 'week' as const, periods: 8, range };
    expect(retentionOf(retentionTree(state, dates, 'day'))).toEqual(state);
  });

  it('counts over all cohorts only those that completed the period', () => {
    const [table] = readRetention(answer(['cohort', 'size', 'k', 'users', 'rate', 'complete'], [
      ['2017-01-01', 10, 0, 10, 1, true], ['2017-01-01', 10, 1, 5, 0.5, true],
      ['2017-02-01', 30, 0, 30, 1, true], ['2017-02-01', 30, 1, 1, 0.03, false],
    ], 'retention'));
    expect(table?.size).toBe(40);
    expect(table?.overall.map((cell) => cell?.rate)).toEqual([1, 0.5]);
    expect(table?.cohorts[1]?.cells[1]?.complete).toBe(false);
  });
});
