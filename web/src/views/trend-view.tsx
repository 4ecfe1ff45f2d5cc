import { useCallback, useMemo, useState } from 'react';
import { colour } from '@/charts/palette';
import { TimeChart, type ChartLine } from '@/charts/time-chart';
import { CsvButton, Panel } from '@/builder/report-page';
import { download, fileName, toCsv } from '@/lib/csv';
import { number, share } from '@/lib/format';
import { useTheme } from '@/lib/theme';
import { dateLabel } from '@/lib/time';
import type { Answer, Cell } from '@/lib/types';
import {
  buckets, calendarOf, defaultRange, defaultUnit, partOf, previous, resolve, unitsFor, yearBefore, type Calendar, type Dates,
} from '@/model/range';
import type { TimeUnit, Tree } from '@/model/tree';
import { combine, seriesTree, type Line, type SeriesAnswer, type TrendChart, type TrendsState } from '@/model/trends';
import { Empty } from '@/ui/state';
import { Table, type TableColumn } from '@/ui/table';

export interface TrendInput {
  state: TrendsState;
  dates: Dates;
  unit: TimeUnit;
  earlier?: Dates;
}

export function trendInput(state: TrendsState, project: Calendar): TrendInput {
  const calendar = calendarOf(project, state.series.some((series) => series.any) ? [] : state.series.flatMap((series) => series.events));
  const dates = resolve(state.range ?? defaultRange(calendar), calendar);
  const unit = state.unit && unitsFor(dates).includes(state.unit) ? state.unit : defaultUnit(dates);
  const earlier = state.compare && !dates.hours ? (state.compare === 'year' ? yearBefore(dates) : previous(dates)) : undefined;
  // How it's drawn is no part of the question: another kind of chart must not ask again.
  const { chart: _, ...asked } = state;
  return { state: asked, dates, unit, ...(earlier ? { earlier } : {}) };
}

/** For each series: over time, in total, and both for the earlier period when one is compared. */
export function trendTrees({ state, dates, unit, earlier }: TrendInput): Tree[] {
  return state.series.flatMap((series) => [
    seriesTree(state, series, dates, unit),
    seriesTree(state, series, dates, null),
    ...(earlier ? [seriesTree(state, series, earlier, unit), seriesTree(state, series, earlier, null)] : []),
  ]);
}

export function useTrend({ state, dates, unit, earlier }: TrendInput, answers: Answer[], calendar: Calendar) {
  return useMemo(() => {
    const names = buckets(dates, unit, calendar);
    const earlierNames = earlier ? buckets(earlier, unit, calendar) : [];
    const each = earlier ? 4 : 2;
    const series: SeriesAnswer[] = state.series.map((_, index) => {
      const [byTime, total, earlierByTime, earlierTotal] = answers.slice(index * each, (index + 1) * each) as [Answer, Answer, Answer?, Answer?];
      return { byTime, total, ...(earlierByTime && earlierTotal ? { earlier: { byTime: earlierByTime, total: earlierTotal } } : {}) };
    });
    return { names, earlierNames, ...combine(state, series, unit, names, earlierNames) };
  }, [state, dates, unit, earlier, answers, calendar]);
}

export function chartLines(lines: Line[], earlierNames: string[]): ChartLine[] {
  return [
    ...lines.map((line, index) => ({ name: line.name, points: line.points, colour: index })),
    ...lines.flatMap((line, index) =>
      line.earlier ? [{ name: `${line.name}, earlier`, points: line.earlier.points, colour: index, faint: true, labels: earlierNames }] : []),
  ];
}

export function TrendView({
  input, answers, calendar, title, chart,
}: {
  input: TrendInput;
  answers: Answer[];
  calendar: Calendar;
  title: string;
  chart: TrendChart;
}) {
  const { unit } = input;
  const { names, earlierNames, lines, hidden, cut } = useTrend(input, answers, calendar);
  const [off, setOff] = useState<ReadonlySet<string>>(new Set());
  const drawn = useMemo(
    () => chartLines(lines, earlierNames).filter((line) => !off.has(line.name.replace(/, earlier$/, ''))),
    [lines, earlierNames, off],
  );
  const toggle = (name: string): void => {
    const next = new Set(off);
    if (!next.delete(name)) next.add(name);
    setOff(next.size < lines.length ? next : new Set());
  };
  const note = useCallback((index: number) => partOf(names[index] ?? '', unit, input.dates, calendar), [names, unit, input.dates, calendar]);
  const nothing = lines.every((line) => !line.total && line.points.every((point) => !point));
  return (
    <>
      <Panel>
        {nothing ? (
          <Empty title="Nothing happened in this range">Choose a longer range, or fewer filters.</Empty>
        ) : (
          <>
            <Totals lines={lines} off={off} onToggle={toggle} />
            <TimeChart names={names} unit={unit} lines={drawn} kind={chart} note={note} label={`${title} by ${unit}; the same numbers are in the table below`} />
            {hidden > 0 ? <p className="mt-2 text-[13px] text-muted">The largest values have a line of their own; {number(hidden)} more are in “Totals by value” below.</p> : null}
            {cut ? <p className="mt-2 text-[13px] text-warn">There are more than 10,000 combinations of {unit} and value; some are missing. Choose a longer unit or a filter.</p> : null}
          </>
        )}
      </Panel>
      {nothing ? null : <TrendTable lines={lines} names={names} unit={unit} title={title} />}
      {hidden > 0 && answers[1] ? <AllValues answers={answers} input={input} title={title} /> : null}
    </>
  );
}

