import type { Filter, Key, Scalar, Step } from './tree';

/** One line of a filter editor. */
export interface FilterRow {
  on: 'event' | 'profile';
  name: string;
  op: string;
  values: Scalar[];
}

export interface FilterGroup {
  match: 'all' | 'any';
  rows: FilterRow[];
}

export interface Operator {
  id: string;
  label: string;
  /** How many values it takes; 'many' is one or more. */
  takes: 0 | 1 | 2 | 'many';
  numeric?: boolean;
  text?: boolean;
}

export const operators: readonly Operator[] = [
  { id: 'is', label: 'is', takes: 'many' },
  { id: 'is_not', label: 'is not', takes: 'many' },
  { id: 'gt', label: '>', takes: 1, numeric: true },
  { id: 'ge', label: '≥', takes: 1, numeric: true },
  { id: 'lt', label: '<', takes: 1, numeric: true },
  { id: 'le', label: '≤', takes: 1, numeric: true },
  { id: 'between', label: 'between', takes: 2, numeric: true },
  { id: 'icontains', label: 'contains', takes: 1, text: true },
  { id: 'contains', label: 'contains (match case)', takes: 1, text: true },
  { id: 'starts', label: 'starts with', takes: 1, text: true },
  { id: 'ends', label: 'ends with', takes: 1, text: true },
  { id: 'matches', label: 'matches pattern', takes: 1, text: true },
  { id: 'exists', label: 'is set', takes: 0 },
  { id: 'missing', label: 'is not set', takes: 0 },
];

export function operatorOf(id: string): Operator {
  return operators.find((operator) => operator.id === id) ?? (operators[0] as Operator);
}

export function rowComplete(row: FilterRow): boolean {
  const takes = operatorOf(row.op).takes;
  if (!row.name) return false;
  if (takes === 'many') return row.values.length > 0;
  return row.values.length >= takes && row.values.slice(0, takes).every((value) => value !== '');
}

function rowTree(row: FilterRow): Filter {
  const subject = row.on === 'event' ? { property: row.name } : { profile: row.name };
  const compare = (operator: string, value?: Scalar | Scalar[]): Filter =>
    value === undefined ? { ...subject, operator } : { ...subject, operator, value };
  const [first] = row.values;
  switch (row.op) {
    case 'is':
      return row.values.length === 1 && first !== undefined ? compare('eq', first) : compare('in', row.values);
    case 'is_not':
      return row.values.length === 1 && first !== undefined ? compare('ne', first) : { not: compare('in', row.values) };
    case 'between':
      return compare('between', row.values.slice(0, 2));
    case 'exists':
      return compare('exists');
    case 'missing':
      return { not: compare('exists') };
    default:
      return compare(row.op, first);
  }
}

export function filterTree(group: FilterGroup | undefined): Filter | undefined {
  const rows = (group?.rows ?? []).filter(rowComplete).map(rowTree);
  if (rows.length === 0) return undefined;
  return rows.length === 1 ? rows[0] : group?.match === 'any' ? { any: rows } : { all: rows };
}

export function both(a: Filter | undefined, b: Filter | undefined): Filter | undefined {
  if (!a || !b) return a ?? b;
  const parts = [a, b].flatMap((part) => ('all' in part ? part.all : [part]));
  return { all: parts };
}

function leafRow(filter: Filter): FilterRow | null {
  if ('not' in filter) {
    const inner = leafRow(filter.not);
    if (inner?.op === 'is' && inner.values.length > 1) return { ...inner, op: 'is_not' };
    return inner?.op === 'exists' ? { ...inner, op: 'missing' } : null;
  }
  if (!('operator' in filter)) return null;
  const base = 'property' in filter ? { on: 'event' as const, name: filter.property } : { on: 'profile' as const, name: filter.profile };
  const values = filter.value === undefined ? [] : Array.isArray(filter.value) ? filter.value : [filter.value];
  const op = { eq: 'is', in: 'is', ne: 'is_not' }[filter.operator] ?? filter.operator;
  return operators.some((operator) => operator.id === op) ? { ...base, op, values } : null;
}

/** The other way round; null when the editor can't show the filter. */
export function groupOf(filter: Filter | undefined): FilterGroup | null {
  if (!filter) return { match: 'all', rows: [] };
  const match = 'any' in filter ? 'any' : 'all';
  const parts = 'any' in filter ? filter.any : 'all' in filter ? filter.all : [filter];
  const rows: FilterRow[] = [];
  for (const part of parts) {
    const row = leafRow(part);
    if (!row) return null;
    rows.push(row);
  }
  return { match, rows };
}

/** A step as the builders keep it: one event (or several, or any) with filters. */
export interface StepState {
  events: string[];
  any?: boolean;
  filters?: FilterGroup;
}

export function stepTree(step: StepState): Step {
  const where = filterTree(step.filters);
  return {
    ...(step.any ? { any_event: true } : { events: step.events }),
    ...(where ? { where } : {}),
  };
}

export function stepOf(step: Step): StepState | null {
  const filters = groupOf(step.where);
  if (!filters) return null;
  const state: StepState = step.any_event ? { events: [], any: true } : { events: step.events ?? [] };
  return filters.rows.length > 0 ? { ...state, filters } : state;
}

export function stepReady(step: StepState | undefined): step is StepState {
  return step !== undefined && (step.any === true || step.events.length > 0);
}

export function stepLabel(step: StepState): string {
  return step.any ? 'Any event' : step.events.join(' or ') || 'Choose an event';
}

export interface Breakdown {
  on: 'event' | 'profile';
  name: string;
}

export function breakdownKey(breakdown: Breakdown): Key {
  return breakdown.on === 'event' ? { property: breakdown.name } : { profile: breakdown.name };
}

export function breakdownOf(key: Key): Breakdown | null {
  if (typeof key === 'string') return null;
  return 'property' in key ? { on: 'event', name: key.property } : { on: 'profile', name: key.profile };
}
