import clsx from 'clsx';
import { CalendarDays, ChevronDown } from 'lucide-react';
import { useEffect, useState } from 'react';
import { addDays, dateLabel } from '@/lib/time';
import { presets, resolve, type Calendar, type Range } from '@/model/range';
import { typing } from '@/shell/navigation';
import { Button } from '@/ui/button';
import { pickerClass } from '@/ui/combobox';
import { inputClass } from '@/ui/field';
import { Popover, PopoverContent, PopoverTrigger } from '@/ui/overlay';

export function rangeLabel(range: Range, calendar: Calendar): string {
  const preset = presets.find((candidate) => candidate.id === range);
  if (preset) return preset.label;
  const days = /^(\d+)d$/.exec(range);
  if (days) return `Last ${days[1]} days`;
  const hours = /^(\d+)h$/.exec(range);
  if (hours) return `Last ${hours[1]} hours`;
  const dates = resolve(range, calendar);
  return `${dateLabel(dates.since, 'day')} – ${dateLabel(addDays(dates.until, -1), 'day')}`;
}

/** Presets on single letters, as in other tools, and any two days. */
export function RangePicker({ range, calendar, onChange }: { range: Range; calendar: Calendar; onChange: (range: Range) => void }) {
  const [open, setOpen] = useState(false);
  const dates = resolve(range, calendar);
  const [custom, setCustom] = useState<{ since: string; until: string } | null>(null);
  const since = custom?.since ?? dates.since;
  const until = custom?.until ?? addDays(dates.until, -1);

  useEffect(() => {
    const key = (event: KeyboardEvent): void => {
      const preset = typing(event) ? undefined : presets.find((candidate) => candidate.key === event.key);
      if (preset) onChange(preset.id);
    };
    window.addEventListener('keydown', key);
    return () => window.removeEventListener('keydown', key);
  }, [onChange]);

  const pick = (next: Range): void => {
    setOpen(false);
    setCustom(null);
    onChange(next);
  };
  return (
    <Popover open={open} onOpenChange={setOpen}>
      <PopoverTrigger aria-label={`Time range: ${rangeLabel(range, calendar)}`} className={pickerClass}>
        <CalendarDays size={14} className="shrink-0 text-muted" aria-hidden="true" />
        <span className="num truncate">{rangeLabel(range, calendar)}</span>
        <ChevronDown size={14} className="shrink-0 text-muted" aria-hidden="true" />
      </PopoverTrigger>
      <PopoverContent className="w-76 p-1" aria-label="Time range">
        <ul>
          {presets.map((preset) => (
            <li key={preset.id}>
              <button
                type="button"
                onClick={() => pick(preset.id)}
                className={clsx('flex h-7.5 w-full items-center rounded-md px-2 text-left hover:bg-hover', preset.id === range && 'font-medium text-accent')}
              >
                <span className="grow">{preset.label}</span>
                <kbd className="font-sans text-xs text-muted uppercase">{preset.key}</kbd>
              </button>
            </li>
          ))}
        </ul>
        <form
          className="mt-1 grid gap-2 border-t border-line p-2"
          onSubmit={(event) => {
            event.preventDefault();
            pick(`${since}..${until}`);
          }}
        >
          <div className="grid grid-cols-2 gap-2">
            <label className="grid min-w-0 gap-1 text-xs text-muted">
              From
              <input type="date" required value={since} onChange={(event) => setCustom({ since: event.target.value, until })} className={inputClass} />
            </label>
            <label className="grid min-w-0 gap-1 text-xs text-muted">
              To
              <input type="date" required value={until} onChange={(event) => setCustom({ since, until: event.target.value })} className={inputClass} />
            </label>
          </div>
          <div className="flex items-center gap-2">
            <span className="grow text-xs text-muted">Days of {calendar.zone.replaceAll('_', ' ')}</span>
            <Button type="submit" look="primary" small disabled={!since || !until}>Apply</Button>
          </div>
        </form>
      </PopoverContent>
    </Popover>
  );
}
