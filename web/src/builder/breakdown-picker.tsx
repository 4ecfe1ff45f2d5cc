import { Split, User, X } from 'lucide-react';
import type { Breakdown } from '@/model/filters';
import { IconButton } from '@/ui/button';
import { PropertyButton } from './filter-editor';

export function BreakdownPicker({ by, events, onChange }: { by: Breakdown | undefined; events: readonly string[]; onChange: (by: Breakdown | undefined) => void }) {
  if (!by) {
    return <div><PropertyButton label="Break down by a property" text={<><Split size={14} /> Choose a property</>} events={events} onPick={onChange} /></div>;
  }
  return (
    <div className="panel flex items-center gap-1.5 p-2">
      {by.on === 'profile' ? <User size={14} className="text-muted" aria-label="User property" /> : <Split size={14} className="text-muted" aria-hidden="true" />}
      <span className="min-w-0 grow truncate">
        <PropertyButton label={`Break down by ${by.name}; change`} text={by.name} events={events} onPick={onChange} className="text-text!" />
      </span>
      <IconButton label="Remove the breakdown" onClick={() => onChange(undefined)}><X size={14} /></IconButton>
    </div>
  );
}
