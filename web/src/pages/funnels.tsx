import { ArrowDown, ArrowUp, Filter, Plus, X } from 'lucide-react';
import { useMemo, useState } from 'react';
import { BreakdownPicker } from '@/builder/breakdown-picker';
import { EventPicker } from '@/builder/event-picker';
import { PropertyButton } from '@/builder/filter-editor';
import { RangePicker } from '@/builder/range-picker';
import { Ready } from '@/builder/ready';
import { ReportPage, Result } from '@/builder/report-page';
import { SaveReport, useReportTitle } from '@/builder/save-report';
import { Mark, Section, StepEditor } from '@/builder/step-editor';
import { useReport } from '@/lib/ask';
import { useUrlState } from '@/lib/url-state';
import type { StepState } from '@/model/filters';
import { defaultWindow, funnelReady, funnelTree, maximumSteps, type Exclusion, type FunnelState } from '@/model/funnel';
import { calendarOf, defaultRange, resolve, type Calendar } from '@/model/range';
import { Button, IconButton } from '@/ui/button';
import { Choice } from '@/ui/choice';
import { Input } from '@/ui/field';
import { FunnelView } from '@/views/funnel-view';

export default function Funnels() {
  return <Ready title="Funnels">{(_, calendar) => <Builder calendar={calendar} />}</Ready>;
}

const empty: FunnelState = { steps: [{ events: [] }, { events: [] }] };

function Builder({ calendar: project }: { calendar: Calendar }) {
  const title = useReportTitle('Funnels');
  const [stored, setState] = useUrlState<FunnelState>();
  const state = stored && Array.isArray(stored.steps) ? stored : empty;
  const set = (part: Partial<FunnelState>): void => setState({ ...state, ...part });
  const drop = (name: keyof FunnelState): void => {
    const next = { ...state };
    delete next[name];
    setState(next);
  };
  const [added, setAdded] = useState<number | null>(null);

  const events = useMemo(() => [...new Set(state.steps.flatMap((step) => step.events))], [state.steps]);
  const calendar = useMemo(() => calendarOf(project, state.steps[0]?.events ?? []), [project, state.steps]);
  const range = state.range ?? defaultRange(calendar);
  const dates = useMemo(() => resolve(range, calendar), [range, calendar]);
  const ready = funnelReady(state);
  const trees = useMemo(() => (ready ? [funnelTree(state, dates)] : null), [ready, state, dates]);
  const input = useMemo(() => ({ state, dates }), [state, dates]);
  const report = useReport('funnel', input, trees);

  const put = (steps: StepState[]): void => set({ steps });
  const move = (index: number, by: number): void => {
    const steps = [...state.steps];
    const [step] = steps.splice(index, 1);
    if (step) steps.splice(index + by, 0, step);
    put(steps);
  };
  return (
    <ReportPage
      title={title}
      ready={ready}
      actions={<SaveReport draft={trees?.[0] ? { kind: 'funnel', query: trees[0], view: { page: 'funnels', state } } : null} />}
      builder={
        <>
          <Section title="Steps">
            {state.steps.map((step, index) => (
              <StepEditor
                key={index}
                mark={<Mark>{index + 1}</Mark>}
                label={`Step ${index + 1}`}
                step={step}
                defaultOpen={added === index}
                onChange={(next) => put(state.steps.map((old, at) => (at === index ? next : old)))}
                onRemove={state.steps.length > 2 ? () => put(state.steps.filter((_, at) => at !== index)) : undefined}
                tools={
                  state.steps.length > 2 ? (
                    <span className="flex">
                      <IconButton label={`Move step ${index + 1} up`} disabled={index === 0} onClick={() => move(index, -1)} className="w-5!"><ArrowUp size={13} /></IconButton>
                      <IconButton label={`Move step ${index + 1} down`} disabled={index === state.steps.length - 1} onClick={() => move(index, 1)} className="w-5!"><ArrowDown size={13} /></IconButton>
                    </span>
                  ) : null
                }
              />
            ))}
            {state.steps.length < maximumSteps ? (
              <div>
                <Button
                  look="ghost"
                  small
                  aria-label="Add a step"
                  onClick={() => {
                    setAdded(state.steps.length);
                    put([...state.steps, { events: [] }]);
                  }}
                >
                  <Plus size={14} /> Step
                </Button>
              </div>
            ) : null}
          </Section>
          <Section title="Conversion">
            <Rules state={state} set={set} drop={drop} events={events} />
          </Section>
          <Section title="Break down">
            <BreakdownPicker by={state.by} events={events} onChange={(by) => (by ? set({ by }) : drop('by'))} />
          </Section>
        </>
      }
      toolbar={
        <>
          <RangePicker range={range} calendar={calendar} onChange={(next) => set({ range: next })} />
          <span className="text-[13px] text-muted">of the first step; later ones may follow within the window</span>
        </>
      }
    >
      <Result
        running={report}
        answers={report.data?.answers}
        icon={<Filter size={24} />}
        hint={ready ? undefined : 'Choose the events of at least two steps to see how many users get from one to the next.'}
      >
        {report.data?.answers[0] ? <FunnelView answer={report.data.answers[0]} title={title} {...report.data.input} /> : null}
      </Result>
    </ReportPage>
  );
}

