import clsx from 'clsx';
import { ChevronDown, MousePointerClick } from 'lucide-react';
import { useState } from 'react';
import { compact } from '@/lib/format';
import type { Catalog } from '@/lib/types';
import { stepLabel, type StepState } from '@/model/filters';
import { useCatalog } from '@/shell/project';
import { ItemList, pickerClass } from '@/ui/combobox';
import { Popover, PopoverContent, PopoverTrigger } from '@/ui/overlay';

const anyEvent = '\u0000any';

function items(catalog: Catalog | undefined, withAny: boolean) {
  const events = [...(catalog?.events ?? [])].sort((a, b) => b.count - a.count);
  return [
    ...(withAny ? [{ value: anyEvent, label: 'Any event' }] : []),
    ...events.map((event) => ({ value: event.name, label: event.name, detail: compact(event.count) })),
  ];
}

/** Chooses the event of a step. Others may stand for it; they're added with “or”. */
export function EventPicker({
  step, onChange, label, withAny = true, several = true, defaultOpen = false,
}: {
  step: StepState;
  onChange: (step: StepState) => void;
  label: string;
  withAny?: boolean;
  several?: boolean;
  defaultOpen?: boolean;
}) {
  const [open, setOpen] = useState(defaultOpen);
  const [adding, setAdding] = useState(false);
  const catalog = useCatalog();
  const chosen = step.any || step.events.length > 0;
  const list = (close: () => void, pick: (name: string) => void, any: boolean) => (
    <ItemList
      items={items(catalog.data, any)}
      selected={step.any ? [anyEvent] : step.events}
      placeholder="Find an event…"
      empty={catalog.isPending ? 'Loading…' : 'No event has this name.'}
      onPick={(item) => {
        close();
        pick(item.value);
      }}
    />
  );
  return (
    <div className="flex min-w-0 grow items-center gap-1">
      <Popover open={open} onOpenChange={setOpen}>
        <PopoverTrigger aria-label={`${label}: ${stepLabel(step)}`} className={clsx(pickerClass, 'min-w-0 grow')}>
          <MousePointerClick size={14} className="shrink-0 text-accent" aria-hidden="true" />
          <span className={clsx('min-w-0 grow truncate', !chosen && 'text-muted')}>{stepLabel(step)}</span>
          <ChevronDown size={14} className="shrink-0 text-muted" aria-hidden="true" />
        </PopoverTrigger>
        <PopoverContent className="w-80" aria-label={label}>
          {list(() => setOpen(false), (name) => {
            const { any: _, ...rest } = step;
            onChange(name === anyEvent ? { ...rest, events: [], any: true } : { ...rest, events: [name] });
          }, withAny)}
        </PopoverContent>
      </Popover>
      {several && chosen && !step.any ? (
        <Popover open={adding} onOpenChange={setAdding}>
          <PopoverTrigger aria-label={`Or another event for ${label.toLowerCase()}`} title="Or another event" className="h-7 shrink-0 rounded-md px-1.5 text-xs text-muted hover:bg-hover hover:text-text">
            or…
          </PopoverTrigger>
          <PopoverContent className="w-80" aria-label="Or another event">
            {list(() => setAdding(false), (name) => {
              const rest = step.events.filter((event) => event !== name);
              const events = rest.length < step.events.length ? rest : [...step.events, name];
              onChange({ ...step, events });
            }, false)}
          </PopoverContent>
        </Popover>
      ) : null}
    </div>
  );
}
