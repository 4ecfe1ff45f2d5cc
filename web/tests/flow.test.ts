import { describe, expect, it } from 'vitest';
import type { Answer, Cell } from '@/lib/types';
import { columnsOf, flowOf, flowReady, flowTree, readFlow, type FlowState } from '@/model/flow';

const dates = { since: '2017-01-01', until: '2018-01-01' };
const range = '2017-01-01..2017-12-31';

function answer(rows: [string[], number, number, number | null][]): Answer {
  const columns = ['path', 'depth', 'users', 'dropped'].map((name) => ({ name, type: name === 'path' ? 'list' : 'int' }));
  return { report: 'flow', columns, rows: rows as unknown as Cell[][], meta: {} };
}

const sample = answer([
  [['A'], 0, 10, 1],
  [['A', 'B'], 1, 6, 2],
  [['A', 'B', 'C'], 2, 3, null],
  [['A', 'B', '(other)'], 2, 1, null],
  [['A', 'A'], 1, 3, 3],
  [['Z'], 0, 4, 4],
]);

describe('flows', () => {
  it('ask for what the builder shows, and come back from their tree', () => {
    const plain: FlowState = { start: { events: ['A'] }, range };
    expect(flowTree(plain, dates)).toEqual({ report: 'flow', start: { events: ['A'] }, steps: 5, span: dates });
    expect(flowOf(flowTree(plain, dates))).toEqual(plain);
    const full: FlowState = {
      direction: 'to', start: { events: ['A', 'B'] }, steps: 3, within: '1d', collapse: true,
      show: { mode: 'keep', events: ['C'] }, expand: [{ event: 'C', property: 'p' }], range,
    };
    expect(flowOf(flowTree(full, dates))).toEqual(full);
  });

  it('leave out what is only half built', () => {
    expect(flowReady({ start: { events: [] } })).toBe(false);
    const half: FlowState = { start: { events: ['A'] }, show: { mode: 'hide', events: [] }, expand: [{ event: 'B', property: '' }] };
    expect(flowTree(half, dates)).toEqual({ report: 'flow', start: { events: ['A'] }, steps: 5, span: dates });
  });

  it('are no state of the builder when it has no place for a part of them', () => {
    const tree = flowTree({ start: { events: ['A'] }, range }, dates);
    expect(flowOf({ ...tree, limit: 1000 })).not.toBeNull();
    expect(flowOf({ ...tree, limit: 20 })).toBeNull();
    expect(flowOf({ ...tree, report: 'funnel' })).toBeNull();
  });

  it('are read as a tree, the rest of a node being no event', () => {
    const nodes = readFlow(sample);
    expect(nodes.map((node) => [node.name, node.parent?.name ?? null, node.other])).toEqual([
      ['A', null, false], ['B', 'A', false], ['C', 'B', false], ['(other)', 'B', true], ['A', 'A', false], ['Z', null, false],
    ]);
    expect(nodes[0]!.children.map((child) => child.users)).toEqual([6, 3]);
  });

  it('draw the largest nodes of a column and sum up the others by where they came from', () => {
    const nodes = readFlow(sample);
    const columns = columnsOf(nodes, 1);
    expect(columns.map((column) => column.nodes.map((node) => node.name))).toEqual([['A'], ['B'], ['C']]);
    expect(columns.map((column) => column.rest.users)).toEqual([4, 3, 1]);
    expect(columns[2]!.rest.from).toEqual([{ node: nodes[1], users: 1 }]);
    expect(columnsOf([], 5)).toEqual([]);
  });
});
