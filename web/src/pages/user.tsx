import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { ArrowLeft, ChevronRight, Copy, UserX } from 'lucide-react';
import { useMemo, useState, type ReactNode } from 'react';
import { toast } from 'sonner';
import { Link, useSearchParams } from 'wouter';
import { api, ApiError } from '@/lib/api';
import { cell, number, plural } from '@/lib/format';
import { ago, clock, dateTime, dayName } from '@/lib/time';
import type { Cell, TimelineEvent, UserDetail } from '@/lib/types';
import { href } from '@/shell/navigation';
import { useProject } from '@/shell/project';
import { Button, buttonClass, IconButton } from '@/ui/button';
import { Choice } from '@/ui/choice';
import { Empty, Failure, Loading } from '@/ui/state';

export default function PersonPage() {
  const [params] = useSearchParams();
  const id = params.get('id') ?? '';
  return <Person key={id} id={id} />;
}

function Person({ id }: { id: string }) {
  const { project } = useProject();
  const path = `/v1/users/${encodeURIComponent(id)}`;
  const user = useQuery({ queryKey: ['user', project.id, id], queryFn: ({ signal }) => api<UserDetail>(path, { signal }) });
  const back = (
    <Link href={href(project.id, 'users')} className="inline-flex items-center gap-1 rounded text-soft hover:text-text"><ArrowLeft size={14} aria-hidden="true" /> Users</Link>
  );
  if (user.error instanceof ApiError && user.error.status === 404) {
    return (
      <div className="px-4 pt-5 sm:px-6">
        {back}
        <Empty icon={<UserX size={24} />} title="There is no such user" action={<Link href={href(project.id, 'users')} className={buttonClass('primary')}>Search users</Link>}>
          {user.error.message}
        </Empty>
      </div>
    );
  }
  if (user.error) return <Failure error={user.error} onRetry={() => void user.refetch()} title="The user could not be loaded" />;
  if (!user.data) return <div className="p-6"><Loading rows={9} /></div>;
  const detail = user.data;
  const title = String(detail.properties.Name ?? detail.properties.name ?? detail.identities[0]?.value ?? `Anonymous ${detail.id}`);
  return (
    <div className="px-4 pt-5 pb-10 sm:px-6">
      {back}
      <div className="mt-3 mb-5 flex flex-wrap items-center gap-x-4 gap-y-2">
        <span aria-hidden="true" className="grid size-11 place-items-center rounded-full bg-accent-soft text-lg font-semibold text-accent">{title.slice(0, 1).toUpperCase()}</span>
        <div className="min-w-0 grow">
          <h1 className="truncate text-xl font-semibold">{title}</h1>
          <p className="num text-soft">
            Last seen {ago(detail.last_seen)} · first seen {dateTime(detail.first_seen, project.time_zone)}
            {detail.merged_from && detail.merged_from.length > 0 ? ` · joined from ${plural(detail.merged_from.length + 1, 'profile')}` : ''}
          </p>
        </div>
      </div>
      <div className="grid gap-5 lg:grid-cols-[minmax(0,1fr)_320px]">
        <Timeline path={path} id={id} detail={detail} />
        <aside className="grid content-start gap-4 max-lg:order-first">
          <Facts title="Identities">
            {detail.identities.map(({ kind, value }) => (
              <Fact key={kind + value} name={kind}>
                <span className="truncate" title={value}>{value}</span>
                <IconButton label={`Copy ${value}`} className="size-5.5" onClick={() => void navigator.clipboard.writeText(value).then(() => toast.success('Copied.'))}><Copy size={12} /></IconButton>
              </Fact>
            ))}
          </Facts>
          <Facts title="Properties" empty="None were sent so far.">
            {Object.entries(detail.properties).map(([name, value]) => <Fact key={name} name={name}><Value value={value} /></Fact>)}
          </Facts>
          <Facts title="Events" empty="None so far.">
            {(detail.events ?? []).map((event) => <Fact key={event.name} name={event.name}><span className="num">{number(event.count)}</span></Fact>)}
          </Facts>
        </aside>
      </div>
    </div>
  );
}

function Facts({ title, children, empty }: { title: string; children: ReactNode[]; empty?: string }) {
  return (
    <section className="panel p-4">
      <h2 className="mb-1.5 font-medium">{title}</h2>
      {children.length > 0 ? <dl>{children}</dl> : <p className="text-muted">{empty}</p>}
    </section>
  );
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div className="flex min-w-0 items-center gap-3 py-1">
      <dt className="max-w-[50%] shrink-0 truncate text-soft" title={name}>{name}</dt>
      <dd className="flex min-w-0 grow items-center justify-end gap-1 text-right">{children}</dd>
    </div>
  );
}

