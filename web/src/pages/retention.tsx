import { Repeat2 } from 'lucide-react';
import { useMemo } from 'react';
import { BreakdownPicker } from '@/builder/breakdown-picker';
import { RangePicker } from '@/builder/range-picker';
import { Ready } from '@/builder/ready';
import { ReportPage, Result } from '@/builder/report-page';
import { SaveReport, useReportTitle } from '@/builder/save-report';
import { Mark, Section, StepEditor } from '@/builder/step-editor';
import { useReport } from '@/lib/ask';
import { daysBetween } from '@/lib/time';
import type { Catalog } from '@/lib/types';
import { useUrlState } from '@/lib/url-state';
import { calendarOf, defaultRange, resolve, type Calendar, type Dates } from '@/model/range';
import { defaultPeriods, retentionReady, retentionTree, retentionUnits, type RetentionState, type RetentionUnit } from '@/model/retention';
import { Choice } from '@/ui/choice';
import { RetentionView } from '@/views/retention-view';

export default function Retention() {
  return <Ready title="Retention">{(catalog, calendar) => <Builder catalog={catalog} calendar={calendar} />}</Ready>;
}

function unitFor(dates: Dates): RetentionUnit {
  const days = daysBetween(dates.since, dates.until);
  return days <= 2 ? 'hour' : days <= 31 ? 'day' : days <= 180 ? 'week' : 'month';
}

const labels: Record<RetentionUnit, string> = { hour: 'Hourly', day: 'Daily', week: 'Weekly', month: 'Monthly' };
const lengths = [4, 6, 7, 8, 11, 12, 14, 24, 30, 52, 90];

function Builder({ catalog, calendar: project }: { catalog: Catalog; calendar: Calendar }) {
  const title = useReportTitle('Retention');
  const [stored, setState] = useUrlState<RetentionState>();
  const state = useMemo<RetentionState>(() => {
    if (stored) return stored;
    const most = [...catalog.events].sort((a, b) => b.count - a.count)[0];
    return most ? { start: { events: [most.name] }, back: { events: [most.name] } } : {};
  }, [stored, catalog]);
  const set = (part: Partial<RetentionState>): void => setState({ ...state, ...part });

  const calendar = useMemo(() => calendarOf(project, state.start?.events ?? []), [project, state.start]);
  const range = state.range ?? defaultRange(calendar);
  const dates = useMemo(() => resolve(range, calendar), [range, calendar]);
  const unit = state.unit ?? unitFor(dates);
  const periods = state.periods ?? defaultPeriods[unit];
  const ready = retentionReady(state);
  const trees = useMemo(() => (ready ? [retentionTree(state, dates, unit)] : null), [ready, state, dates, unit]);
  const report = useReport('retention', { unit }, trees);
  const events = [...(state.start?.events ?? []), ...(state.back?.events ?? [])];

  return (
    <ReportPage
      title={title}
      ready={ready}
      actions={<SaveReport draft={trees?.[0] ? { kind: 'retention', query: trees[0], view: { page: 'retention', state: { ...state, unit } } } : null} />}
      builder={
        <>
          <Section title="Users who did">
            <StepEditor mark={<Mark>A</Mark>} label="First event" step={state.start ?? { events: [] }} onChange={(start) => set({ start })}>
              <Choice
                quiet
                label="Which occurrence makes the cohort"
                value={state.first === false ? 'each' : 'first'}
                options={[
                  { value: 'first', label: 'for the first time ever' },
                  { value: 'each', label: 'at any time' },
                ]}
                onChange={(value) => set({ first: value === 'first' })}
              />
            </StepEditor>
          </Section>
          <Section title="And came back to">
            <StepEditor mark={<Mark>B</Mark>} label="Returning event" step={state.back ?? { events: [] }} onChange={(back) => set({ back })} />
          </Section>
          <Section title="Counting">
            <div className="panel grid gap-2 p-2.5">
              <Choice
                label="When a return counts"
                value={state.mode ?? 'on'}
                options={[
                  { value: 'on', label: `In exactly that ${unit}` },
                  { value: 'on_or_after', label: `In that ${unit} or later` },
                  { value: 'on_or_before', label: `In that ${unit} or earlier` },
                  { value: 'streak', label: `In every ${unit} up to that one` },
                ]}
                onChange={(mode) => set({ mode })}
              />
              <Choice
                label="How time is divided"
                value={state.rolling ? 'rolling' : 'calendar'}
                options={[
                  { value: 'calendar', label: `Calendar ${unit}s` },
                  { value: 'rolling', label: `${unit === 'day' ? '24 hours' : `Full ${unit}s`} from the first event` },
                ]}
                onChange={(value) => set({ rolling: value === 'rolling' })}
              />
            </div>
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
            options={retentionUnits.map((value) => ({ value, label: labels[value] }))}
            onChange={(next) => {
              const { periods: _, ...rest } = state;
              setState({ ...rest, unit: next });
            }}
          />
          <Choice
            label="How many periods"
            value={String(periods)}
            options={[...new Set([...lengths, periods])].sort((a, b) => a - b).map((count) => ({ value: String(count), label: `${count} ${unit}s` }))}
            onChange={(count) => set({ periods: Number(count) })}
          />
        </>
      }
    >
      <Result
        running={report}
        answers={report.data?.answers}
        icon={<Repeat2 size={24} />}
        hint={ready ? undefined : 'Choose the event that starts a user, and the one that shows that they came back.'}
      >
        {report.data?.answers[0] ? <RetentionView answer={report.data.answers[0]} unit={report.data.input.unit} title={title} /> : null}
      </Result>
    </ReportPage>
  );
}
