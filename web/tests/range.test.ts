import { describe, expect, it } from 'vitest';
import { buckets, calendar, defaultRange, defaultUnit, partOf, previous, rangeOf, resolve, spanOf, unitsFor, yearBefore, bucketName } from '@/model/range';

const now = new Date('2026-03-10T03:30:00Z'); // still 9 March in New York
const days = (first: string, last: string, zone = 'America/New_York') => calendar(zone, [{ first_seen: first, last_seen: last }], now);
const current = days('2025-01-01T12:00:00Z', '2026-03-09T12:00:00Z');

describe('ranges', () => {
  it('are those of the project, whatever the browser thinks', () => {
    expect(resolve('today', current)).toMatchObject({ since: '2026-03-09', until: '2026-03-10' });
    expect(resolve('today', days('2025-01-01T12:00:00Z', '2026-03-09T12:00:00Z', 'Asia/Kolkata'))).toMatchObject({ since: '2026-03-10', until: '2026-03-11' });
  });

  it('count today as one of the last days', () => {
    expect(resolve('7d', current)).toMatchObject({ since: '2026-03-03', until: '2026-03-10' });
    expect(resolve('12m', current)).toMatchObject({ since: '2025-04-01', until: '2026-03-10' });
    expect(resolve('last_month', current)).toMatchObject({ since: '2026-02-01', until: '2026-03-01' });
  });

  it('of two days hold both, in whatever order they were chosen', () => {
    expect(resolve('2017-01-01..2017-12-31', current)).toMatchObject({ since: '2017-01-01', until: '2018-01-01' });
    expect(resolve('2017-12-31..2017-01-01', current)).toMatchObject({ since: '2017-01-01', until: '2018-01-01' });
  });

  it('of all time end with the data when it ended long ago', () => {
    const old = days('2016-11-14T11:00:00Z', '2018-01-01T04:00:00Z');
    expect(defaultRange(old)).toBe('all');
    expect(resolve('all', old)).toMatchObject({ since: '2016-11-14', until: '2018-01-01' });
    expect(defaultRange(current)).toBe('30d');
  });

  it('come back from the spans that they write', () => {
    expect(rangeOf(spanOf(resolve('2017-01-01..2017-12-31', current)))).toBe('2017-01-01..2017-12-31');
    expect(rangeOf(spanOf(resolve('24h', current)))).toBe('24h');
    expect(rangeOf({ since: { ago: '2w' } })).toBe('15d');
    for (const range of ['today', 'yesterday', '24h', '7d', '30d', 'month', 'year', 'all']) expect(rangeOf(spanOf(resolve(range, current)))).toBe(range);
    expect(rangeOf({ since: { start_of: 'month' } })).toBe('month');
    expect(rangeOf(undefined)).toBe('all');
    expect(rangeOf({ between: ['2017-01-01', '2017-12-31'] })).toBe('2017-01-01..2017-12-31');
    expect(rangeOf({ in_last: '7d' })).toBeNull();
    expect(rangeOf({ since: '2017-01-01T10:00:00Z' })).toBeNull();
    expect(rangeOf({ until: '2017-01-01' })).toBeNull();
  });

  it('have an earlier period of the same length', () => {
    expect(previous({ since: '2017-03-01', until: '2017-03-08' })).toEqual({ since: '2017-02-22', until: '2017-03-01' });
    expect(yearBefore({ since: '2024-02-29', until: '2024-03-01' })).toEqual({ since: '2023-02-28', until: '2023-03-01' });
  });
});

describe('buckets', () => {
  it('are all there, also the empty ones, and none of the future', () => {
    expect(buckets(resolve('7d', current), 'day', current)).toHaveLength(7);
    expect(buckets(resolve('2026-03-01..2026-03-31', current), 'day', current).at(-1)).toBe('2026-03-09');
  });

  it('name weeks by their Monday and months by their first day', () => {
    expect(buckets({ since: '2017-01-01', until: '2017-01-15' }, 'week', current)).toEqual(['2016-12-26', '2017-01-02', '2017-01-09']);
    expect(buckets({ since: '2017-01-15', until: '2017-03-02' }, 'month', current)).toEqual(['2017-01-01', '2017-02-01', '2017-03-01']);
    expect(buckets({ since: '2016-11-14', until: '2017-05-02' }, 'quarter', current)).toEqual(['2016-10-01', '2017-01-01', '2017-04-01']);
  });

  it('leave out the hour that a change of clocks skips', () => {
    const hours = buckets({ since: '2026-03-08', until: '2026-03-09' }, 'hour', current);
    expect(hours).toHaveLength(23);
    expect(hours).not.toContain('2026-03-08T02:00');
  });

  it('are found from whatever form of local time the server gives', () => {
    expect(bucketName('2026-03-08T05:00:00-04:00', 'hour')).toBe('2026-03-08T05:00');
    expect(bucketName('2026-03-08 05:00', 'hour')).toBe('2026-03-08T05:00');
    expect(bucketName('2026-03', 'month')).toBe('2026-03-01');
    expect(bucketName('2026-03-02', 'week')).toBe('2026-03-02');
  });

  it('say when they are only partly counted', () => {
    const year = { since: '2017-01-01', until: '2018-01-01' };
    expect(partOf('2016-12-26', 'week', year, current)).toBe('only from 1 Jan 2017');
    expect(partOf('2017-12-25', 'week', year, current)).toBeUndefined();
    expect(partOf('2017-12-01', 'month', { ...year, until: '2017-12-10' }, current)).toBe('only until 9 Dec 2017');
    expect(partOf('2026-03-09', 'week', { since: '2026-01-01', until: '2026-03-10' }, current)).toBe('not over yet');
  });

  it('are of a unit that suits the range', () => {
    expect(defaultUnit({ since: '2017-01-01', until: '2018-01-01' })).toBe('week');
    expect(defaultUnit({ since: '2017-01-01', until: '2017-01-31' })).toBe('day');
    expect(unitsFor({ since: '2017-01-01', until: '2018-01-01' })).toEqual(['day', 'week', 'month', 'quarter']);
  });
});
