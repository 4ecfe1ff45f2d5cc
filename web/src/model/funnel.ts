import type { Answer, Cell } from '@/lib/types';
import { breakdownKey, breakdownOf, stepOf, stepReady, stepTree, type Breakdown, type StepState } from './filters';
import { rangeOf, spanMember, type Dates, type Range } from './range';
import { onlyHas, type Condition, type FunnelTree, type Tree } from './tree';

export interface Exclusion {
  step: StepState;
  mode: 'cut' | 'drop';
}

export interface FunnelState {
  steps: StepState[];
  within?: string;
  /** From which step the window is counted. */
  from?: 'first' | 'previous';
  order?: 'loose' | 'strict' | 'any';
  attempt?: 'best' | 'first' | 'each';
  holding?: string[];
  excluding?: Exclusion[];
  by?: Breakdown;
  range?: Range;
}

export const maximumSteps = 32;
export const defaultWindow = '7d';

export function funnelReady(state: FunnelState): boolean {
  return state.steps.filter(stepReady).length >= 2;
}

export function funnelTree(state: FunnelState, dates: Dates): FunnelTree {
  const excluding = (state.excluding ?? []).filter((exclusion) => stepReady(exclusion.step));
  return {
    report: 'funnel',
    steps: state.steps.filter(stepReady).map(stepTree),
    within: state.within ?? defaultWindow,
    ...(state.from === 'previous' ? { window_from: 'previous' } : {}),
    ...(state.attempt && state.attempt !== 'best' ? { attempt: state.attempt } : {}),
    ...(state.order && state.order !== 'loose' ? { order: state.order } : {}),
    ...(state.holding?.length ? { holding: state.holding } : {}),
    ...(excluding.length > 0 ? { excluding: excluding.map(({ step, mode }) => ({ step: stepTree(step), mode })) } : {}),
    ...(state.by ? { by: [breakdownKey(state.by)] } : {}),
    ...spanMember(dates),
  };
}

export function funnelOf(tree: Tree): FunnelState | null {
  if (tree.report !== 'funnel') return null;
  const funnel = tree as FunnelTree;
  const steps = funnel.steps.map(stepOf);
  const range = rangeOf(funnel.span);
  const by = funnel.by?.[0] ? breakdownOf(funnel.by[0]) : undefined;
  const excluding = (funnel.excluding ?? []).map(({ step, mode, between }) => ({ step: stepOf(step), mode, between }));
  const read = ['steps', 'within', 'window_from', 'attempt', 'order', 'holding', 'excluding', 'by', 'span'];
  const showable =
    onlyHas(tree, read, { ties: 'any', complete: 'until_window', scope: 'events' }) &&
    steps.every((step) => step !== null) && range !== null && by !== null && (funnel.by?.length ?? 0) <= 1 &&
    excluding.every((one) => one.step !== null && wholeFunnel(one.between, steps.length));
  if (!showable) return null;
  return {
    steps: steps as StepState[],
    within: funnel.within,
    range,
    ...(funnel.window_from === 'previous' ? { from: 'previous' as const } : {}),
    ...(funnel.order ? { order: funnel.order as FunnelState['order'] } : {}),
    ...(funnel.attempt ? { attempt: funnel.attempt as FunnelState['attempt'] } : {}),
    ...(funnel.holding?.length ? { holding: funnel.holding } : {}),
    ...(excluding.length > 0
      ? { excluding: excluding.map(({ step, mode }) => ({ step: step as StepState, mode: mode === 'drop' ? 'drop' : 'cut' })) }
      : {}),
    ...(by ? { by } : {}),
  };
}

function wholeFunnel(between: [number, number] | undefined, steps: number): boolean {
  return !between || (between[0] === 1 && between[1] === steps);
}

/**
 * Who reached a step, as a condition on users; null for funnels with options that a condition doesn't have.
 */
export function reached(state: FunnelState, dates: Dates, count: number): Condition | null {
  const plain =
    (state.order ?? 'loose') === 'loose' && (state.attempt ?? 'best') === 'best' && state.from !== 'previous' &&
    !state.holding?.length && !state.excluding?.some((one) => stepReady(one.step)) && !state.by;
  const steps = state.steps.filter(stepReady).slice(0, count).map(stepTree);
  const [first] = steps;
  if (!plain || !first) return null;
  const span = spanMember(dates).span;
  const time = span ? { time: span } : {};
  if (steps.length > 1) return { sequence: steps, within: state.within ?? defaultWindow, ...time };
  const where = first.where ? { where: first.where } : {};
  const did = (event: { event: string } | { any_event: true }): Condition => ({ ...event, ...where, ...time });
  if (first.any_event) return did({ any_event: true });
  const events = (first.events ?? []).map((event) => did({ event }));
  return events.length === 1 ? events[0] ?? null : { any: events };
}

/** Who reached a step and went no further. */
export function dropped(state: FunnelState, dates: Dates, count: number): Condition | null {
  const [here, next] = [reached(state, dates, count), reached(state, dates, count + 1)];
  return here && next ? { all: [here, { not: next }] } : null;
}

export interface FunnelStep {
  name: string;
  users: number;
  fromFirst: number | null;
  fromPrevious: number | null;
  /** Half of the users took no longer than this from the step before. */
  medianMs: number | null;
}

export interface FunnelGroup {
  /** A value of the breakdown; undefined without one. */
  group?: Cell;
  steps: FunnelStep[];
}

export function readFunnel(answer: Answer): FunnelGroup[] {
  const at = (name: string): number => answer.columns.findIndex((column) => column.name === name);
  const step = at('step');
  const columns = { event: at('event'), users: at('users'), first: at('conversion_first'), previous: at('conversion_previous'), median: at('median_ms') };
  const num = (row: Cell[], index: number): number | null => (typeof row[index] === 'number' ? row[index] : null);
  const groups = new Map<string, FunnelGroup>();
  for (const row of answer.rows) {
    const group = step > 0 ? row.slice(0, step) : [];
    const key = JSON.stringify(group);
    const found = groups.get(key) ?? { ...(step > 0 ? { group: group[0] ?? null } : {}), steps: [] };
    groups.set(key, found);
    found.steps.push({
      name: String(row[columns.event] ?? ''),
      users: num(row, columns.users) ?? 0,
      fromFirst: num(row, columns.first),
      fromPrevious: num(row, columns.previous),
      medianMs: num(row, columns.median),
    });
  }
  return [...groups.values()].sort((a, b) => (b.steps[0]?.users ?? 0) - (a.steps[0]?.users ?? 0));
}
