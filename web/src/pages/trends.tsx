import { ChartArea, ChartColumn, ChartLine, Plus, TrendingUp } from 'lucide-react';
import { useEffect, useMemo } from 'react';
import { BreakdownPicker } from '@/builder/breakdown-picker';
import { PropertyButton, FilterEditor } from '@/builder/filter-editor';
import { RangePicker } from '@/builder/range-picker';
import { Ready } from '@/builder/ready';
import { ReportPage, Result } from '@/builder/report-page';
import { SaveReport, useReportTitle } from '@/builder/save-report';
import { Mark, Section, StepEditor } from '@/builder/step-editor';
import { useReport } from '@/lib/ask';
import type { Catalog } from '@/lib/types';
import { useUrlState } from '@/lib/url-state';
import { parseFormula } from '@/model/formula';
import { calendarOf, defaultUnit, defaultRange, resolve, unitsFor, type Calendar } from '@/model/range';
import {
  maximumSeries, measureKind, measureKinds, seriesReady, type Series, type TrendChart, type TrendsState,
} from '@/model/trends';
import { typing } from '@/shell/navigation';
import { Button, Segmented } from '@/ui/button';
import { Choice } from '@/ui/choice';
import { Input } from '@/ui/field';
import { colour } from '@/charts/palette';
import { trendInput, trendTrees, TrendView, type TrendInput } from '@/views/trend-view';
import { useTheme } from '@/lib/theme';

export default function Trends() {
  return <Ready title="Trends">{(catalog, calendar) => <Builder catalog={catalog} calendar={calendar} />}</Ready>;
}

const charts: { value: TrendChart; label: React.ReactNode; title: string }[] = [
  { value: 'line', label: <ChartLine size={15} />, title: 'Lines' },
  { value: 'area', label: <ChartArea size={15} />, title: 'Stacked areas' },
  { value: 'bar', label: <ChartColumn size={15} />, title: 'Stacked columns' },
];

function Builder({ catalog, calendar: project }: { catalog: Catalog; calendar: Calendar }) {
  const title = useReportTitle('Trends');
  const { dark } = useTheme();
  const [stored, setState] = useUrlState<TrendsState>();
  const state = useMemo<TrendsState>(() => {
    if (stored && Array.isArray(stored.series)) return stored;
    const most = [...catalog.events].sort((a, b) => b.count - a.count)[0];
    return { series: most ? [{ events: [most.name], measure: 'count' }] : [] };
  }, [stored, catalog]);
  const set = (part: Partial<TrendsState>): void => setState({ ...state, ...part });

  const events = useMemo(() => (state.series.some((series) => series.any) ? [] : state.series.flatMap((series) => series.events)), [state.series]);
  const calendar = useMemo(() => calendarOf(project, events), [project, events]);
  const range = state.range ?? defaultRange(calendar);
  const dates = useMemo(() => resolve(range, calendar), [range, calendar]);
  const units = unitsFor(dates);
  const unit = state.unit && units.includes(state.unit) ? state.unit : defaultUnit(dates);
  const ready = state.series.length > 0 && state.series.every(seriesReady);
  const input = useMemo(() => trendInput(state, calendar), [state, calendar]);
  const trees = useMemo(() => (ready ? trendTrees(input) : null), [ready, input]);
  const report = useReport<TrendInput>('trends', input, trees);

  useEffect(() => {
    const key = (event: KeyboardEvent): void => {
      if (!typing(event) && event.key === 'x') {
        const { compare, ...rest } = state;
        setState(compare ? rest : { ...rest, compare: 'previous' });
      }
    };
    window.addEventListener('keydown', key);
    return () => window.removeEventListener('keydown', key);
  });

  const change = (index: number, next: Series): void =>
    set({ series: state.series.map((series, at) => (at === index ? next : series)) });
  const formula = state.formula !== undefined ? parseFormula(state.formula || ' ', state.series.length) : null;

  return (
    <ReportPage
      title={title}
      ready={ready}
      actions={<SaveReport draft={trees?.[0] ? { kind: 'trends', query: trees[0], view: { page: 'trends', state } } : null} />}
      builder={
        <>
          <Section title="Series">
            {state.series.map((series, index) => (
              <StepEditor
                key={index}
                mark={<Mark colour={state.series.length > 1 && !state.by ? colour(index, dark) : undefined}>{String.fromCharCode(65 + index)}</Mark>}
                label={`Series ${String.fromCharCode(65 + index)}`}
                step={series}
                onChange={(next) => change(index, next)}
                onRemove={state.series.length > 1 ? () => set({ series: state.series.filter((_, at) => at !== index) }) : undefined}
              >
                <MeasureEditor series={series} label={String.fromCharCode(65 + index)} onChange={(next) => change(index, next)} />
              </StepEditor>
            ))}
            <div className="flex flex-wrap gap-1">
              {state.series.length < maximumSeries ? (
                <Button look="ghost" small onClick={() => set({ series: [...state.series, { events: [], measure: state.series.at(-1)?.measure ?? 'count' }] })}>
                  <Plus size={14} /> Series
                </Button>
              ) : null}
              {state.formula === undefined && state.series.length > 1 && !state.by ? (
                <Button look="ghost" small onClick={() => set({ formula: 'A / B * 100' })}><Plus size={14} /> Formula</Button>
              ) : null}
            </div>
            {state.formula !== undefined && !state.by ? (
              <FormulaEditor
                formula={state.formula}
                only={Boolean(state.formulaOnly)}
                error={formula && !formula.ok ? formula.error : undefined}
                onChange={(part) => set(part)}
                onRemove={() => {
                  const { formula: _, formulaOnly: __, ...rest } = state;
                  setState(rest);
                }}
              />
            ) : null}
          </Section>
          <Section title="Filter all series">
            <FilterEditor
              group={state.filters}
              events={events}
              onChange={(filters) => {
                const { filters: _, ...rest } = state;
                setState(filters ? { ...rest, filters } : rest);
              }}
            />
          </Section>
          <Section title="Break down">
            <BreakdownPicker
              by={state.by}
              events={events}
              onChange={(by) => {
                const { by: _, ...rest } = state;
                setState(by ? { ...rest, by } : rest);
              }}
            />
          </Section>
        </>
      }
      toolbar={
        <>
          <RangePicker range={range} calendar={calendar} onChange={(next) => set({ range: next })} />
          <Choice
            label="Unit of time"
            value={unit}
            options={units.map((value) => ({ value, label: `By ${value}` }))}
            onChange={(next) => set({ unit: next })}
          />
          {dates.hours ? null : <Choice
            label="Compare"
            value={state.compare ?? 'none'}
            options={[
              { value: 'none', label: 'No comparison' },
              { value: 'previous', label: 'Previous period' },
              { value: 'year', label: 'A year before' },
            ]}
            onChange={(value) => {
              const { compare: _, ...rest } = state;
              setState(value === 'none' ? rest : { ...rest, compare: value });
            }}
          />}
          <span className="grow" />
          <Segmented label="Kind of chart" value={state.chart ?? 'line'} options={charts} onChange={(chart) => set({ chart })} />
        </>
      }
    >
      <Result
        running={report}
        answers={report.data?.answers}
        icon={<TrendingUp size={24} />}
        hint={ready ? undefined : 'Choose an event for each series, and a property where the measure needs one.'}
      >
        {report.data ? <TrendView input={report.data.input} answers={report.data.answers} calendar={calendar} title={title} chart={state.chart ?? 'line'} /> : null}
      </Result>
    </ReportPage>
  );
}

