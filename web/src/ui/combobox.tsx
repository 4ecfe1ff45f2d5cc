import clsx from 'clsx';
import { Command } from 'cmdk';
import { Check } from 'lucide-react';
import { useState, type ReactNode } from 'react';
import { Popover, PopoverContent, PopoverTrigger } from './overlay';

export interface Item {
  value: string;
  label: string;
  detail?: string;
  group?: string;
}

export const commandInput = 'h-9 w-full border-b border-line bg-transparent px-3 outline-none placeholder:text-muted';
const commandItem =
  'flex min-h-8 cursor-default items-center gap-2 rounded-md px-2 py-1 select-none data-[selected=true]:bg-hover data-[disabled=true]:opacity-50';

/** The searchable list in the pop-over of a Combobox; also used alone. */
export function ItemList({
  items, selected, onPick, placeholder, search, onSearch, empty, free,
}: {
  items: readonly Item[];
  selected?: readonly string[];
  onPick: (item: Item) => void;
  placeholder: string;
  /** When given, the list is searched by the caller (on the server). */
  search?: string;
  onSearch?: (text: string) => void;
  empty?: ReactNode;
  /** Lets what was typed be chosen as it is. */
  free?: (text: string) => Item | null;
}) {
  const [own, setOwn] = useState('');
  const text = search ?? own;
  const groups = new Map<string, Item[]>();
  for (const item of items) groups.set(item.group ?? '', [...(groups.get(item.group ?? '') ?? []), item]);
  const typed = free && text.trim() !== '' ? free(text.trim()) : null;
  const extra = typed && !items.some((item) => item.value === typed.value) ? typed : null;
  const row = (item: Item, label: ReactNode) => (
    <Command.Item key={`${item.group ?? ''}${item.value}`} value={`${item.label} ${item.group ?? ''} ${item.value}`} onSelect={() => onPick(item)} className={commandItem}>
      {selected ? <span className="w-4 shrink-0">{selected.includes(item.value) ? <Check size={14} className="text-accent" /> : null}</span> : null}
      <span className="min-w-0 grow break-words">{label}</span>
      {item.detail ? <span className="num shrink-0 text-xs text-muted">{item.detail}</span> : null}
    </Command.Item>
  );
  return (
    <Command label={placeholder} shouldFilter={onSearch === undefined} loop>
      <Command.Input autoFocus value={text} onValueChange={onSearch ?? setOwn} placeholder={placeholder} className={commandInput} />
      <Command.List className="max-h-72 overflow-y-auto p-1">
        <Command.Empty className="px-3 py-6 text-center text-muted">{empty ?? 'Nothing found.'}</Command.Empty>
        {[...groups].map(([name, list]) =>
          name ? (
            <Command.Group key={name} heading={name} className="[&_[cmdk-group-heading]]:px-2 [&_[cmdk-group-heading]]:py-1.5 [&_[cmdk-group-heading]]:text-xs [&_[cmdk-group-heading]]:text-muted">
              {list.map((item) => row(item, item.label))}
            </Command.Group>
          ) : (
            list.map((item) => row(item, item.label))
          ),
        )}
        {extra ? row(extra, <>Use “{extra.label}”</>) : null}
      </Command.List>
    </Command>
  );
}

export function Combobox({
  label, text, items, value, onPick, placeholder = 'Search…', trigger, empty, defaultOpen, className,
}: {
  label: string;
  text: ReactNode;
  items: readonly Item[];
  value?: string;
  onPick: (item: Item) => void;
  placeholder?: string;
  trigger?: string;
  empty?: ReactNode;
  defaultOpen?: boolean;
  className?: string;
}) {
  const [open, setOpen] = useState(defaultOpen ?? false);
  return (
    <Popover open={open} onOpenChange={setOpen}>
      <PopoverTrigger aria-label={label} className={clsx(trigger ?? pickerClass, className)}>{text}</PopoverTrigger>
      <PopoverContent className="w-80" aria-label={label}>
        <ItemList
          items={items}
          selected={value === undefined ? undefined : [value]}
          placeholder={placeholder}
          empty={empty}
          onPick={(item) => {
            setOpen(false);
            onPick(item);
          }}
        />
      </PopoverContent>
    </Popover>
  );
}

export const pickerClass =
  'inline-flex h-8 min-w-0 max-w-full items-center gap-1.5 rounded-md border border-line-strong/70 bg-panel px-2.5 text-left ' +
  'shadow-panel transition-colors hover:bg-hover';
