import { useMemo } from 'react';
import { TimeChart, type ChartLine } from '@/charts/time-chart';
import { cell, compact, number } from '@/lib/format';
import type { Answer, Cell } from '@/lib/types';
import { readFlow } from '@/model/flow';
import { readFunnel } from '@/model/funnel';
import { bucketName } from '@/model/range';
import { readRetention, retentionUnits, type RetentionUnit } from '@/model/retention';
import { isTimeUnit, keyName, type Key, type TimeUnit } from '@/model/tree';
import { FlowDiagram } from './flow-view';
import { FunnelBars } from './funnel-view';
import { HeatMap } from './retention-view';

/** How an answer can be drawn; null when only its table makes sense. */
export type Picture =
  | { kind: 'funnel' | 'retention' | 'flow' | 'figures' }
  | { kind: 'time'; unit: TimeUnit; names: string[]; lines: ChartLine[]; hidden: number }
  | { kind: 'bars'; rows: { name: string; value: number }[]; measure: string; hidden: number };

const maximumLines = 8;
const mostBars = 12;

function isNumeric(answer: Answer, column: number): boolean {
  return answer.rows.some((row) => typeof row[column] === 'number') && answer.rows.every((row) => row[column] === null || typeof row[column] === 'number');
}

export function pictureOf(answer: Answer): Picture | null {
  if (answer.rows.length === 0) return null;
  if (answer.report === 'funnel') return { kind: 'funnel' };
  if (answer.report === 'flow') return { kind: 'flow' };
  if (answer.report === 'retention') return { kind: 'retention' };
  if (answer.report === 'segment' && answer.rows.length === 1) return { kind: 'figures' };
  if (answer.report !== 'select' && answer.report !== 'trend' && answer.report !== 'trends') return null;
  const tree = answer.query as { group_by?: Key[] } | undefined;
  const groups = tree?.group_by?.map(keyName) ?? answer.columns.filter((column, index) => isTimeUnit(column.name) || !isNumeric(answer, index)).map((column) => column.name);
  const keys = groups.length;
  const measures = answer.columns.map((_, index) => index).slice(keys).filter((index) => isNumeric(answer, index));
  const [measure] = measures;
  if (measure === undefined) return null;
  const unit = groups[0];
  if (keys === 0) return answer.rows.length === 1 ? { kind: 'figures' } : null;
  if (isTimeUnit(unit) && keys <= 2) return timePicture(answer, unit, keys, keys === 1 ? measures : [measure]);
  if (keys !== 1) return null;
  const rows = answer.rows
    .map((row) => ({ name: row[0] === null ? '(not set)' : cell(row[0]), value: typeof row[measure] === 'number' ? row[measure] : 0 }))
    .sort((a, b) => b.value - a.value);
  return { kind: 'bars', rows: rows.slice(0, mostBars), measure: answer.columns[measure]?.name ?? '', hidden: Math.max(0, rows.length - mostBars) };
}

function timePicture(answer: Answer, unit: TimeUnit, keys: number, measures: number[]): Picture {
  const names = [...new Set(answer.rows.map((row) => bucketName(row[0], unit)))].sort();
  const at = new Map(names.map((name, index) => [name, index]));
  const lines = new Map<string, { points: (number | null)[]; sum: number }>();
  for (const row of answer.rows) {
    for (const measure of measures) {
      const name = keys === 2 ? (row[1] === null ? '(not set)' : cell(row[1])) : answer.columns[measure]?.name ?? '';
      const line = lines.get(name) ?? { points: names.map(() => (keys === 2 ? 0 : null)), sum: 0 };
      lines.set(name, line);
      const value = row[measure];
      const index = at.get(bucketName(row[0], unit));
      if (index === undefined || typeof value !== 'number') continue;
      line.points[index] = value;
      line.sum += value;
    }
  }
  const sorted = keys === 2 ? [...lines].sort(([, a], [, b]) => b.sum - a.sum) : [...lines];
  return {
    kind: 'time', unit, names, hidden: Math.max(0, sorted.length - maximumLines),
    lines: sorted.slice(0, maximumLines).map(([name, line], index) => ({ name, points: line.points, colour: index })),
  };
}

