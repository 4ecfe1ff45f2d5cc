import type { Answer, Cell } from '@/lib/types';
import {
  both, breakdownKey, breakdownOf, filterTree, groupOf, stepLabel, stepReady, type Breakdown, type FilterGroup,
  type StepState,
} from './filters';
import { evaluate, parseFormula } from './formula';
import { bucketName, rangeOf, spanMember, type Dates, type Range } from './range';
import { isTimeUnit, onlyHas, type Filter, type Key, type Measure, type SelectTree, type TimeUnit, type Tree } from './tree';

export interface MeasureKind {
  id: string;
  label: string;
  property: boolean;
  /** Values of distinct buckets may be added up. */
  additive: boolean;
}

export const measureKinds: readonly MeasureKind[] = [
  { id: 'count', label: 'Events', property: false, additive: true },
  { id: 'users', label: 'Unique users', property: false, additive: false },
  { id: 'per_user', label: 'Events per user', property: false, additive: false },
  { id: 'sessions', label: 'Sessions', property: false, additive: false },
  { id: 'sum', label: 'Sum of', property: true, additive: true },
  { id: 'avg', label: 'Average of', property: true, additive: false },
  { id: 'min', label: 'Minimum of', property: true, additive: false },
  { id: 'max', label: 'Maximum of', property: true, additive: false },
  { id: 'p50', label: 'Median of', property: true, additive: false },
  { id: 'p90', label: '90th percentile of', property: true, additive: false },
  { id: 'p99', label: '99th percentile of', property: true, additive: false },
  { id: 'distinct', label: 'Distinct values of', property: true, additive: false },
];

export function measureKind(id: string): MeasureKind {
  return measureKinds.find((kind) => kind.id === id) ?? (measureKinds[0] as MeasureKind);
}

export interface Series extends StepState {
  measure: string;
  property?: string;
}

export type TrendChart = 'line' | 'area' | 'bar';

export interface TrendsState {
  series: Series[];
  filters?: FilterGroup;
  by?: Breakdown;
  range?: Range;
  unit?: TimeUnit;
  chart?: TrendChart;
  compare?: 'previous' | 'year';
  formula?: string;
  formulaOnly?: boolean;
}

export const maximumSeries = 5;
const mostRows = 10_000;

export function seriesReady(series: Series): boolean {
  return stepReady(series) && (!measureKind(series.measure).property || Boolean(series.property));
}

export function seriesLabel(series: Series): string {
  const kind = measureKind(series.measure);
  const event = stepLabel(series);
  if (kind.id === 'count') return event;
  return kind.property ? `${event} · ${kind.label} ${series.property ?? '…'}` : `${event} · ${kind.label}`;
}

function measures(series: Series): Measure[] {
  const property = series.property;
  if (series.measure === 'per_user') return [{ measure: 'count' }, { measure: 'users' }];
  const percentile = /^p(\d+)$/.exec(series.measure);
  if (percentile) return [{ measure: 'percentile', property, q: Number(percentile[1]) / 100 }];
  return measureKind(series.measure).property ? [{ measure: series.measure, property }] : [{ measure: series.measure }];
}

export function seriesTree(state: TrendsState, series: Series, dates: Dates, unit: TimeUnit | null): SelectTree {
  const [single] = series.events;
  const event: Filter | undefined =
    series.any ? undefined : { event: series.events.length === 1 && single !== undefined ? single : series.events };
  const where = both(both(event, filterTree(series.filters)), filterTree(state.filters));
  const keys: Key[] = [...(unit ? [unit] : []), ...(state.by ? [breakdownKey(state.by)] : [])];
  const order = unit ? { item: 0 } : { item: keys.length, descending: true };
  return {
    report: 'select',
    measures: measures(series),
    ...(where ? { where } : {}),
    ...(keys.length > 0 ? { group_by: keys, order_by: [order], limit: mostRows } : {}),
    ...spanMember(dates),
  };
}