function Totals({ lines, off, onToggle }: { lines: Line[]; off: ReadonlySet<string>; onToggle: (name: string) => void }) {
  const { dark } = useTheme();
  return (
    <ul className="mb-4 flex flex-wrap gap-x-7 gap-y-3">
      {lines.map((line, index) => {
        const before = line.earlier?.total;
        const change = before && line.total !== null ? line.total / before - 1 : null;
        return (
          <li key={line.name} className="min-w-0">
            <button
              type="button"
              aria-pressed={!off.has(line.name)}
              disabled={lines.length === 1}
              title={lines.length === 1 ? undefined : off.has(line.name) ? 'Draw this line again' : 'Take this line off the chart'}
              onClick={() => onToggle(line.name)}
              className="flex max-w-60 items-center gap-1.5 rounded text-[13px] text-soft hover:text-text disabled:hover:text-soft"
            >
              <span
                className="size-2 shrink-0 rounded-xs border"
                style={{ background: off.has(line.name) ? 'transparent' : colour(index, dark), borderColor: colour(index, dark) }}
                aria-hidden="true"
              />
              <span className={`truncate ${off.has(line.name) ? 'line-through' : ''}`}>{line.name}</span>
            </button>
            <p className={`num font-semibold ${lines.length > 3 ? 'text-base' : 'text-xl'}`}>
              {number(line.total)}
              {change !== null ? (
                <span className={`ml-2 text-[13px] font-medium ${change >= 0 ? 'text-good' : 'text-bad'}`} title={`Earlier: ${number(before)}`}>
                  {change >= 0 ? '↑' : '↓'} {share(Math.abs(change))}
                </span>
              ) : null}
            </p>
          </li>
        );
      })}
    </ul>
  );
}

interface TableRow {
  name: string;
  cells: (number | null)[];
}

function TrendTable({ lines, names, unit, title }: { lines: Line[]; names: string[]; unit: TimeUnit; title: string }) {
  const rows = useMemo<TableRow[]>(
    () => names.map((name, index) => ({ name, cells: lines.flatMap((line) => [line.points[index] ?? null, ...(line.earlier ? [line.earlier.points[index] ?? null] : [])]) })),
    [lines, names],
  );
  const header = useMemo(() => lines.flatMap((line) => [line.name, ...(line.earlier ? [`${line.name}, earlier`] : [])]), [lines]);
  const columns = useMemo<TableColumn<TableRow>[]>(
    () => [
      { id: 'time', header: unit.slice(0, 1).toUpperCase() + unit.slice(1), value: (row) => row.name, render: (row) => <span className="num">{dateLabel(row.name, unit)}</span>, sticky: true },
      ...header.map((name, index) => ({
        id: `line-${index}`, header: name, numeric: true,
        value: (row: TableRow) => row.cells[index] ?? null, render: (row: TableRow) => number(row.cells[index]),
      })),
    ],
    [header, unit],
  );
  const csv = (): void => download(fileName(title), toCsv([unit, ...header], rows.map((row) => [row.name, ...row.cells])));
  return (
    <Panel title="Table" tools={<CsvButton onClick={csv} />} flush>
      <Table label={`${title}: table`} columns={columns} rows={rows} />
    </Panel>
  );
}

function AllValues({ answers, input, title }: { answers: Answer[]; input: TrendInput; title: string }) {
  const answer = answers[1] as Answer;
  const by = input.state.by;
  const rows = answer.rows;
  const columns = useMemo<TableColumn<Cell[]>[]>(
    () => [
      { id: 'value', header: by?.name ?? 'Value', value: (row) => (row[0] === null ? '(not set)' : String(row[0])), sticky: true },
      ...answer.columns.slice(1).map((column, index) => ({
        id: column.name, header: column.name, numeric: true,
        value: (row: Cell[]) => (typeof row[index + 1] === 'number' ? (row[index + 1] as number) : null),
        render: (row: Cell[]) => (typeof row[index + 1] === 'number' ? number(row[index + 1] as number) : '–'),
      })),
    ],
    [answer, by],
  );
  const csv = (): void => download(fileName(`${title} by ${by?.name ?? 'value'}`), toCsv(answer.columns.map((column) => column.name), rows));
  return (
    <Panel title="Totals by value" tools={<CsvButton onClick={csv} />} flush>
      <Table label="Totals by value" columns={columns} rows={rows} />
    </Panel>
  );
}
