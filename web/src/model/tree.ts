/** The query tree: what the builders write, what /v1/query answers, and what CQL prints. */

export type Time = string | { ago: string } | { start_of: string };

export interface Span {
  since?: Time;
  until?: Time;
}

export type Scalar = string | number | boolean;

export type Filter =
  | { all: Filter[] }
  | { any: Filter[] }
  | { not: Filter }
  | { event: string | string[] }
  | { property: string; operator: string; value?: Scalar | Scalar[] }
  | { profile: string; operator: string; value?: Scalar | Scalar[] };

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

export type Tree = SelectTree | FunnelTree | RetentionTree | { report: string; [key: string]: unknown };

export type TimeUnit = 'minute' | 'hour' | 'day' | 'week' | 'month';

export const timeUnits: readonly TimeUnit[] = ['minute', 'hour', 'day', 'week', 'month'];

export function isTimeUnit(key: unknown): key is TimeUnit {
  return typeof key === 'string' && (timeUnits as readonly string[]).includes(key);
}

export function keyName(key: Key): string {
  if (typeof key === 'string') return key;
  return 'property' in key ? key.property : `profile.${key.profile}`;
}
