import type { Answer, Cell } from '@/lib/types';
import { breakdownKey, breakdownOf, stepOf, stepReady, stepTree, type Breakdown, type StepState } from './filters';
import { rangeOf, spanMember, type Dates, type Range } from './range';
import { onlyHas, type RetentionTree, type TimeUnit, type Tree } from './tree';

export type RetentionUnit = Extract<TimeUnit, 'hour' | 'day' | 'week' | 'month'>;

export interface RetentionState {
  start?: StepState;
  back?: StepState;
  first?: boolean;
  unit?: RetentionUnit;
  periods?: number;
  mode?: 'on' | 'on_or_after' | 'on_or_before' | 'streak';
  rolling?: boolean;
  by?: Breakdown;
  range?: Range;
}

export const retentionUnits: readonly RetentionUnit[] = ['hour', 'day', 'week', 'month'];

export const defaultPeriods: Record<RetentionUnit, number> = { hour: 24, day: 14, week: 12, month: 12 };

export function retentionReady(state: RetentionState): boolean {
  return stepReady(state.start) && stepReady(state.back);
}

export function retentionTree(state: RetentionState, dates: Dates, fallback: RetentionUnit): RetentionTree {
  const unit = state.unit ?? fallback;
  return {
    report: 'retention',
    first: state.first ?? true,
    start: stepTree(state.start ?? { events: [] }),
    return: stepTree(state.back ?? { events: [] }),
    unit,
    periods: state.periods ?? defaultPeriods[unit],
    ...(state.mode && state.mode !== 'on' ? { mode: state.mode } : {}),
    ...(state.rolling ? { rolling: true } : {}),
    ...(state.by ? { by: [breakdownKey(state.by)] } : {}),
    ...spanMember(dates),
  };
}

export function retentionOf(tree: Tree): RetentionState | null {
  if (tree.report !== 'retention') return null;
  const retention = tree as RetentionTree;
  const start = stepOf(retention.start);
  const back = stepOf(retention.return);
  const range = rangeOf(retention.span);
  const by = retention.by?.[0] ? breakdownOf(retention.by[0]) : undefined;
  const unit = retentionUnits.find((candidate) => candidate === retention.unit);
  if (!start || !back || range === null || by === null || !unit || !onlyHas(tree, ['first', 'start', 'return', 'unit', 'periods', 'mode', 'rolling', 'by', 'span'], { count_birth: false })) return null;
  return {
    start, back, unit, range,
    first: retention.first ?? false,
    ...(retention.periods ? { periods: retention.periods } : {}),
    ...(retention.mode ? { mode: retention.mode as RetentionState['mode'] } : {}),
    ...(retention.rolling ? { rolling: true } : {}),
    ...(by ? { by } : {}),
  };
}

export interface RetentionCell {
  users: number;
  rate: number;
  complete: boolean;
}

export interface Cohort {
  cohort: string;
  size: number;
  cells: (RetentionCell | undefined)[];
}

export interface RetentionTable {
  group?: Cell;
  cohorts: Cohort[];
  /** Over the cohorts that have completed k; null where none has. */
  overall: (RetentionCell | null)[];
  size: number;
  periods: number;
}

export function readRetention(answer: Answer): RetentionTable[] {
  const at = (name: string): number => answer.columns.findIndex((column) => column.name === name);
  const [cohort, size, k, users, rate, complete] = ['cohort', 'size', 'k', 'users', 'rate', 'complete'].map(at) as [number, number, number, number, number, number];
  const tables = new Map<string, { group?: Cell; cohorts: Map<string, Cohort> }>();
  for (const row of answer.rows) {
    const group = cohort > 0 ? row.slice(0, cohort) : [];
    const key = JSON.stringify(group);
    const table = tables.get(key) ?? { ...(cohort > 0 ? { group: group[0] ?? null } : {}), cohorts: new Map<string, Cohort>() };
    tables.set(key, table);
    const name = row[cohort];
    const period = row[k];
    if (typeof name !== 'string' || !/^\d{4}-/.test(name) || typeof period !== 'number') continue;
    const found = table.cohorts.get(name) ?? { cohort: name, size: Number(row[size] ?? 0), cells: [] };
    table.cohorts.set(name, found);
    const count = Number(row[users] ?? 0);
    const part = row[rate];
    found.cells[period] = {
      users: count,
      rate: typeof part === 'number' ? part : found.size > 0 ? count / found.size : 0,
      complete: row[complete] !== false && row[complete] !== 0,
    };
  }
  return [...tables.values()].map(({ group, cohorts }) => {
    const list = [...cohorts.values()].sort((a, b) => a.cohort.localeCompare(b.cohort));
    const periods = Math.max(0, ...list.map((one) => one.cells.length));
    return {
      ...(group === undefined ? {} : { group }),
      cohorts: list,
      periods,
      size: list.reduce((sum, one) => sum + one.size, 0),
      overall: Array.from({ length: periods }, (_, index) => overallOf(list, index)),
    };
  });
}

function overallOf(cohorts: Cohort[], index: number): RetentionCell | null {
  const done = cohorts.filter((one) => one.cells[index]?.complete);
  const size = done.reduce((sum, one) => sum + one.size, 0);
  if (size === 0) return null;
  const users = done.reduce((sum, one) => sum + (one.cells[index]?.users ?? 0), 0);
  return { users, rate: users / size, complete: true };
}
