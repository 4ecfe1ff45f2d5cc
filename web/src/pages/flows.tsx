import { Plus, Workflow, X } from 'lucide-react';
import { useMemo, type ReactNode } from 'react';
import { EventPicker } from '@/builder/event-picker';
import { PropertyButton } from '@/builder/filter-editor';
import { RangePicker } from '@/builder/range-picker';
import { Ready } from '@/builder/ready';
import { ReportPage, Result } from '@/builder/report-page';
import { SaveReport, useReportTitle } from '@/builder/save-report';
import { Mark, Section, StepEditor } from '@/builder/step-editor';
import { useReport } from '@/lib/ask';
import { useUrlState } from '@/lib/url-state';
import { defaultSteps, flowReady, flowTree, maximumSteps, type Expansion, type FlowState } from '@/model/flow';
import { calendarOf, defaultRange, resolve, type Calendar } from '@/model/range';
import { Button, IconButton } from '@/ui/button';
import { Choice } from '@/ui/choice';
import { FlowView } from '@/views/flow-view';

export default function Flows() {
  return <Ready title="Flows">{(_, calendar) => <Builder calendar={calendar} />}</Ready>;
}

const empty: FlowState = { start: { events: [] } };

const windows = [
  { value: 'range', label: 'The whole range' },
  { value: '30m', label: '30 minutes' },
  { value: '1h', label: '1 hour' },
  { value: '6h', label: '6 hours' },
  { value: '1d', label: '1 day' },
  { value: '7d', label: '7 days' },
  { value: '30d', label: '30 days' },
] as const;

function Builder({ calendar: project }: { calendar: Calendar }) {
  const title = useReportTitle('Flows');
  const [stored, setState] = useUrlState<FlowState>();
  const state = stored && stored.start && Array.isArray(stored.start.events) ? stored : empty;
  const set = (part: Partial<FlowState>): void => setState({ ...state, ...part });
  const drop = (name: keyof FlowState): void => {
    const next = { ...state };
    delete next[name];
    setState(next);
  };
  const calendar = useMemo(() => calendarOf(project, state.start.events), [project, state.start]);
  const range = state.range ?? defaultRange(calendar);
  const dates = useMemo(() => resolve(range, calendar), [range, calendar]);
  const ready = flowReady(state);
  const trees = useMemo(() => (ready ? [flowTree(state, dates)] : null), [ready, state, dates]);
  const input = useMemo(() => ({ state }), [state]);
  const report = useReport('flow', input, trees);
  const backwards = state.direction === 'to';

  return (
    <ReportPage
      title={title}
      ready={ready}
      actions={<SaveReport draft={trees?.[0] ? { kind: 'flow', query: trees[0], view: { page: 'flows', state } } : null} />}
      builder={
        <>
          <Section title={backwards ? 'Before users did' : 'After users did'}>
            <StepEditor mark={<Mark>{backwards ? 'Z' : 'A'}</Mark>} label={backwards ? 'Last event' : 'First event'} step={state.start} onChange={(start) => set({ start })}>
              <Choice
                quiet
                label="Direction of the flow"
                value={state.direction ?? 'from'}
                options={[
                  { value: 'from', label: 'and what they did next' },
                  { value: 'to', label: 'and what they did before' },
                ]}
                onChange={(direction) => (direction === 'to' ? set({ direction }) : drop('direction'))}
              />
            </StepEditor>
          </Section>
          <Section title="Path"><Path state={state} set={set} drop={drop} /></Section>
          <Section title="Events on the way"><Shown state={state} set={set} drop={drop} /></Section>
          <Section title="Values instead of events"><Expansions list={state.expand ?? []} onChange={(expand) => (expand.length > 0 ? set({ expand }) : drop('expand'))} /></Section>
        </>
      }
      toolbar={
        <>
          <RangePicker range={range} calendar={calendar} onChange={(next) => set({ range: next })} />
          <span className="text-[13px] text-muted">each user once, {backwards ? 'back from their last time' : 'from their first time'} in the range</span>
        </>
      }
    >
      <Result
        running={report}
        answers={report.data?.answers}
        icon={<Workflow size={24} />}
        hint={ready ? undefined : 'Choose an event to see what users did after it, or before it.'}
      >
        {report.data?.answers[0] ? <FlowView answer={report.data.answers[0]} title={title} {...report.data.input} /> : null}
      </Result>
    </ReportPage>
  );
}

