import { ListFilter, Plus, User, X } from 'lucide-react';
import { useRef, useState } from 'react';
import { useCatalog } from '@/shell/project';
import { operatorOf, operators, type FilterGroup, type FilterRow } from '@/model/filters';
import { Button, IconButton } from '@/ui/button';
import { Choice } from '@/ui/choice';
import { ItemList } from '@/ui/combobox';
import { Popover, PopoverContent, PopoverTrigger } from '@/ui/overlay';
import { isNumeric, propertyItems, type Subject } from './properties';
import { ValuePicker } from './value-picker';

/** Lines of `property operator value`, joined by all or any. */
export function FilterEditor({
  group, onChange, events, label = 'Filter', compact,
}: {
  group: FilterGroup | undefined;
  onChange: (group: FilterGroup | undefined) => void;
  events: readonly string[];
  label?: string;
  compact?: boolean;
}) {
  const catalog = useCatalog();
  const rows = group?.rows ?? [];
  const match = group?.match ?? 'all';
  const put = (next: FilterRow[]): void => onChange(next.length > 0 ? { match, rows: next } : undefined);
  const add = (subject: Subject): void => {
    const numeric = isNumeric(catalog.data, subject, events);
    put([...rows, { on: subject.on, name: subject.name, op: numeric ? 'gt' : 'is', values: [] }]);
  };
  return (
    <div className="grid gap-1.5">
      {rows.map((row, index) => (
        <div key={index} className="flex flex-wrap items-center gap-1 rounded-md bg-sunken p-1">
          {index > 0 ? (
            <button
              type="button"
              onClick={() => onChange({ match: match === 'all' ? 'any' : 'all', rows })}
              title="Switch between and / or"
              className="rounded px-1.5 text-xs font-medium text-accent hover:bg-hover"
            >
              {match === 'all' ? 'and' : 'or'}
            </button>
          ) : null}
          <Row
            row={row}
            events={events}
            onChange={(next) => put(rows.map((old, at) => (at === index ? next : old)))}
            onRemove={() => put(rows.filter((_, at) => at !== index))}
          />
        </div>
      ))}
      <div>
        <PropertyButton
          label={rows.length > 0 ? 'Add another filter' : label}
          text={rows.length > 0 ? <><Plus size={14} /> Filter</> : <><ListFilter size={14} /> {label}</>}
          events={events}
          onPick={add}
          small={compact}
          leadsOn
        />
      </div>
    </div>
  );
}

function Row({
  row, events, onChange, onRemove,
}: {
  row: FilterRow;
  events: readonly string[];
  onChange: (row: FilterRow) => void;
  onRemove: () => void;
}) {
  const catalog = useCatalog();
  const numeric = isNumeric(catalog.data, row, events);
  const fitting = operators.filter((operator) => operator.id === row.op || (numeric ? !operator.text : true));
  return (
    <>
      <span className="inline-flex min-w-0 items-center gap-1 px-1 font-medium">
        {row.on === 'profile' ? <User size={12} className="shrink-0 text-muted" aria-label="User property" /> : null}
        <span className="truncate">{row.name}</span>
      </span>
      <Choice
        quiet
        label={`Operator of ${row.name}`}
        value={row.op}
        options={fitting.map((operator) => ({ value: operator.id, label: operator.label }))}
        onChange={(op) => {
          const takes = operatorOf(op).takes;
          onChange({ ...row, op, values: takes === 0 ? [] : takes === 1 ? row.values.slice(0, 1) : row.values });
        }}
        className="h-7"
      />
      <ValuePicker row={row} events={events} numeric={numeric} onChange={(values) => onChange({ ...row, values })} />
      <span className="grow" />
      <IconButton label={`Remove the filter on ${row.name}`} onClick={onRemove} className="size-6"><X size={13} /></IconButton>
    </>
  );
}

export function PropertyButton({
  label, text, events, onPick, withProfile = true, small = true, numericOnly, className, title, leadsOn,
}: {
  label: string;
  text: React.ReactNode;
  events: readonly string[];
  onPick: (subject: Subject) => void;
  withProfile?: boolean;
  small?: boolean;
  numericOnly?: boolean;
  className?: string;
  title?: string;
  /** What is picked opens the next thing to fill in, which then has the focus. */
  leadsOn?: boolean;
}) {
  const [open, setOpen] = useState(false);
  const picked = useRef(false);
  const catalog = useCatalog();
  const all = propertyItems(catalog.data, events, withProfile);
  const items = numericOnly ? all.filter((item) => isNumeric(catalog.data, item, events)) : all;
  return (
    <Popover open={open} onOpenChange={setOpen}>
      <PopoverTrigger asChild>
        <Button look="ghost" small={small} aria-label={label} title={title} className={className}>{text}</Button>
      </PopoverTrigger>
      <PopoverContent
        className="w-80"
        aria-label={label}
        onCloseAutoFocus={(event) => {
          if (leadsOn && picked.current) event.preventDefault();
          picked.current = false;
        }}
      >
        <ItemList
          items={items}
          placeholder="Find a property…"
          empty={catalog.isPending ? 'Loading…' : 'No property has this name.'}
          onPick={(item) => {
            picked.current = true;
            setOpen(false);
            const found = items.find((candidate) => candidate.value === item.value);
            if (found) onPick({ on: found.on, name: found.name });
          }}
        />
      </PopoverContent>
    </Popover>
  );
}
