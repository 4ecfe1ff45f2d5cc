import { ChevronRight, Pause, Play, Radio } from 'lucide-react';
import { lazy, Suspense, useEffect, useState } from 'react';
import { Link, useSearchParams } from 'wouter';
import { Figure } from '@/views/funnel-view';
import { cell, number } from '@/lib/format';
import { keptSeconds, useLive, type Live, type LiveEvent } from '@/lib/live';
import { ago, clock, dateTime, parse } from '@/lib/time';
import { PageHead } from '@/shell/frame';
import { href, typing, userHref } from '@/shell/navigation';
import { useCatalog, useProject } from '@/shell/project';
import { Button, buttonClass } from '@/ui/button';
import { Choice } from '@/ui/choice';
import { Empty, Skeleton } from '@/ui/state';

const RateLine = lazy(() => import('@/charts/rate-line'));

const states: Record<Live['state'], { text: string; look: string }> = {
  connecting: { text: 'Connecting…', look: 'bg-warn' },
  open: { text: 'Connected', look: 'bg-good' },
  lost: { text: 'Not connected', look: 'bg-bad' },
};

export default function LivePage() {
  const { project } = useProject();
  const [held, setHeld] = useState(false);
  const [params, setParams] = useSearchParams();
  const only = params.get('event') ?? '';
  const live = useLive(project.id, held);
  const catalog = useCatalog();
  const shown = only ? live.events.filter((event) => event.event === only) : live.events;
  const state = states[live.state];
  const names = [...new Set([...(catalog.data?.events ?? []).map((event) => event.name), ...live.events.map((event) => event.event)])].sort();

  useEffect(() => {
    const key = (event: KeyboardEvent): void => {
      if (event.key === ' ' && !typing(event) && !(event.target as HTMLElement).closest('button, a, summary')) {
        event.preventDefault();
        setHeld((before) => !before);
      }
    };
    window.addEventListener('keydown', key);
    return () => window.removeEventListener('keydown', key);
  }, []);

  return (
    <>
      <PageHead title="Live">
        <span role="status" className="inline-flex items-center gap-2 text-soft">
          <span className={`size-2 rounded-full ${state.look}`} aria-hidden="true" />
          {state.text}
        </span>
        <Button onClick={() => setHeld(!held)} aria-pressed={held}>
          {held ? <Play size={14} /> : <Pause size={14} />} {held ? `Resume${live.waiting > 0 ? ` (${live.waiting} new)` : ''}` : 'Pause'}
        </Button>
      </PageHead>
      <div className="grid gap-4 px-4 pb-10 sm:px-6">
        <section className="panel p-4" aria-label="Rate">
          <div className="mb-3 flex flex-wrap gap-x-10 gap-y-3">
            <Figure label="Events per second" value={live.stats ? number(live.stats.events_per_second) : '–'} />
            <Figure label="Events in all" value={live.stats ? number(live.stats.events_total) : '–'} />
            <Figure label="Users in all" value={live.stats ? number(live.stats.users_total) : '–'} />
          </div>
          <Suspense fallback={<Skeleton className="h-37" />}>
            <RateLine data={live.rate} zone={project.time_zone} span={keptSeconds} />
          </Suspense>
        </section>
        <section className="panel min-w-0 overflow-hidden" aria-label="Events as they come in">
          <div className="flex min-h-11 flex-wrap items-center gap-2 border-b border-line px-4 py-1.5">
            <h2 className="grow font-medium">Events</h2>
            {live.skipped > 0 ? <span className="num text-[13px] text-muted" title="The stream shows a sample when many events come in">{number(live.skipped)} not shown</span> : null}
            <Choice
              label="Show only one event"
              value={only || '*'}
              options={[{ value: '*', label: 'All events' }, ...names.map((name) => ({ value: name, label: name }))]}
              onChange={(value) => setParams(value === '*' ? {} : { event: value }, { replace: true })}
            />
          </div>
          {shown.length === 0 ? (
            <Empty
              icon={<Radio size={24} />}
              title={live.state === 'lost' ? 'The connection is lost' : 'Waiting for the next event…'}
              action={
                live.state === 'lost' ? (
                  <Button onClick={() => window.location.reload()}>Connect again</Button>
                ) : (
                  <Link href={href(project.id, 'settings', 'tab=send')} className={buttonClass()}>How to send events</Link>
                )
              }
            >
              {live.state === 'lost' ? 'The server closed it or refused it.' : 'Events show here within a second of their arrival.'}
            </Empty>
          ) : (
            <ul className="max-h-[65vh] overflow-y-auto" tabIndex={0} aria-label="Newest events first">
              {shown.map((event) => <Row key={event.key} event={event} project={project.id} zone={project.time_zone} />)}
            </ul>
          )}
        </section>
      </div>
    </>
  );
}

const oldAfterMs = 3_600_000;

function Row({ event, project, zone }: { event: LiveEvent; project: string | number; zone: string }) {
  const [open, setOpen] = useState(false);
  const properties = Object.values(event.properties ?? {});
  const received = event.received ?? event.time;
  const delay = (parse(received)?.getTime() ?? 0) - (parse(event.time)?.getTime() ?? 0);
  return (
    <li className="border-b border-line last:border-0">
      <div className="flex min-w-0 items-center gap-3 px-4 py-1.5 hover:bg-sunken">
        <button type="button" aria-expanded={open} aria-label={`${event.event}: properties`} onClick={() => setOpen(!open)} className="flex min-w-0 grow items-center gap-3 rounded text-left">
          <ChevronRight size={13} className={`shrink-0 text-muted transition-transform ${open ? 'rotate-90' : ''}`} aria-hidden="true" />
          <time className="num shrink-0 text-[13px] text-muted" title={`Received ${dateTime(received, zone)}`}>{clock(received, zone)}</time>
          <span className="shrink-0 font-medium max-sm:min-w-0 max-sm:truncate">{event.event}</span>
          {delay > oldAfterMs ? <span className="num shrink-0 rounded bg-warn-soft px-1.5 text-xs text-warn" title={`Happened ${dateTime(event.time, zone)}`}>{ago(event.time)}</span> : null}
          <span className="min-w-0 truncate text-[13px] text-muted max-md:hidden">{properties.slice(0, 6).map(cell).join(' · ')}</span>
        </button>
        <Link href={userHref(project, `u:${event.user.id}`)} className="max-w-40 shrink-0 truncate rounded text-accent hover:underline">
          {event.user.identity ?? `User ${event.user.id}`}
        </Link>
      </div>
      {open ? (
        <pre tabIndex={0} className="overflow-x-auto bg-sunken px-4 py-3 font-mono text-xs">
          {JSON.stringify({ event: event.event, time: event.time, received: event.received, user: event.user, properties: event.properties }, null, 2)}
        </pre>
      ) : null}
    </li>
  );
}
