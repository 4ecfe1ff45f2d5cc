import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { cell, compact } from '@/lib/format';
import { valuesOf, type Value } from '@/lib/values';
import { operatorOf, type FilterRow } from '@/model/filters';
import type { Scalar } from '@/model/tree';
import { useCatalog, useProject } from '@/shell/project';
import { ItemList } from '@/ui/combobox';
import { inputClass } from '@/ui/field';
import { Popover, PopoverContent, PopoverTrigger } from '@/ui/overlay';

/** What was typed, as the property's own type. */
function typed(text: string, numeric: boolean): Scalar {
  return numeric && text.trim() !== '' && Number.isFinite(Number(text)) ? Number(text) : text;
}

export function ValuePicker({
  row, events, numeric, onChange,
}: {
  row: FilterRow;
  events: readonly string[];
  numeric: boolean;
  onChange: (values: Scalar[]) => void;
}) {
  const operator = operatorOf(row.op);
  if (operator.takes === 0) return null;
  if (operator.takes === 'many') return <Values row={row} events={events} numeric={numeric} onChange={onChange} />;
  const count = operator.takes;
  return (
    <span className="inline-flex items-center gap-1">
      {Array.from({ length: count }, (_, index) => (
        <span key={index} className="inline-flex items-center gap-1">
          {index > 0 ? <span className="text-xs text-muted">and</span> : null}
          <DraftInput
            label={`Value of ${row.name}${count > 1 ? (index === 0 ? ', from' : ', to') : ''}`}
            numeric={numeric || Boolean(operator.numeric)}
            value={row.values[index]}
            onCommit={(value) => {
              const next: Scalar[] = Array.from({ length: count }, (_unused, at) => row.values[at] ?? '');
              next[index] = value;
              onChange(next);
            }}
          />
        </span>
      ))}
    </span>
  );
}

/** Takes over on Enter or when left, so that not every letter asks the server. */
function DraftInput({ label, numeric, value, onCommit }: { label: string; numeric: boolean; value: Scalar | undefined; onCommit: (value: Scalar) => void }) {
  const [text, setText] = useState<string | null>(null);
  const shown = text ?? String(value ?? '');
  const commit = (): void => {
    if (text !== null && text !== String(value ?? '')) onCommit(typed(text, numeric));
    setText(null);
  };
  return (
    <input
      aria-label={label}
      value={shown}
      inputMode={numeric ? 'decimal' : 'text'}
      placeholder={numeric ? '0' : 'text'}
      onChange={(event) => setText(event.target.value)}
      onBlur={commit}
      onKeyDown={(event) => {
        if (event.key === 'Enter') commit();
      }}
      autoFocus={value === undefined}
      className={`${inputClass} h-7! w-24!`}
    />
  );
}

function Values({ row, events, numeric, onChange }: { row: FilterRow; events: readonly string[]; numeric: boolean; onChange: (values: Scalar[]) => void }) {
  const { project } = useProject();
  const [open, setOpen] = useState(row.values.length === 0);
  const [text, setText] = useState('');
  const catalog = useCatalog();
  const values = useQuery<Value[]>({
    queryKey: ['values', project.id, row.on, row.name, events, text],
    enabled: open,
    staleTime: 60_000,
    placeholderData: (before) => before,
    queryFn: ({ signal }) => valuesOf(row, events, text, catalog.data, signal),
  });
  const known = (values.data ?? []).filter((item) => item.value !== null && typeof item.value !== 'object');
  const toggle = (value: Scalar): void =>
    onChange(row.values.includes(value) ? row.values.filter((other) => other !== value) : [...row.values, value]);
  const label = row.values.length === 0 ? 'choose…' : row.values.length <= 2 ? row.values.map((value) => cell(value)).join(', ') : `${row.values.length} values`;
  return (
    <Popover open={open} onOpenChange={setOpen}>
      <PopoverTrigger aria-label={`Values of ${row.name}: ${label}`} className="h-7 max-w-48 truncate rounded-md border border-line-strong/70 bg-panel px-2 hover:bg-hover">
        {label}
      </PopoverTrigger>
      <PopoverContent className="w-72" aria-label={`Values of ${row.name}`}>
        <ItemList
          items={known.map((item) => ({ value: JSON.stringify(item.value), label: cell(item.value), detail: compact(item.count) }))}
          selected={row.values.map((value) => JSON.stringify(value))}
          placeholder="Find or type a value…"
          search={text}
          onSearch={setText}
          empty={values.isPending ? 'Loading…' : values.isError ? 'The values could not be loaded; type one.' : 'No such value so far.'}
          free={(input) => ({ value: JSON.stringify(typed(input, numeric)), label: input })}
          onPick={(item) => toggle(JSON.parse(item.value) as Scalar)}
        />
      </PopoverContent>
    </Popover>
  );
}
