/** A project's settings, as the server tells them. */
export interface Rules {
  join_existing: boolean;
  dedup_days: number;
  limits: Record<string, { value: number; most: number }>;
  discarded_events: string[];
}

/** What has to be asked of the server to come from `from` to `to`; empty: nothing. */
export function changesOf(from: Rules, to: Rules): Record<string, unknown> {
  const changes: Record<string, unknown> = {};
  if (from.join_existing !== to.join_existing) changes.join_existing = to.join_existing;
  if (from.dedup_days !== to.dedup_days) changes.dedup_days = to.dedup_days;
  const limits = Object.entries(to.limits).filter(([name, limit]) => from.limits[name]?.value !== limit.value);
  if (limits.length > 0) changes.limits = Object.fromEntries(limits.map(([name, limit]) => [name, limit.value]));
  const same = from.discarded_events.length === to.discarded_events.length && to.discarded_events.every((name) => from.discarded_events.includes(name));
  if (!same) changes.discarded_events = to.discarded_events;
  return changes;
}
