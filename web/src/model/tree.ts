/** The query tree: what the builders write, what /v1/query answers, and what CQL prints. */

export type Time = string | { ago: string } | { start_of: string };

export interface Span {
  since?: Time;
  until?: Time;
  /** Both ends included. */
  between?: [Time, Time];
  in_last?: string;
  this?: string;
}

export type Scalar = string | number | boolean;

export type Filter =
  | { all: Filter[] }
  | { any: Filter[] }
  | { not: Filter }
  | { event: string | string[] }
  | { property: string; operator: string; value?: Scalar | Scalar[] }
  | { profile: string; operator: string; value?: Scalar | Scalar[] };

/** On users; events stand in it with their own filters and times. */
export type Condition =
  | { all: Condition[] }
  | { any: Condition[] }
  | { not: Condition }
  | { event: string; where?: Filter; time?: Span }
  | { any_event: true; where?: Filter; time?: Span }
  | { sequence: Step[]; within: string; time?: Span };

export type Key = string | { property: string } | { profile: string };

export interface Step {
  events?: string[];
  any_event?: boolean;
  where?: Filter;
}

export interface Measure {
  measure: string;
  property?: string;
  q?: number;
  where?: Filter;
  as?: string;
}

export interface SelectTree {
  report: 'select';
  measures: Measure[];
  where?: Filter;
  group_by?: Key[];
  order_by?: { item: number; descending?: boolean }[];
  limit?: number;
  span?: Span;
  time_zone?: string;
}

export interface FunnelTree {
  report: 'funnel';
  steps: Step[];
  within: string;
  window_from?: string;
  attempt?: string;
  ties?: string | { grace: string };
  order?: string;
  holding?: string[];
  excluding?: { step: Step; between?: [number, number]; mode?: string }[];
  complete?: string;
  by?: Key[];
  span?: Span;
  time_zone?: string;
}

export interface RetentionTree {
  report: 'retention';
  first?: boolean;
  start: Step;
  return: Step;
  unit: string;
  periods?: number;
  mode?: string;
  rolling?: boolean;
  count_birth?: boolean;
  by?: Key[];
  span?: Span;
  time_zone?: string;
}

export interface FlowTree {
  report: 'flow';
  direction?: string;
  start: Step;
  steps?: number;
  within?: string;
  collapse?: boolean;
  hide?: string[];
  keep?: string[];
  expand?: { event: string; property: string }[];
  limit?: number;
  span?: Span;
  time_zone?: string;
}

export type Tree = SelectTree | FunnelTree | RetentionTree | FlowTree | { report: string; [key: string]: unknown };

export type TimeUnit = 'minute' | 'hour' | 'day' | 'week' | 'month' | 'quarter' | 'year';

export const timeUnits: readonly TimeUnit[] = ['minute', 'hour', 'day', 'week', 'month', 'quarter', 'year'];

export function isTimeUnit(key: unknown): key is TimeUnit {
  return typeof key === 'string' && (timeUnits as readonly string[]).includes(key);
}

export function keyName(key: Key): string {
  if (typeof key === 'string') return key;
  return 'property' in key ? key.property : `profile.${key.profile}`;
}

/**
 * True when a tree says nothing but what a builder can show: its members are among those the builder reads,
 * or have the value that means the same as leaving them out.
 */
export function onlyHas(tree: object, read: readonly string[], same: Record<string, unknown> = {}): boolean {
  return Object.entries(tree).every(([name, value]) => name === 'report' || read.includes(name) || (name in same && same[name] === value));
}
