import { X } from 'lucide-react';
import type { ReactNode } from 'react';
import type { StepState } from '@/model/filters';
import { IconButton } from '@/ui/button';
import { EventPicker } from './event-picker';
import { FilterEditor } from './filter-editor';

/** An event with its filters: a step of a funnel, a series of a trend, a side of a retention. */
export function StepEditor<S extends StepState>({
  mark, label, step, onChange, onRemove, children, tools, withAny, defaultOpen,
}: {
  mark?: ReactNode;
  label: string;
  step: S;
  onChange: (step: S) => void;
  onRemove?: () => void;
  children?: ReactNode;
  tools?: ReactNode;
  withAny?: boolean;
  defaultOpen?: boolean;
}) {
  return (
    <div className="panel grid gap-1.5 p-2">
      <div className="flex min-w-0 items-center gap-1.5">
        {mark}
        <EventPicker
          step={step}
          label={label}
          withAny={withAny}
          defaultOpen={defaultOpen}
          onChange={(next) => {
            const { any: _, ...rest } = step;
            onChange({ ...(rest as S), ...next });
          }}
        />
        {tools}
        {onRemove ? <IconButton label={`Remove ${label.toLowerCase()}`} onClick={onRemove}><X size={14} /></IconButton> : null}
      </div>
      {children}
      <FilterEditor
        group={step.filters}
        events={step.events}
        onChange={(filters) => {
          const { filters: _, ...rest } = step;
          onChange((filters ? { ...rest, filters } : rest) as S);
        }}
      />
    </div>
  );
}

export function Mark({ children, colour }: { children: ReactNode; colour?: string }) {
  return (
    <span
      aria-hidden="true"
      className="num grid size-5.5 shrink-0 place-items-center rounded-md bg-accent-soft text-xs font-semibold text-accent"
      style={colour ? { background: `color-mix(in srgb, ${colour} 16%, transparent)`, color: colour } : undefined}
    >
      {children}
    </span>
  );
}

export function Section({ title, children, tools }: { title: string; children: ReactNode; tools?: ReactNode }) {
  return (
    <section className="grid gap-2">
      <div className="flex h-6 items-center gap-2">
        <h2 className="grow text-[13px] font-medium text-muted">{title}</h2>
        {tools}
      </div>
      {children}
    </section>
  );
}