export interface Line {
  name: string;
  series: number;
  /** A value of the breakdown; null for none, undefined without a breakdown. */
  group?: Cell;
  points: (number | null)[];
  total: number | null;
  earlier?: { points: (number | null)[]; total: number | null };
}

export interface SeriesAnswer {
  byTime: Answer;
  total: Answer;
  earlier?: { byTime: Answer; total: Answer };
}

function value(series: Series, cells: Cell[]): number | null {
  const [a, b] = cells;
  if (series.measure === 'per_user') return typeof a === 'number' && typeof b === 'number' && b > 0 ? a / b : null;
  return typeof a === 'number' ? a : null;
}

function groupsOf(state: TrendsState, series: Series, answer: SeriesAnswer, maximum: number): { shown: Cell[]; hidden: number } {
  if (!state.by) return { shown: [], hidden: 0 };
  const rows = answer.total.rows.map((row) => ({ group: row[0] ?? null, value: value(series, row.slice(1)) ?? 0 }));
  rows.sort((a, b) => b.value - a.value);
  return { shown: rows.slice(0, maximum).map((row) => row.group), hidden: Math.max(0, rows.length - maximum) };
}

function points(series: Series, answer: Answer, unit: TimeUnit, names: string[], group: Cell | undefined): (number | null)[] {
  const empty = measureKind(series.measure).additive || ['users', 'distinct', 'sessions'].includes(series.measure) ? 0 : null;
  const at = new Map(names.map((name, index) => [name, index]));
  const out: (number | null)[] = names.map(() => empty);
  for (const row of answer.rows) {
    if (group !== undefined && row[1] !== group) continue;
    const index = at.get(bucketName(row[0], unit));
    if (index === undefined) continue;
    const cell = value(series, row.slice(group === undefined ? 1 : 2));
    const before = out[index];
    const additive = measureKind(series.measure).additive;
    out[index] = additive && typeof before === 'number' && typeof cell === 'number' ? before + cell : cell;
  }
  return out;
}

function total(series: Series, answer: Answer, group: Cell | undefined): number | null {
  if (group === undefined) {
    const [row] = answer.rows;
    return row ? value(series, row) : null;
  }
  const row = answer.rows.find((candidate) => candidate[0] === group);
  return row ? value(series, row.slice(1)) : null;
}

export interface TrendResult {
  lines: Line[];
  /** Breakdown values that have no line of their own. */
  hidden: number;
  /** Some groups didn't fit into an answer, so sums over what is hidden would be wrong. */
  cut: boolean;
}

/** The values that have no line of their own, added up. */
function rest(series: Series, answer: SeriesAnswer, unit: TimeUnit, names: string[], earlierNames: string[], shown: Cell[], hidden: number): Line {
  const without = (one: Answer, column: number): Answer => ({ ...one, rows: one.rows.filter((row) => !shown.includes(row[column] ?? null)).map((row) => row.toSpliced(column, 1)) });
  const sum = (one: Answer): number => one.rows.reduce((all, row) => all + (shown.includes(row[0] ?? null) ? 0 : value(series, row.slice(1)) ?? 0), 0);
  return {
    name: `Other (${hidden})`,
    series: -1,
    points: points(series, without(answer.byTime, 1), unit, names, undefined),
    total: sum(answer.total),
    ...(answer.earlier
      ? { earlier: { points: points(series, without(answer.earlier.byTime, 1), unit, earlierNames, undefined), total: sum(answer.earlier.total) } }
      : {}),
  };
}

