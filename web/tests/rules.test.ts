import { expect, test } from 'vitest';
import { changesOf, type Rules } from '@/model/rules';

const rules: Rules = {
  join_existing: false,
  dedup_days: 7,
  limits: { event_types: { value: 4096, most: 65536 }, properties: { value: 16384, most: 262144 } },
  discarded_events: ['Noise', 'Hum'],
};

test('rules that are equal need no change, in whatever order events are listed', () => {
  expect(changesOf(rules, { ...rules, discarded_events: ['Hum', 'Noise'] })).toEqual({});
});

test('only what differs is asked for', () => {
  const limits = { ...rules.limits, event_types: { value: 10, most: 65536 } };
  expect(changesOf(rules, { ...rules, limits })).toEqual({ limits: { event_types: 10 } });
  expect(changesOf(rules, { ...rules, join_existing: true, dedup_days: 30 })).toEqual({ join_existing: true, dedup_days: 30 });
});

test('discarded events are asked for as a whole list', () => {
  expect(changesOf(rules, { ...rules, discarded_events: ['Hum'] })).toEqual({ discarded_events: ['Hum'] });
  expect(changesOf(rules, { ...rules, discarded_events: ['Hum', 'Other'] })).toEqual({ discarded_events: ['Hum', 'Other'] });
});

test('asking for the way back leads back', () => {
  const changed = { ...rules, dedup_days: 1, discarded_events: [] };
  expect(changesOf(changed, rules)).toEqual({ dedup_days: 7, discarded_events: ['Noise', 'Hum'] });
});
