import { Bookmark, ChartLine, EllipsisVertical, Filter, Pencil, Plus, Radio, Repeat2, Terminal, Trash2, type LucideIcon } from 'lucide-react';
import { useEffect, useMemo, useState } from 'react';
import { Link, useLocation } from 'wouter';
import { NameDialog } from '@/builder/save-report';
import { useReport } from '@/lib/ask';
import { number } from '@/lib/format';
import { draftOf, reportHref, useReportActions, useReports, viewOf } from '@/lib/reports';
import { ago, dateTime, day } from '@/lib/time';
import type { Answer, Catalog, Cell, SavedReport } from '@/lib/types';
import { flowTree, type FlowState } from '@/model/flow';
import { funnelTree, type FunnelState } from '@/model/funnel';
import { calendar as makeCalendar, calendarOf, defaultRange, resolve, type Calendar, type Dates, type Range } from '@/model/range';
import { retentionTree, type RetentionState } from '@/model/retention';
import type { Tree } from '@/model/tree';
import type { TrendChart, TrendsState } from '@/model/trends';
import { PageHead } from '@/shell/frame';
import { href } from '@/shell/navigation';
import { useCatalog, useProject } from '@/shell/project';
import { Button, buttonClass, IconButton } from '@/ui/button';
import { Menu, MenuContent, MenuItem, MenuTrigger } from '@/ui/overlay';
import { Empty, Failure, Loading, Skeleton } from '@/ui/state';
import { TimeChart } from '@/charts/time-chart';
import { AnswerChart, pictureOf } from '@/views/answer-chart';
import { AnswerTable } from '@/views/answer-table';
import { GettingStarted } from '@/views/getting-started';
import { chartLines, trendInput, trendTrees, useTrend, type TrendInput } from '@/views/trend-view';

export default function Home() {
  const { project } = useProject();
  const catalog = useCatalog();
  const reports = useReports();
  const [, navigate] = useLocation();
  useEffect(() => localStorage.setItem('kolam.project', String(project.id)), [project.id]);

  if (catalog.data && catalog.data.events.length === 0) return <><PageHead title={project.name} /><GettingStarted /></>;
  return (
    <>
      <PageHead title={project.name}>
        <Menu>
          <MenuTrigger asChild><Button><Plus size={15} /> New report</Button></MenuTrigger>
          <MenuContent className="w-80">
            {kinds.map(({ path, icon: Icon, title, text }) => (
              <MenuItem key={path} className="h-auto! items-start! py-2" onSelect={() => navigate(href(project.id, path))}>
                <Icon size={16} className="mt-0.5 shrink-0 text-accent" aria-hidden="true" />
                <span><span className="block font-medium">{title}</span><span className="text-[13px] text-soft">{text}</span></span>
              </MenuItem>
            ))}
          </MenuContent>
        </Menu>
      </PageHead>
      <div className="grid gap-5 px-4 pb-10 sm:px-6">
        {reports.isPending || catalog.isPending ? (
          <Cards>{[0, 1, 2, 3].map((index) => <div key={index} className="panel p-5"><Loading rows={7} /></div>)}</Cards>
        ) : reports.error ? (
          <div className="panel"><Failure error={reports.error} onRetry={() => void reports.refetch()} title="The saved reports could not be loaded" /></div>
        ) : reports.data && reports.data.length > 0 && catalog.data ? (
          <Cards>{reports.data.map((report) => <Card key={report.id} report={report} catalog={catalog.data} />)}</Cards>
        ) : (
          <NoReports />
        )}
        {catalog.data ? <Incoming catalog={catalog.data} /> : null}
      </div>
    </>
  );
}

function Cards({ children }: { children: React.ReactNode }) {
  return <ul className="grid gap-4 lg:grid-cols-2 [&>*]:min-w-0">{children}</ul>;
}

const kinds: { path: string; icon: LucideIcon; title: string; text: string }[] = [
  { path: 'trends', icon: ChartLine, title: 'Trends', text: 'How often, how many people, how much, over time.' },
  { path: 'funnels', icon: Filter, title: 'Funnels', text: 'How many get from one step to the next, and how fast.' },
  { path: 'retention', icon: Repeat2, title: 'Retention', text: 'Who comes back, and for how long.' },
  { path: 'query', icon: Terminal, title: 'Query', text: 'Anything else, in CQL.' },
];