function MeasureEditor({ series, label, onChange }: { series: Series; label: string; onChange: (series: Series) => void }) {
  const kind = measureKind(series.measure);
  return (
    <div className="flex min-w-0 items-center gap-1">
      <Choice
        quiet
        label={`Measure of series ${label}`}
        value={kind.id}
        options={measureKinds.map((one) => ({ value: one.id, label: one.property ? `${one.label}…` : one.label }))}
        onChange={(measure) => {
          const { property, ...rest } = series;
          onChange(measureKind(measure).property && property ? { ...rest, measure, property } : { ...rest, measure });
        }}
      />
      {kind.property ? (
        <PropertyButton
          label={`Property of series ${label}`}
          text={series.property ?? 'choose a property…'}
          events={series.events}
          withProfile={false}
          numericOnly={kind.id !== 'distinct'}
          onPick={({ name }) => onChange({ ...series, property: name })}
          className={series.property ? 'min-w-0 text-text!' : 'min-w-0 text-accent!'}
        />
      ) : null}
    </div>
  );
}

function FormulaEditor({
  formula, only, error, onChange, onRemove,
}: {
  formula: string;
  only: boolean;
  error?: string;
  onChange: (part: { formula?: string; formulaOnly?: boolean }) => void;
  onRemove: () => void;
}) {
  return (
    <div className="panel grid gap-1.5 p-2">
      <div className="flex items-center gap-1.5">
        <Mark>ƒ</Mark>
        <Input
          aria-label="Formula over the series"
          aria-invalid={error ? true : undefined}
          defaultValue={formula}
          key={formula}
          onBlur={(event) => event.target.value !== formula && onChange({ formula: event.target.value })}
          onKeyDown={(event) => event.key === 'Enter' && onChange({ formula: event.currentTarget.value })}
        />
        <Button look="ghost" small aria-label="Remove the formula" onClick={onRemove}>×</Button>
      </div>
      {error ? <p role="alert" className="px-1 text-[13px] text-bad">{error}</p> : null}
      <label className="flex items-center gap-2 px-1 text-soft">
        <input type="checkbox" checked={only} onChange={(event) => onChange({ formulaOnly: event.target.checked })} className="accent-(--accent)" />
        Show only the formula
      </label>
    </div>
  );
}
