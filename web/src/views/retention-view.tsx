import { useMemo, useState } from 'react';
import { CsvButton, Panel } from '@/builder/report-page';
import { TimeChart } from '@/charts/time-chart';
import { download, fileName, toCsv } from '@/lib/csv';
import { number, share } from '@/lib/format';
import { dateLabel } from '@/lib/time';
import type { Answer } from '@/lib/types';
import { readRetention, type Cohort, type RetentionCell, type RetentionTable, type RetentionUnit } from '@/model/retention';
import { Segmented } from '@/ui/button';
import { Choice } from '@/ui/choice';
import { Empty } from '@/ui/state';

const percentAxis = (value: number): string => `${Math.round(value * 100)}%`;

export function RetentionView({ answer, unit, title }: { answer: Answer; unit: RetentionUnit; title: string }) {
  const tables = useMemo(() => readRetention(answer), [answer]);
  const [group, setGroup] = useState(0);
  const [show, setShow] = useState<'rate' | 'users'>('rate');
  const table = tables[Math.min(group, tables.length - 1)];
  const curve = useMemo(
    () =>
      tables.slice(0, 8).map((one, index) => ({
        name: one.group === undefined ? 'All cohorts' : one.group === null ? '(not set)' : String(one.group),
        points: one.overall.map((cell) => cell?.rate ?? null),
        colour: index,
      })),
    [tables],
  );
  if (!table || table.cohorts.length === 0) {
    return <Panel><Empty title="No cohort in this range">Nobody did the first event in it. Choose a longer range, or fewer filters.</Empty></Panel>;
  }
  const names = Array.from({ length: table.periods }, (_, index) => `${unit} ${index}`);
  const csv = (): void => download(fileName(title), toCsv(answer.columns.map((column) => column.name), answer.rows));
  return (
    <>
      <Panel title="Over all cohorts" tools={<span className="text-[13px] text-muted">only cohorts that have completed the {unit}</span>}>
        <TimeChart
          names={names} unit={null} lines={curve} kind="line" height={220} format={share} axisFormat={percentAxis}
          label={`${title}: share of users who came back, by ${unit}; the same numbers are in the table below`}
        />
      </Panel>
      <Panel
        title="Cohorts"
        flush
        tools={
          <>
            {tables.length > 1 ? (
              <Choice
                label="Value of the breakdown"
                value={String(Math.min(group, tables.length - 1))}
                options={tables.map((one, index) => ({ value: String(index), label: one.group === null ? '(not set)' : String(one.group) }))}
                onChange={(value) => setGroup(Number(value))}
              />
            ) : null}
            <Segmented label="Show" value={show} onChange={setShow} options={[{ value: 'rate', label: 'Share' }, { value: 'users', label: 'Users' }]} />
            <CsvButton onClick={csv} />
          </>
        }
      >
        <HeatMap table={table} unit={unit} show={show} label={`${title}: cohorts`} />
        <p className="flex flex-wrap items-center gap-x-4 gap-y-1 border-t border-line px-4 py-2 text-[13px] text-muted">
          <span className="inline-flex items-center gap-1.5"><span className="heat-open inline-block h-3.5 w-6 rounded-sm border border-line" aria-hidden="true" /> not over yet</span>
          <span>{unit === 'hour' ? 'Hours' : `${unit.slice(0, 1).toUpperCase()}${unit.slice(1)}s`} after the first event</span>
        </p>
      </Panel>
    </>
  );
}

export function HeatMap({
  table, unit, show, label, small, maximumRows,
}: {
  table: RetentionTable;
  unit: RetentionUnit;
  show: 'rate' | 'users';
  label: string;
  small?: boolean;
  maximumRows?: number;
}) {
  const periods = Array.from({ length: table.periods }, (_, index) => index);
  const rows = maximumRows ? table.cohorts.slice(-maximumRows) : table.cohorts;
  const head = 'sticky top-0 z-1 bg-panel px-2 py-2 font-medium whitespace-nowrap text-muted';
  const corner = 'sticky left-0 bg-panel px-3 text-left whitespace-nowrap';
  return (
    <div className={`relative overflow-auto ${small ? 'max-h-54' : 'max-h-140'}`} tabIndex={0} role="region" aria-label={label}>
      <table className={`num w-full border-separate border-spacing-0.5 ${small ? 'text-xs' : 'text-[13px]'}`}>
        <thead>
          <tr>
            <th scope="col" className={`${head} ${corner} z-2!`}>Cohort</th>
            <th scope="col" className={`${head} text-right`}>Users</th>
            {periods.map((k) => <th key={k} scope="col" className={`${head} min-w-13 text-center`}>{k}</th>)}
          </tr>
        </thead>
        <tbody>
          <tr>
            <th scope="row" className={`${corner} py-1.5 font-semibold`}>All</th>
            <td className="px-2 text-right font-semibold">{number(table.size)}</td>
            {periods.map((k) => <HeatCell key={k} cell={table.overall[k] ?? undefined} show={show} strong />)}
          </tr>
          {rows.map((cohort) => <CohortRow key={cohort.cohort} cohort={cohort} periods={periods} unit={unit} show={show} corner={corner} />)}
        </tbody>
      </table>
    </div>
  );
}

function CohortRow({ cohort, periods, unit, show, corner }: { cohort: Cohort; periods: number[]; unit: RetentionUnit; show: 'rate' | 'users'; corner: string }) {
  return (
    <tr>
      <th scope="row" className={`${corner} py-1.5 font-normal`}>{dateLabel(cohort.cohort, unit)}</th>
      <td className="px-2 text-right text-soft">{number(cohort.size)}</td>
      {periods.map((k) => <HeatCell key={k} cell={cohort.cells[k]} show={show} />)}
    </tr>
  );
}

function HeatCell({ cell, show, strong }: { cell: RetentionCell | undefined; show: 'rate' | 'users'; strong?: boolean }) {
  if (!cell) return <td aria-label="none" />;
  const depth = Math.min(1, Math.sqrt(cell.rate));
  return (
    <td
      title={`${number(cell.users)} users, ${share(cell.rate)}${cell.complete ? '' : ', not over yet'}`}
      className={`rounded-sm px-1 text-center ${strong ? 'font-semibold' : ''} ${cell.users === 0 ? 'text-muted' : ''} ${cell.complete ? '' : 'heat-open'}`}
      style={{ backgroundColor: `rgb(var(--heat) / calc(var(--heat-most) * ${depth.toFixed(3)}))` }}
    >
      {show === 'rate' ? percent(cell.rate) : number(cell.users)}
      {cell.complete ? null : <span className="sr-only"> not over yet</span>}
    </td>
  );
}

function percent(rate: number): string {
  return rate === 0 ? '0' : rate === 1 ? '100' : (rate * 100).toFixed(rate < 0.0995 ? 1 : 0);
}