function NoReports() {
  const { project } = useProject();
  return (
    <section className="panel p-5">
      <h2 className="flex items-center gap-2 font-medium"><Bookmark size={16} className="text-muted" aria-hidden="true" /> Save a report, and it shows here</h2>
      <ul className="mt-4 grid gap-3 sm:grid-cols-2 xl:grid-cols-4">
        {kinds.map(({ path, icon: Icon, title, text }) => (
          <li key={path}>
            <Link href={href(project.id, path)} className="block h-full rounded-lg border border-line p-4 hover:border-line-strong hover:bg-sunken">
              <Icon size={18} className="mb-2 text-accent" aria-hidden="true" />
              <span className="block font-medium">{title}</span>
              <span className="text-soft">{text}</span>
            </Link>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Card({ report, catalog }: { report: SavedReport; catalog: Catalog }) {
  const { project } = useProject();
  const [, navigate] = useLocation();
  const { update, remove } = useReportActions();
  const [renaming, setRenaming] = useState(false);
  const calendar = useMemo(() => makeCalendar(project.time_zone, catalog.events), [project.time_zone, catalog]);
  const target = reportHref(project.id, report);
  return (
    <li className="panel flex min-w-0 flex-col">
      <div className="flex items-start gap-2 px-4 pt-3 pb-1">
        <div className="min-w-0 grow">
          <h2 className="truncate font-medium"><Link href={target} className="rounded hover:text-accent">{report.name}</Link></h2>
          {report.description ? <p className="truncate text-[13px] text-muted" title={report.description}>{report.description}</p> : null}
        </div>
        <Menu>
          <MenuTrigger asChild><IconButton label={`More for ${report.name}`}><EllipsisVertical size={15} /></IconButton></MenuTrigger>
          <MenuContent>
            <MenuItem onSelect={() => navigate(target)}>Open</MenuItem>
            <MenuItem onSelect={() => setRenaming(true)}><Pencil size={14} /> Rename…</MenuItem>
            <MenuItem danger onSelect={() => remove.mutate(report)}><Trash2 size={14} /> Delete</MenuItem>
          </MenuContent>
        </Menu>
      </div>
      <div className="min-h-52 min-w-0 grow px-4 pt-2 pb-4"><CardBody report={report} calendar={calendar} /></div>
      {renaming ? (
        <NameDialog
          title="Rename report" action="Rename" report={report} onClose={() => setRenaming(false)}
          onDone={(name, description) => {
            setRenaming(false);
            update.mutate({ report, draft: { ...draftOf(report), name, description } });
          }}
        />
      ) : null}
    </li>
  );
}

function resolveFor(project: Calendar, range: Range | undefined, events: readonly string[] = []): Dates {
  const calendar = calendarOf(project, events);
  return resolve(range ?? defaultRange(calendar), calendar);
}

/** What a card asks: the builder's state with today's dates when there is one, else the saved tree itself. */
function questionOf(report: SavedReport, calendar: Calendar): { trend?: TrendInput; chart?: TrendChart; trees: Tree[] } {
  const view = viewOf(report);
  if (view?.page === 'trends') {
    const state = view.state as TrendsState;
    const trend = trendInput(state, calendar);
    return { trend, chart: state.chart ?? (state.by ? 'area' : 'line'), trees: trendTrees(trend) };
  }
  if (view?.page === 'funnels') {
    const state = view.state as FunnelState;
    return { trees: [funnelTree(state, resolveFor(calendar, state.range, state.steps[0]?.events))] };
  }
  if (view?.page === 'retention') {
    const state = view.state as RetentionState;
    return { trees: [retentionTree(state, resolveFor(calendar, state.range, state.start?.events), state.unit ?? 'month')] };
  }
  if (view?.page === 'flows') {
    const state = view.state as FlowState;
    return { trees: [flowTree(state, resolveFor(calendar, state.range, state.start.events))] };
  }
  return { trees: [report.query as Tree] };
}

function CardBody({ report, calendar }: { report: SavedReport; calendar: Calendar }) {
  const { trend, chart, trees } = useMemo(() => questionOf(report, calendar), [report, calendar]);
  const result = useReport('card', { trend, id: report.id }, trees);
  if (result.error && !result.data) return <Failure error={result.error} onRetry={result.again} />;
  if (!result.data) return <Skeleton className="h-48" />;
  const [answer] = result.data.answers;
  if (!answer) return null;
  if (result.data.input.trend) return <TrendCard input={result.data.input.trend} answers={result.data.answers} calendar={calendar} name={report.name} chart={chart ?? 'line'} />;
  if (answer.report === 'events' || answer.report === 'timeline') return <TimelineCard answer={answer} />;
  const picture = pictureOf(answer);
  if (answer.rows.length === 0) return <Empty title="Nothing in this range" />;
  return picture ? <AnswerChart answer={answer} picture={picture} label={report.name} small /> : <AnswerTable answer={answer} label={report.name} maxHeight={220} />;
}

function TrendCard({ input, answers, calendar, name, chart }: { input: TrendInput; answers: Answer[]; calendar: Calendar; name: string; chart: TrendChart }) {
  const { names, earlierNames, lines } = useTrend(input, answers, calendar);
  const drawn = useMemo(() => chartLines(lines, earlierNames), [lines, earlierNames]);
  return (
    <>
      <p className="num mb-2 flex flex-wrap gap-x-4 text-[13px] text-soft">
        {lines.slice(0, 3).map((line) => <span key={line.name}><span className="font-semibold text-text">{number(line.total)}</span> {line.name}</span>)}
        {lines.length > 3 ? <span className="text-muted">and {lines.length - 3} more</span> : null}
      </p>
      <TimeChart names={names} unit={input.unit} lines={drawn} kind={chart} height={190} small label={`${name} by ${input.unit}; open it for the table`} />
    </>
  );
}

function TimelineCard({ answer }: { answer: Answer }) {
  const { project } = useProject();
  const at = (name: string): number => answer.columns.findIndex((column) => column.name === name);
  const [time, event, properties] = [at('time'), at('event'), at('properties')];
  return (
    <ul className="grid max-h-56 gap-0.5 overflow-y-auto" tabIndex={0} aria-label="Timeline, newest first">
      {answer.rows.slice(0, 20).map((row, index) => {
        const instant = row[time] as string;
        const values = row[properties];
        return (
          <li key={index} className="flex min-w-0 gap-3 py-0.5">
            <time className="num w-24 shrink-0 whitespace-nowrap text-[13px] text-muted" title={dateTime(instant, project.time_zone)}>{day(instant, project.time_zone)}</time>
            <span className="shrink-0 font-medium">{String(row[event])}</span>
            <span className="min-w-0 truncate text-[13px] text-muted">{summary(values)}</span>
          </li>
        );
      })}
    </ul>
  );
}

function summary(values: Cell | undefined): string {
  if (values === null || values === undefined || typeof values !== 'object') return '';
  return Object.values(values).filter((value) => typeof value === 'string' || typeof value === 'number').slice(0, 5).join(' · ');
}

function Incoming({ catalog }: { catalog: Catalog }) {
  const { project } = useProject();
  const [all, setAll] = useState(false);
  const events = [...catalog.events].sort((a, b) => b.count - a.count);
  const shown = all ? events : events.slice(0, 8);
  return (
    <section className="panel overflow-hidden">
      <div className="flex min-h-11 items-center gap-2 border-b border-line px-4">
        <h2 className="grow font-medium">What comes in</h2>
        <Link href={href(project.id, 'live')} className={buttonClass('ghost', true)}><Radio size={14} /> Live</Link>
      </div>
      <div className="overflow-x-auto">
        <table className="w-full">
          <thead>
            <tr className="text-left text-muted [&>th]:px-4 [&>th]:py-2 [&>th]:font-medium [&>th]:whitespace-nowrap">
              <th scope="col">Event</th>
              <th scope="col" className="text-right">Count</th>
              {events.some((event) => event.users !== undefined) ? <th scope="col" className="text-right">Users</th> : null}
              <th scope="col" className="text-right max-sm:hidden">Properties</th>
              <th scope="col">Last</th>
            </tr>
          </thead>
          <tbody>
            {shown.map((event) => (
              <tr key={event.name} className="[&>td]:border-t [&>td]:border-line [&>td]:px-4 [&>td]:py-2">
                <td className="font-medium">
                  <Link
                    className="rounded hover:text-accent"
                    href={href(project.id, 'trends', `q=${encodeURIComponent(JSON.stringify({ series: [{ events: [event.name], measure: 'count' }] }))}`)}
                  >
                    {event.name}
                  </Link>
                </td>
                <td className="num text-right">{number(event.count)}</td>
                {event.users !== undefined ? <td className="num text-right">{number(event.users)}</td> : null}
                <td className="num text-right text-soft max-sm:hidden">{number(event.properties.length)}</td>
                <td className="num whitespace-nowrap text-soft" title={dateTime(event.last_seen, project.time_zone)}>{ago(event.last_seen)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {events.length > shown.length ? <div className="border-t border-line p-2 text-center"><Button small look="ghost" onClick={() => setAll(true)}>Show all {number(events.length)}</Button></div> : null}
    </section>
  );
}
