import { ArrowRight, Clock } from 'lucide-react';
import { useMemo, type ReactNode } from 'react';
import { Link } from 'wouter';
import { CsvButton, Panel } from '@/builder/report-page';
import { colour } from '@/charts/palette';
import { download, fileName, toCsv } from '@/lib/csv';
import { duration, number, share } from '@/lib/format';
import { useTheme } from '@/lib/theme';
import type { Answer, Cell } from '@/lib/types';
import { encodeState } from '@/lib/url-state';
import { stepReady } from '@/model/filters';
import { dropped, reached, readFunnel, type FunnelGroup, type FunnelState, type FunnelStep } from '@/model/funnel';
import type { Dates } from '@/model/range';
import type { Condition } from '@/model/tree';
import { href } from '@/shell/navigation';
import { useProject } from '@/shell/project';
import { Empty } from '@/ui/state';
import { Table, type TableColumn } from '@/ui/table';

const maximumGroups = 6;

function groupName(group: Cell | undefined): string {
  return group === null || group === undefined ? '(not set)' : String(group);
}

export function FunnelView({ answer, title, state, dates }: { answer: Answer; title: string; state: FunnelState; dates: Dates }) {
  const by = state.by?.name;
  const groups = useMemo(() => readFunnel(answer), [answer]);
  if (groups.every((group) => (group.steps[0]?.users ?? 0) === 0)) {
    return <Panel><Empty title="Nobody took the first step in this range">Choose a longer range, or fewer filters on the first step.</Empty></Panel>;
  }
  const csv = (): void => download(fileName(title), toCsv(answer.columns.map((column) => column.name), answer.rows));
  return (
    <>
      <Panel>
        <Summary groups={groups} by={by} />
        <FunnelBars groups={groups.slice(0, maximumGroups)} people={(index) => <StepPeople state={state} dates={dates} index={index} />} />
        {answer.meta.open ? <p className="mt-3 text-[13px] text-muted">Some windows are still open: the last users may yet go further.</p> : null}
        {groups.length > maximumGroups ? (
          <p className="mt-3 text-[13px] text-muted">The {maximumGroups} largest of {number(groups.length)} values are drawn; the table has all.</p>
        ) : null}
      </Panel>
      <Panel title="Table" tools={<CsvButton onClick={csv} />} flush>
        <FunnelTable groups={groups} by={by} title={title} />
      </Panel>
    </>
  );
}

function Summary({ groups, by }: { groups: FunnelGroup[]; by?: string }) {
  const [only] = groups;
  if (by || !only) return null;
  const last = only.steps.at(-1);
  return (
    <div className="mb-5 flex flex-wrap gap-x-8 gap-y-3">
      <Figure label="Conversion" value={share(last?.fromFirst)} />
      <Figure label="Started" value={number(only.steps[0]?.users)} />
      <Figure label="Completed" value={number(last?.users)} />
      <Figure label={only.steps.length > 2 ? 'Median time of the last step' : 'Median time to convert'} value={duration(last?.medianMs)} />
    </div>
  );
}

export function Figure({ label, value }: { label: string; value: string }) {
  return (
    <div>
      <p className="text-[13px] text-soft">{label}</p>
      <p className="num text-xl font-semibold">{value}</p>
    </div>
  );
}

/** A column for each step; the hatched part of it are those who did not get so far. */
export function FunnelBars({
  groups, height = 240, small, people,
}: {
  groups: FunnelGroup[];
  height?: number;
  small?: boolean;
  /** Under a step: the way to those who are in it. */
  people?: (index: number) => ReactNode;
}) {
  const { dark } = useTheme();
  const steps = groups[0]?.steps ?? [];
  const several = groups.length > 1 || groups[0]?.group !== undefined;
  return (
    <div>
      <div className="overflow-x-auto" tabIndex={small ? undefined : 0} role={small ? undefined : 'group'} aria-label={small ? undefined : 'Funnel chart; the same numbers are in the table'}>
        <ol className="grid" style={{ gridTemplateColumns: `repeat(${steps.length}, minmax(${small ? 64 : 112}px, 1fr))` }}>
          {steps.map((step, index) => (
            <li key={index} className="min-w-0 border-l border-line px-2 first:border-0 first:pl-0 last:pr-0 sm:px-3">
              <div className="flex items-end gap-1" style={{ height }}>
                {groups.map((group, at) => (
                  <Bar key={at} step={group.steps[index]} paint={colour(at, dark)} title={several ? groupName(group.group) : undefined} />
                ))}
              </div>
              <div className="border-t border-line-strong pt-2">
                <p className="truncate font-medium" title={step.name}>
                  {small ? null : <span className="num mr-1.5 text-muted">{index + 1}</span>}
                  {step.name}
                </p>
                {several ? null : <StepNumbers step={step} first={index === 0} small={small} />}
                {people?.(index)}
              </div>
            </li>
          ))}
        </ol>
      </div>
      {several ? (
        <ul className="mt-4 flex flex-wrap gap-x-5 gap-y-1.5 text-[13px]">
          {groups.map((group, at) => (
            <li key={at} className="flex items-center gap-1.5">
              <span className="size-2 rounded-xs" style={{ background: colour(at, dark) }} aria-hidden="true" />
              {groupName(group.group)} <span className="num text-muted">{share(group.steps.at(-1)?.fromFirst)}</span>
            </li>
          ))}
        </ul>
      ) : null}
    </div>
  );
}