/** Puts the answers of all series together: one line for each series and breakdown value. */
export function combine(
  state: TrendsState, answers: SeriesAnswer[], unit: TimeUnit, names: string[], earlierNames: string[], maximumGroups = 7,
): TrendResult {
  const lines: Line[] = [];
  let hidden = 0;
  const cut = Boolean(state.by) && answers.some((answer) => answer.byTime.rows.length >= mostRows || answer.total.rows.length >= mostRows);
  answers.forEach((answer, index) => {
    const series = state.series[index];
    if (!series) return;
    const groups = groupsOf(state, series, answer, Math.max(1, Math.floor(maximumGroups / answers.length)));
    hidden += groups.hidden;
    const list: (Cell | undefined)[] = state.by ? groups.shown : [undefined];
    for (const group of list) {
      const label = group === undefined ? seriesLabel(series) : group === null ? '(not set)' : String(group);
      lines.push({
        name: answers.length > 1 && group !== undefined ? `${String.fromCharCode(65 + index)} · ${label}` : label,
        series: index,
        group,
        points: points(series, answer.byTime, unit, names, group),
        total: total(series, answer.total, group),
        ...(answer.earlier
          ? {
              earlier: {
                points: points(series, answer.earlier.byTime, unit, earlierNames, group),
                total: total(series, answer.earlier.total, group),
              },
            }
          : {}),
      });
    }
    if (groups.hidden > 0 && measureKind(series.measure).additive && answers.length === 1 && !cut) {
      lines.push(rest(series, answer, unit, names, earlierNames, groups.shown, groups.hidden));
    }
  });
  const formula = formulaLine(state, lines, names.length);
  if (!formula) return { lines, hidden, cut };
  return { lines: state.formulaOnly ? [formula] : [...lines, formula], hidden, cut };
}

function formulaLine(state: TrendsState, lines: Line[], length: number): Line | null {
  if (!state.formula || state.by) return null;
  const parsed = parseFormula(state.formula, state.series.length);
  if (!parsed.ok) return null;
  const at = (pick: (line: Line) => number | null): number | null => evaluate(parsed.node, lines.map(pick));
  const line: Line = {
    name: state.formula,
    series: state.series.length,
    points: Array.from({ length }, (_, index) => at((of) => of.points[index] ?? null)),
    total: at((of) => of.total),
  };
  if (lines.every((of) => of.earlier)) {
    line.earlier = {
      points: Array.from({ length }, (_, index) => at((of) => of.earlier?.points[index] ?? null)),
      total: at((of) => of.earlier?.total ?? null),
    };
  }
  return line;
}

/** A select as the builder's state; null when the builder has no way to show it. */
export function trendsOf(tree: Tree): TrendsState | null {
  if (tree.report !== 'select') return null;
  const select = tree as SelectTree;
  const readable = onlyHas(tree, ['measures', 'where', 'group_by', 'order_by', 'limit', 'other', 'span']);
  if (!readable || (select.limit !== undefined && select.limit < 1000)) return null;
  const keys = select.group_by ?? [];
  const unit = keys[0];
  const breakdown = keys[1] ? breakdownOf(keys[1]) : undefined;
  const range = rangeOf(select.span);
  if (!isTimeUnit(unit) || keys.length > 2 || breakdown === null || range === null || select.measures.length > maximumSeries) return null;
  const split = splitEvent(select.where);
  if (!split) return null;
  const series: Series[] = [];
  for (const measure of select.measures) {
    const id = measure.measure === 'percentile' ? `p${Math.round((measure.q ?? 0.5) * 100)}` : measure.measure;
    if (!measureKinds.some((kind) => kind.id === id) || measure.where) return null;
    series.push({ ...split, measure: id, ...(measure.property ? { property: measure.property } : {}) });
  }
  return { series, range, unit, ...(breakdown ? { by: breakdown } : {}) };
}

function splitEvent(where: Filter | undefined): StepState | null {
  const parts = where && 'all' in where ? where.all : where ? [where] : [];
  const events = parts.filter((part) => 'event' in part);
  const rest = parts.filter((part) => !('event' in part));
  if (events.length > 1) return null;
  const filters = groupOf(rest.length === 1 ? rest[0] : rest.length > 1 ? { all: rest } : undefined);
  if (!filters) return null;
  const [named] = events;
  const names = named ? (Array.isArray(named.event) ? named.event : [named.event]) : [];
  const step: StepState = named ? { events: names } : { events: [], any: true };
  return filters.rows.length > 0 ? { ...step, filters } : step;
}