export function AnswerChart({ answer, picture, label, small }: { answer: Answer; picture: Picture; label: string; small?: boolean }) {
  switch (picture.kind) {
    case 'funnel':
      return <Funnel answer={answer} small={small} />;
    case 'retention':
      return <Heat answer={answer} label={label} small={small} />;
    case 'flow':
      return <Flow answer={answer} label={label} small={small} />;
    case 'figures':
      return <Figures answer={answer} />;
    case 'bars':
      return <Bars picture={picture} maximum={small ? 6 : mostBars} />;
    case 'time':
      return (
        <>
          <TimeChart
            names={picture.names} unit={picture.unit} lines={picture.lines} label={`${label}; the same numbers are in its table`}
            kind={picture.lines.length > 2 && small ? 'area' : 'line'} height={small ? 190 : 300} small={small}
          />
          {picture.hidden > 0 && !small ? <p className="mt-2 text-[13px] text-muted">The {picture.lines.length} largest of {number(picture.lines.length + picture.hidden)} are drawn; the table has all.</p> : null}
        </>
      );
  }
}

function Funnel({ answer, small }: { answer: Answer; small?: boolean }) {
  const groups = useMemo(() => readFunnel(answer).slice(0, 6), [answer]);
  return <FunnelBars groups={groups} height={small ? 120 : 240} small={small} />;
}

function Flow({ answer, label, small }: { answer: Answer; label: string; small?: boolean }) {
  const nodes = useMemo(() => readFlow(answer), [answer]);
  const tree = answer.query as { direction?: string } | undefined;
  return <FlowDiagram nodes={nodes} backwards={tree?.direction === 'to'} label={label} small={small} />;
}

function Heat({ answer, label, small }: { answer: Answer; label: string; small?: boolean }) {
  const [table] = useMemo(() => readRetention(answer), [answer]);
  const tree = answer.query as { unit?: string } | undefined;
  const unit: RetentionUnit = retentionUnits.find((candidate) => candidate === tree?.unit) ?? 'day';
  return table ? <HeatMap table={table} unit={unit} show="rate" label={label} small={small} maximumRows={small ? 12 : undefined} /> : null;
}

function Figures({ answer }: { answer: Answer }) {
  return (
    <dl className="flex flex-wrap gap-x-10 gap-y-4">
      {answer.columns.map((column, index) => (
        <div key={index}>
          <dt className="text-[13px] text-soft">{column.name}</dt>
          <dd className="num text-2xl font-semibold">{cell(answer.rows[0]?.[index] as Cell)}</dd>
        </div>
      ))}
    </dl>
  );
}

function Bars({ picture, maximum }: { picture: Extract<Picture, { kind: 'bars' }>; maximum: number }) {
  const rows = picture.rows.slice(0, maximum);
  const most = Math.max(...rows.map((row) => row.value), 0) || 1;
  return (
    <div>
      <ul className="grid gap-1.5">
        {rows.map((row) => (
          <li key={row.name} className="relative flex h-7 items-center gap-3 overflow-hidden rounded-md px-2">
            <span aria-hidden="true" className="absolute inset-y-0 left-0 rounded-md bg-accent-soft" style={{ width: `${Math.max(0, (row.value / most) * 100)}%` }} />
            <span className="relative min-w-0 grow truncate">{row.name}</span>
            <span className="num relative font-medium">{maximum < mostBars ? compact(row.value) : number(row.value)}</span>
          </li>
        ))}
      </ul>
      {picture.hidden > 0 && maximum === mostBars ? <p className="mt-2 text-[13px] text-muted">The {mostBars} largest of {number(picture.hidden + picture.rows.length)} values; the table has all.</p> : null}
    </div>
  );
}