function StepPeople({ state, dates, index }: { state: FunnelState; dates: Dates; index: number }) {
  const { project } = useProject();
  const to = (where: Condition): string => href(project.id, 'query', `tree=${encodeState({ report: 'users', where, limit: 1000 })}`);
  const here = reached(state, dates, index + 1);
  const out = index + 1 < state.steps.filter(stepReady).length ? dropped(state, dates, index + 1) : null;
  const look = 'rounded text-accent hover:underline';
  if (!here) return null;
  return (
    <p className="mt-1 flex flex-wrap gap-x-3 text-[13px]">
      <Link href={to(here)} className={look} aria-label={`Users who reached step ${index + 1}`}>Users</Link>
      {out ? <Link href={to(out)} className={look} aria-label={`Dropped off after step ${index + 1}: users`}>Dropped off</Link> : null}
    </p>
  );
}

function StepNumbers({ step, first, small }: { step: FunnelStep; first: boolean; small?: boolean }) {
  return (
    <div className="num">
      <p className={small ? 'text-[13px] text-soft' : 'text-soft'}>
        {number(step.users)}{small ? '' : ' users'} <span className="text-muted">{share(step.fromFirst)}</span>
      </p>
      {first || small ? null : (
        <p className="mt-1 flex flex-wrap items-center gap-x-2.5 text-[13px] text-muted">
          <span className="inline-flex items-center gap-1" title="From the step before"><ArrowRight size={12} aria-hidden="true" />{share(step.fromPrevious)}</span>
          {step.medianMs !== null ? <span className="inline-flex items-center gap-1" title="Median time from the step before"><Clock size={12} aria-hidden="true" />{duration(step.medianMs)}</span> : null}
        </p>
      )}
    </div>
  );
}

function Bar({ step, paint, title }: { step: FunnelStep | undefined; paint: string; title?: string }) {
  const part = step?.fromFirst ?? 0;
  return (
    <div
      className="relative h-full min-w-2 max-w-44 grow overflow-hidden rounded-t-md"
      style={{ background: `repeating-linear-gradient(135deg, var(--sunken) 0 5px, var(--hover) 5px 6px)` }}
      title={`${title ? `${title}: ` : ''}${number(step?.users)} users, ${share(part)}`}
    >
      <div className="absolute inset-x-0 bottom-0 rounded-t-md" style={{ height: `${Math.max(part * 100, part > 0 ? 0.8 : 0)}%`, background: paint }} />
    </div>
  );
}

interface TableRow extends FunnelStep {
  group: Cell | undefined;
  index: number;
}

function FunnelTable({ groups, by, title }: { groups: FunnelGroup[]; by?: string; title: string }) {
  const rows = useMemo<TableRow[]>(
    () => groups.flatMap((group) => group.steps.map((step, index) => ({ ...step, group: group.group, index }))),
    [groups],
  );
  const columns = useMemo<TableColumn<TableRow>[]>(
    () => [
      ...(by ? [{ id: 'group', header: by, value: (row: TableRow) => groupName(row.group) }] : []),
      { id: 'step', header: 'Step', numeric: true, value: (row) => row.index + 1 },
      { id: 'event', header: 'Event', value: (row) => row.name },
      { id: 'users', header: 'Users', numeric: true, value: (row) => row.users, render: (row) => number(row.users) },
      { id: 'first', header: 'From first', numeric: true, value: (row) => row.fromFirst, render: (row) => share(row.fromFirst) },
      { id: 'previous', header: 'From previous', numeric: true, value: (row) => row.fromPrevious, render: (row) => share(row.fromPrevious) },
      { id: 'median', header: 'Median from previous', numeric: true, value: (row) => row.medianMs, render: (row) => duration(row.medianMs) },
    ],
    [by],
  );
  return <Table label={`${title}: table`} columns={columns} rows={rows} />;
}
