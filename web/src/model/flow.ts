import type { Answer } from '@/lib/types';
import { stepOf, stepReady, stepTree, type StepState } from './filters';
import { rangeOf, spanMember, type Dates, type Range } from './range';
import { onlyHas, type FlowTree, type Tree } from './tree';

export interface Expansion {
  event: string;
  property: string;
}

export interface FlowState {
  direction?: 'from' | 'to';
  start: StepState;
  steps?: number;
  within?: string;
  /** The same event again, at once, is no step. */
  collapse?: boolean;
  /** Which events are shown: all, all but these, or only these. */
  show?: { mode: 'hide' | 'keep'; events: string[] };
  expand?: Expansion[];
  range?: Range;
}

export const defaultSteps = 5;
export const maximumSteps = 20;
export const maximumStarts = 3;

export function flowReady(state: FlowState): boolean {
  return stepReady(state.start);
}

export function flowTree(state: FlowState, dates: Dates): FlowTree {
  const expand = (state.expand ?? []).filter(({ event, property }) => event && property);
  return {
    report: 'flow',
    ...(state.direction === 'to' ? { direction: 'to' } : {}),
    start: stepTree(state.start),
    steps: state.steps ?? defaultSteps,
    ...(state.within ? { within: state.within } : {}),
    ...(state.collapse ? { collapse: true } : {}),
    ...(state.show?.events.length ? { [state.show.mode]: state.show.events } : {}),
    ...(expand.length > 0 ? { expand } : {}),
    ...spanMember(dates),
  };
}

export function flowOf(tree: Tree): FlowState | null {
  if (tree.report !== 'flow') return null;
  const flow = tree as FlowTree;
  const start = stepOf(flow.start);
  const range = rangeOf(flow.span);
  const read = ['direction', 'start', 'steps', 'within', 'collapse', 'hide', 'keep', 'expand', 'span'];
  if (!onlyHas(tree, read, { limit: 1000 }) || start === null || range === null) return null;
  const mode = flow.hide?.length ? 'hide' : flow.keep?.length ? 'keep' : null;
  return {
    ...(flow.direction === 'to' ? { direction: 'to' as const } : {}),
    start,
    ...(flow.steps && flow.steps !== defaultSteps ? { steps: flow.steps } : {}),
    ...(flow.within ? { within: flow.within } : {}),
    ...(flow.collapse ? { collapse: true } : {}),
    ...(mode ? { show: { mode, events: flow[mode] ?? [] } } : {}),
    ...(flow.expand?.length ? { expand: flow.expand } : {}),
    range,
  };
}

export interface FlowNode {
  id: number;
  name: string;
  path: string[];
  depth: number;
  users: number;
  /** null at the last step, where all paths end, and for what was left out. */
  dropped: number | null;
  /** What the answer left out below the parent, as one. */
  other: boolean;
  parent: FlowNode | null;
  children: FlowNode[];
}

/** The rows come parents first: the tree is read off their depths. */
export function readFlow(answer: Answer): FlowNode[] {
  const at = (name: string): number => answer.columns.findIndex((column) => column.name === name);
  const [path, depth, users, dropped] = [at('path'), at('depth'), at('users'), at('dropped')];
  const open: FlowNode[] = [];
  return answer.rows.map((row, id) => {
    const names = Array.isArray(row[path]) ? (row[path] as unknown[]).map(String) : [];
    const level = Number(row[depth] ?? 0);
    const left = row[dropped];
    const node: FlowNode = {
      id, name: names.at(-1) ?? '', path: names, depth: level, users: Number(row[users] ?? 0),
      dropped: typeof left === 'number' ? left : null, other: false, parent: open[level - 1] ?? null, children: [],
    };
    node.other = node.name === '(other)' && node.dropped === null && isLastOfAll(answer, id, level, depth);
    node.parent?.children.push(node);
    open[level] = node;
    return node;
  });
}

/** What is left out is the last of its parent's children, and has none itself. */
function isLastOfAll(answer: Answer, id: number, level: number, depth: number): boolean {
  const next = answer.rows[id + 1]?.[depth];
  return typeof next !== 'number' || next < level;
}

/** Which nodes are drawn: in each column the largest whose parent is drawn; the others of a column as one. */
export interface FlowColumn {
  nodes: FlowNode[];
  /** Users who went on to a node that isn't drawn, by the drawn node that they came from. */
  rest: { users: number; from: { node: FlowNode | null; users: number }[] };
}

export function columnsOf(nodes: readonly FlowNode[], most: number): FlowColumn[] {
  const columns: FlowColumn[] = [];
  let parents: (FlowNode | null)[] = [null];
  for (let depth = 0; parents.length > 0; depth++) {
    const below = parents.map((parent) => ({ parent, children: parent ? parent.children : nodes.filter((node) => node.depth === 0) }));
    const candidates = below.flatMap(({ children }) => children.filter((child) => !child.other));
    const drawn = new Set([...candidates].sort((a, b) => b.users - a.users || a.id - b.id).slice(0, most));
    const from = below
      .map(({ parent, children }) => ({ node: parent, users: children.reduce((sum, child) => sum + (drawn.has(child) ? 0 : child.users), 0) }))
      .filter((one) => one.users > 0);
    const shown = candidates.filter((child) => drawn.has(child));
    if (shown.length === 0 && from.length === 0) break;
    columns.push({ nodes: shown, rest: { users: from.reduce((sum, one) => sum + one.users, 0), from } });
    parents = shown;
  }
  return columns;
}