interface Part {
  state: FlowState;
  set: (part: Partial<FlowState>) => void;
  drop: (name: keyof FlowState) => void;
}

function Line({ label, children }: { label: string; children: ReactNode }) {
  return (
    <div className="flex min-w-0 items-center gap-2">
      <span className="w-17 shrink-0 text-soft">{label}</span>
      <div className="flex min-w-0 grow items-center gap-1.5">{children}</div>
    </div>
  );
}

function Path({ state, set, drop }: Part) {
  const window = state.within ?? 'range';
  const choices = windows.some(({ value }) => value === window) ? windows : [...windows, { value: window, label: window }];
  return (
    <div className="panel grid gap-2 p-2.5">
      <Line label="Steps">
        <Choice
          label="How many steps"
          className="grow"
          value={String(state.steps ?? defaultSteps)}
          options={Array.from({ length: maximumSteps }, (_, index) => ({ value: String(index + 1), label: index === 0 ? '1 step' : `${index + 1} steps` }))}
          onChange={(count) => (Number(count) === defaultSteps ? drop('steps') : set({ steps: Number(count) }))}
        />
      </Line>
      <Line label="Within">
        <Choice label="How far from the event" className="grow" value={window} options={choices} onChange={(next) => (next === 'range' ? drop('within') : set({ within: next }))} />
      </Line>
      <Line label="Repeats">
        <Choice
          label="The same event again at once"
          className="grow"
          value={state.collapse ? 'one' : 'each'}
          options={[
            { value: 'each', label: 'Each is a step' },
            { value: 'one', label: 'Are one step' },
          ]}
          onChange={(value) => (value === 'one' ? set({ collapse: true }) : drop('collapse'))}
        />
      </Line>
    </div>
  );
}

function Shown({ state, set, drop }: Part) {
  const { show } = state;
  return (
    <div className="panel grid gap-2 p-2.5">
      <Choice
        label="Which events are shown"
        value={show?.mode ?? 'all'}
        options={[
          { value: 'all', label: 'All events' },
          { value: 'hide', label: 'All but some' },
          { value: 'keep', label: 'Only some' },
        ]}
        onChange={(mode) => (mode === 'all' ? drop('show') : set({ show: { mode, events: show?.events ?? [] } }))}
      />
      {show ? (
        <EventPicker
          step={{ events: show.events }}
          label={show.mode === 'hide' ? 'Hidden events' : 'Shown events'}
          withAny={false}
          onChange={({ events }) => set({ show: { ...show, events } })}
        />
      ) : null}
    </div>
  );
}

function Expansions({ list, onChange }: { list: Expansion[]; onChange: (list: Expansion[]) => void }) {
  const put = (index: number, part: Partial<Expansion>): void => onChange(list.map((old, at) => (at === index ? { ...old, ...part } : old)));
  return (
    <div className="grid gap-2">
      {list.map((one, index) => (
        <div key={index} className="panel grid gap-1.5 p-2">
          <div className="flex min-w-0 items-center gap-1">
            <EventPicker
              step={{ events: one.event ? [one.event] : [] }}
              label={`Split event ${index + 1}`}
              withAny={false}
              several={false}
              defaultOpen={!one.event}
              onChange={({ events }) => put(index, { event: events[0] ?? '', property: '' })}
            />
            <IconButton label={`Don’t split event ${index + 1}`} onClick={() => onChange(list.filter((_, at) => at !== index))}><X size={13} /></IconButton>
          </div>
          {one.event ? (
            <div className="flex min-w-0 items-center gap-2 pl-1 text-soft">
              by
              <PropertyButton
                label={`Property that stands for ${one.event}`}
                title="Its values stand for the event"
                text={one.property || 'Property'}
                events={[one.event]}
                withProfile={false}
                onPick={({ name }) => put(index, { property: name })}
              />
            </div>
          ) : null}
        </div>
      ))}
      <div>
        <Button look="ghost" small onClick={() => onChange([...list, { event: '', property: '' }])}><Plus size={14} /> Split an event by a property</Button>
      </div>
    </div>
  );
}
