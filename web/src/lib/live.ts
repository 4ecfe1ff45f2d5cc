import { useEffect, useRef, useState } from 'react';
import type { Cell } from './types';

export interface LiveEvent {
  time: string | number;
  received?: string | number;
  event: string;
  user: { id: number | string; identity: string | null };
  properties: Record<string, Cell>;
  /** Given here, to tell events apart. */
  key: number;
}

export interface LiveStats {
  events_per_second: number;
  events_total: number;
  users_total: number;
  position?: number;
  skipped?: number;
}

export const keptEvents = 300;
export const keptSeconds = 180;

export interface Live {
  state: 'connecting' | 'open' | 'lost';
  events: LiveEvent[];
  stats: LiveStats | null;
  /** Seconds since 1970, and events in each of them. */
  rate: [number[], number[]];
  skipped: number;
  /** Events that came while the list was held. */
  waiting: number;
}

const nothing: Live = { state: 'connecting', events: [], stats: null, rate: [[], []], skipped: 0, waiting: 0 };

/**
 * Follows /v1/live. What comes is gathered and shown four times a second, so that a busy project doesn't
 * redraw the page for every event.
 */
export function useLive(project: string | number, held: boolean): Live {
  const [live, setLive] = useState<Live>(nothing);
  const hold = useRef(held);
  hold.current = held;

  useEffect(() => {
    let key = 0;
    let fresh: LiveEvent[] = [];
    let later: LiveEvent[] = [];
    let stats: LiveStats[] = [];
    let state: Live['state'] = 'connecting';
    setLive(nothing);
    const source = new EventSource(`/v1/live?project=${encodeURIComponent(project)}`);
    source.onopen = () => (state = 'open');
    source.onerror = () => (state = source.readyState === EventSource.CLOSED ? 'lost' : 'connecting');
    source.addEventListener('event', (message) => {
      fresh.push({ ...(JSON.parse(message.data as string) as Omit<LiveEvent, 'key'>), key: key++ });
      if (fresh.length > keptEvents) fresh = fresh.slice(-keptEvents);
    });
    source.addEventListener('stats', (message) => {
      stats.push(JSON.parse(message.data as string) as LiveStats);
    });
    const timer = setInterval(() => {
      const [came, counted] = [fresh, stats];
      [fresh, stats] = [[], []];
      if (hold.current) later = [...later, ...came].slice(-keptEvents);
      const shown = hold.current ? [] : [...later, ...came].reverse();
      if (!hold.current) later = [];
      setLive((before) => {
        if (came.length === 0 && counted.length === 0 && shown.length === 0 && before.state === state && before.waiting === later.length) return before;
        return {
          state,
          events: shown.length > 0 ? [...shown, ...before.events].slice(0, keptEvents) : before.events,
          stats: counted.at(-1) ?? before.stats,
          rate: counted.length > 0 ? withRate(before.rate, counted) : before.rate,
          skipped: before.skipped + counted.reduce((sum, one) => sum + (one.skipped ?? 0), 0),
          waiting: later.length,
        };
      });
    }, 250);
    return () => {
      clearInterval(timer);
      source.close();
    };
  }, [project]);
  return live;
}

function withRate([times, rates]: [number[], number[]], stats: LiveStats[]): [number[], number[]] {
  const now = Math.floor(Date.now() / 1000);
  const nextTimes = [...times];
  const nextRates = [...rates];
  stats.forEach((one, index) => {
    const at = now - (stats.length - 1 - index);
    if (nextTimes.at(-1) !== undefined && at <= (nextTimes.at(-1) as number)) nextRates[nextRates.length - 1] = one.events_per_second;
    else {
      nextTimes.push(at);
      nextRates.push(one.events_per_second);
    }
  });
  return [nextTimes.slice(-keptSeconds), nextRates.slice(-keptSeconds)];
}
