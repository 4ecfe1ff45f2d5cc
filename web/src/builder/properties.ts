import type { Catalog, CatalogProperty } from '@/lib/types';
import { compact } from '@/lib/format';
import type { Item } from '@/ui/combobox';

export interface Subject {
  on: 'event' | 'profile';
  name: string;
}

/** The properties of some events (of all, when none is named), those of the most events first. */
export function eventProperties(catalog: Catalog | undefined, events: readonly string[]): CatalogProperty[] {
  const found = new Map<string, CatalogProperty>();
  for (const event of catalog?.events ?? []) {
    if (events.length > 0 && !events.includes(event.name)) continue;
    for (const property of event.properties) {
      const before = found.get(property.name);
      found.set(property.name, {
        name: property.name,
        count: (before?.count ?? 0) + property.count,
        types: [...new Set([...(before?.types ?? []), ...property.types])],
      });
    }
  }
  return [...found.values()].sort((a, b) => b.count - a.count);
}

export function propertyItems(catalog: Catalog | undefined, events: readonly string[], withProfile = true): (Item & Subject)[] {
  const own = eventProperties(catalog, events).map((property) => ({
    value: `event:${property.name}`, label: property.name, detail: compact(property.count), group: 'Event properties',
    on: 'event' as const, name: property.name,
  }));
  const profile = (catalog?.profile_properties ?? []).map((property) => ({
    value: `profile:${property.name}`, label: property.name, detail: compact(property.count), group: 'User properties',
    on: 'profile' as const, name: property.name,
  }));
  return withProfile ? [...own, ...profile] : own;
}

export function isNumeric(catalog: Catalog | undefined, subject: Subject, events: readonly string[]): boolean {
  const list = subject.on === 'profile' ? catalog?.profile_properties ?? [] : eventProperties(catalog, events);
  const types = list.find((property) => property.name === subject.name)?.types ?? [];
  return types.length > 0 && types.every((type) => /int|float|number|double|decimal/.test(type));
}
