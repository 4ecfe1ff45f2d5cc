import type { Subject } from '@/builder/properties';
import { api } from './api';
import type { Catalog, Cell } from './types';

export interface Value {
  value: Cell;
  count: number;
}

const mostEvents = 4;

/** The events that carry a property, those that do so most often first. */
function carriers(catalog: Catalog | undefined, property: string, events: readonly string[]): string[] {
  return (catalog?.events ?? [])
    .filter((event) => events.length === 0 || events.includes(event.name))
    .map((event) => ({ name: event.name, count: event.properties.find((one) => one.name === property)?.count ?? 0 }))
    .filter((event) => event.count > 0)
    .sort((a, b) => b.count - a.count)
    .slice(0, mostEvents)
    .map((event) => event.name);
}

/** What a property's values are that begin with what was typed; the server knows them for each event. */
export async function valuesOf(
  subject: Subject, events: readonly string[], prefix: string, catalog: Catalog | undefined, signal?: AbortSignal,
): Promise<Value[]> {
  const get = async (about: Record<string, string>): Promise<Value[]> => {
    const search = new URLSearchParams({ ...about, prefix, limit: '20' });
    return (await api<{ values: Value[] }>(`/v1/catalog/values?${search}`, { signal })).values;
  };
  if (subject.on === 'profile') return get({ profile: subject.name });
  const lists = await Promise.all(carriers(catalog, subject.name, events).map((event) => get({ event, property: subject.name })));
  const sums = new Map<Cell, number>();
  for (const { value, count } of lists.flat()) sums.set(value, (sums.get(value) ?? 0) + count);
  return [...sums].map(([value, count]) => ({ value, count })).sort((a, b) => b.count - a.count).slice(0, 20);
}
