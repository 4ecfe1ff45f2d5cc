import { useQuery } from '@tanstack/react-query';
import { ChevronDown } from 'lucide-react';
import { useState } from 'react';
import { api } from '@/lib/api';
import { ItemList, pickerClass } from '@/ui/combobox';
import { Popover, PopoverContent, PopoverTrigger } from '@/ui/overlay';

export function ZonePicker({ value, onChange, id, ...rest }: { value: string; onChange: (zone: string) => void; id?: string }) {
  const [open, setOpen] = useState(false);
  const zones = useQuery({
    queryKey: ['time-zones'],
    queryFn: async () => (await api<{ zones: string[] }>('/v1/time-zones')).zones,
    staleTime: Infinity,
  });
  return (
    <Popover open={open} onOpenChange={setOpen}>
      <PopoverTrigger id={id} {...rest} className={`${pickerClass} w-full`}>
        <span className="grow truncate">{value.replaceAll('_', ' ')}</span>
        <ChevronDown size={14} className="text-muted" aria-hidden="true" />
      </PopoverTrigger>
      <PopoverContent className="w-80" aria-label="Time zone">
        <ItemList
          items={(zones.data ?? []).map((zone) => ({ value: zone, label: zone.replaceAll('_', ' ') }))}
          selected={[value]}
          placeholder="Find a time zone…"
          empty={zones.isError ? 'The time zones could not be loaded.' : undefined}
          onPick={(item) => {
            onChange(item.value);
            setOpen(false);
          }}
        />
      </PopoverContent>
    </Popover>
  );
}