function Value({ value }: { value: Cell }) {
  return <span className="num min-w-0 break-words">{cell(value)}</span>;
}

interface Page {
  events: TimelineEvent[];
  next_cursor: string | null;
}

function Timeline({ path, id, detail }: { path: string; id: string; detail: UserDetail }) {
  const { project } = useProject();
  const [params, setParams] = useSearchParams();
  const only = params.get('event') ?? '';
  const query = useInfiniteQuery({
    queryKey: ['timeline', project.id, id, only],
    initialPageParam: '',
    queryFn: ({ pageParam, signal }) => {
      const ask = new URLSearchParams({ limit: '50' });
      if (pageParam) ask.set('cursor', pageParam);
      if (only) ask.set('event', only);
      return api<Page>(`${path}/events?${ask}`, { signal });
    },
    getNextPageParam: (last) => last.next_cursor ?? undefined,
  });
  const days = useMemo(() => {
    const groups: { day: string; events: TimelineEvent[] }[] = [];
    for (const event of query.data?.pages.flatMap((page) => page.events) ?? []) {
      const name = dayName(event.time, project.time_zone);
      const last = groups.at(-1);
      if (last?.day === name) last.events.push(event);
      else groups.push({ day: name, events: [event] });
    }
    return groups;
  }, [query.data, project.time_zone]);
  return (
    <section className="panel min-w-0 overflow-hidden">
      <div className="flex min-h-11 items-center gap-2 border-b border-line px-4 py-1.5">
        <h2 className="grow font-medium">Timeline</h2>
        <Choice
          label="Show only one event"
          value={only || '*'}
          options={[{ value: '*', label: 'All events' }, ...(detail.events ?? []).map((event) => ({ value: event.name, label: event.name }))]}
          onChange={(value) => setParams(value === '*' ? { id } : { id, event: value })}
        />
      </div>
      {query.isPending ? (
        <div className="p-5"><Loading rows={8} /></div>
      ) : query.isError ? (
        <Failure error={query.error} onRetry={() => void query.refetch()} title="The timeline could not be loaded" />
      ) : days.length === 0 ? (
        <Empty title="No events">{only ? 'This user never did it.' : 'Only profile properties were sent for this user so far.'}</Empty>
      ) : (
        <>
          {days.map((group) => (
            <section key={group.day} aria-label={group.day}>
              <h3 className="sticky top-0 border-b border-line bg-sunken px-4 py-1 text-[13px] font-medium text-soft max-lg:top-12">{group.day}</h3>
              <ul>{group.events.map((event, index) => <Entry key={event.seq ?? index} event={event} zone={project.time_zone} />)}</ul>
            </section>
          ))}
          {query.hasNextPage ? (
            <div className="p-3 text-center">
              <Button onClick={() => void query.fetchNextPage()} disabled={query.isFetchingNextPage}>{query.isFetchingNextPage ? 'Loading…' : 'Show earlier events'}</Button>
            </div>
          ) : (
            <p className="px-4 py-3 text-center text-[13px] text-muted">The beginning of this history.</p>
          )}
        </>
      )}
    </section>
  );
}

function Entry({ event, zone }: { event: TimelineEvent; zone: string }) {
  const [open, setOpen] = useState(false);
  const properties = Object.entries(event.properties ?? {});
  return (
    <li className="border-b border-line last:border-0">
      <button
        type="button"
        aria-expanded={open}
        disabled={properties.length === 0}
        onClick={() => setOpen(!open)}
        className="flex w-full min-w-0 items-center gap-3 px-4 py-2 text-left hover:bg-sunken disabled:hover:bg-transparent"
      >
        <ChevronRight size={13} className={`shrink-0 text-muted transition-transform ${open ? 'rotate-90' : ''} ${properties.length === 0 ? 'invisible' : ''}`} aria-hidden="true" />
        <time className="num shrink-0 text-[13px] text-muted">{clock(event.time, zone)}</time>
        <span className="shrink-0 font-medium max-sm:min-w-0 max-sm:truncate">{event.event}</span>
        <span className="min-w-0 truncate text-[13px] text-muted max-sm:hidden">
          {properties.slice(0, 6).map(([, value]) => cell(value)).join(' · ')}
        </span>
      </button>
      {open ? (
        <dl className="grid gap-x-6 gap-y-1 px-4 pt-1 pb-3 pl-11 sm:grid-cols-2">
          {properties.map(([name, value]) => (
            <div key={name} className="flex min-w-0 gap-3 border-b border-line/60 py-1">
              <dt className="w-36 shrink-0 truncate text-soft" title={name}>{name}</dt>
              <dd className="num min-w-0 break-words">{cell(value)}</dd>
            </div>
          ))}
        </dl>
      ) : null}
    </li>
  );
}