function Rules({
  state, set, drop, events,
}: {
  state: FunnelState;
  set: (part: Partial<FunnelState>) => void;
  drop: (name: keyof FunnelState) => void;
  events: string[];
}) {
  const excluding = state.excluding ?? [];
  const putExclusions = (next: Exclusion[]): void => (next.length > 0 ? set({ excluding: next }) : drop('excluding'));
  return (
    <div className="panel grid gap-2 p-2.5">
      <Line label="Within"><WindowField value={state.within ?? defaultWindow} onChange={(within) => set({ within })} /></Line>
      <Line label="From">
        <Choice
          label="From which step the window is counted"
          className="grow"
          value={state.from ?? 'first'}
          options={[
            { value: 'first', label: 'The first step' },
            { value: 'previous', label: 'The step before' },
          ]}
          onChange={(from) => set({ from })}
        />
      </Line>
      <Line label="Order">
        <Choice
          label="Order of the steps"
          className="grow"
          value={state.order ?? 'loose'}
          options={[
            { value: 'loose', label: 'In this order' },
            { value: 'strict', label: 'With nothing in between' },
            { value: 'any', label: 'In any order' },
          ]}
          onChange={(order) => set({ order })}
        />
      </Line>
      <Line label="Attempts">
        <Choice
          label="Which attempts count"
          className="grow"
          value={state.attempt ?? 'best'}
          options={[
            { value: 'best', label: 'Each user’s best' },
            { value: 'first', label: 'Each user’s first' },
            { value: 'each', label: 'Every attempt' },
          ]}
          onChange={(attempt) => set({ attempt })}
        />
      </Line>
      <Line label="Same">
        <div className="flex min-w-0 flex-wrap items-center gap-1">
          {(state.holding ?? []).map((name) => (
            <span key={name} className="inline-flex h-7 max-w-full items-center rounded-md bg-sunken pl-2">
              <span className="truncate">{name}</span>
              <IconButton
                label={`Let ${name} differ`}
                className="size-6"
                onClick={() => {
                  const rest = (state.holding ?? []).filter((other) => other !== name);
                  if (rest.length > 0) set({ holding: rest });
                  else drop('holding');
                }}
              >
                <X size={12} />
              </IconButton>
            </span>
          ))}
          <PropertyButton
            label="Hold a property constant over all steps"
            title="All steps must agree in this property"
            text={<><Plus size={13} /> Property</>}
            events={events}
            withProfile={false}
            onPick={({ name }) => set({ holding: [...new Set([...(state.holding ?? []), name])] })}
          />
        </div>
      </Line>
      {excluding.map((one, index) => (
        <div key={index} className="grid gap-1 rounded-md bg-sunken p-1.5">
          <div className="flex items-center gap-1">
            <EventPicker
              step={one.step}
              label={`Excluded event ${index + 1}`}
              withAny={false}
              onChange={(step) => putExclusions(excluding.map((old, at) => (at === index ? { ...old, step } : old)))}
            />
            <IconButton label={`Remove exclusion ${index + 1}`} onClick={() => putExclusions(excluding.filter((_, at) => at !== index))}><X size={13} /></IconButton>
          </div>
          <Choice
            quiet
            label={`Effect of exclusion ${index + 1}`}
            value={one.mode}
            options={[
              { value: 'cut', label: 'ends the attempt where it happens' },
              { value: 'drop', label: 'removes the user' },
            ]}
            onChange={(mode) => putExclusions(excluding.map((old, at) => (at === index ? { ...old, mode } : old)))}
          />
        </div>
      ))}
      <div>
        <Button look="ghost" small onClick={() => putExclusions([...excluding, { step: { events: [] }, mode: 'cut' }])}><Plus size={14} /> Excluded event</Button>
      </div>
    </div>
  );
}

function Line({ label, children }: { label: string; children: React.ReactNode }) {
  return (
    <div className="flex min-w-0 items-center gap-2">
      <span className="w-17 shrink-0 text-soft">{label}</span>
      <div className="flex min-w-0 grow items-center gap-1.5">{children}</div>
    </div>
  );
}

const windowUnits = [
  { value: 'm', label: 'minutes' },
  { value: 'h', label: 'hours' },
  { value: 'd', label: 'days' },
  { value: 'w', label: 'weeks' },
] as const;

type WindowUnit = (typeof windowUnits)[number]['value'];

function WindowField({ value, onChange }: { value: string; onChange: (value: string) => void }) {
  const found = /^(\d+)(m|h|d|w)$/.exec(value);
  const amount = found?.[1] ?? '7';
  const unit = (found?.[2] ?? 'd') as WindowUnit;
  const commit = (text: string): void => {
    const count = Math.min(Math.max(1, Math.round(Number(text) || 1)), 5000);
    if (String(count) !== amount) onChange(`${count}${unit}`);
  };
  return (
    <>
      <Input
        key={amount}
        aria-label="Length of the conversion window"
        type="number"
        min={1}
        defaultValue={amount}
        onBlur={(event) => commit(event.target.value)}
        onKeyDown={(event) => event.key === 'Enter' && commit(event.currentTarget.value)}
        className="num w-20!"
      />
      <Choice label="Unit of the conversion window" className="grow" value={unit} options={windowUnits} onChange={(next) => onChange(`${amount}${next}`)} />
    </>
  );
}
