import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { X } from 'lucide-react';
import { useId, useState, type FormEvent } from 'react';
import { toast } from 'sonner';
import { Panel } from '@/builder/report-page';
import { api, ApiError, messageOf } from '@/lib/api';
import { changesOf, type Rules } from '@/model/rules';
import { useCatalog, useProject } from '@/shell/project';
import { Button } from '@/ui/button';
import { Field, Input } from '@/ui/field';
import { Failure, Loading } from '@/ui/state';

const limitLabels: Record<string, string> = {
  event_types: 'Event types',
  properties: 'Names of properties',
  profile_properties: 'Properties of profiles',
  properties_per_event: 'Properties of one event',
  items_per_event: 'Items of one event',
  name_bytes: 'Bytes of a name',
  string_bytes: 'Bytes of a text value',
  list_items: 'Items of a list value',
  identity_bytes: 'Bytes of an identity',
};

/** What the project accepts and how it treats it: shown, changed, and put back. */
export function ProjectRules() {
  const { project } = useProject();
  const rules = useQuery({
    queryKey: ['settings', project.id],
    queryFn: ({ signal }) => api<Rules>('/v1/settings', { signal }),
  });
  if (rules.isPending) return <Panel title="Events and people"><Loading rows={5} /></Panel>;
  if (rules.error) {
    const isForbidden = rules.error instanceof ApiError && rules.error.status === 403;
    return (
      <Panel title="Events and people">
        {isForbidden ? <p className="text-soft">Only those who manage the project see its rules.</p> : (
          <Failure error={rules.error} onRetry={() => void rules.refetch()} title="The rules could not be loaded" />
        )}
      </Panel>
    );
  }
  return <RulesForm key={rules.dataUpdatedAt} kept={rules.data} />;
}

function RulesForm({ kept }: { kept: Rules }) {
  const { project } = useProject();
  const client = useQueryClient();
  const [draft, setDraft] = useState(kept);
  const changes = changesOf(kept, draft);
  const isChanged = Object.keys(changes).length > 0;
  const queryKey = ['settings', project.id];
  const write = (body: Partial<Record<string, unknown>>): Promise<Rules> => api<Rules>('/v1/settings', { method: 'PATCH', body });
  const save = useMutation({
    mutationFn: () => write(changes),
    onSuccess: (now) => {
      const back = changesOf(now, kept);
      client.setQueryData(queryKey, now);
      toast.success('The rules were changed.', {
        action: {
          label: 'Undo',
          onClick: () => void write(back).then((before) => client.setQueryData(queryKey, before), (error: unknown) => toast.error(messageOf(error))),
        },
      });
    },
  });
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    save.mutate();
  };
  return (
    <Panel title="Events and people">
      <form onSubmit={submit} className="grid gap-5">
        <label className="flex items-baseline gap-2">
          <input
            type="checkbox"
            className="accent-(--accent)"
            checked={draft.join_existing}
            onChange={(event) => setDraft({ ...draft, join_existing: event.target.checked })}
          />
          <span>
            <span className="font-medium">A login joins the device's anonymous history, even when the person was known before.</span>{' '}
            <span className="text-muted">At the first login of a new person it always does.</span>
          </span>
        </label>
        <div className="max-w-xs">
          <Field label="Days in which an event id counts once" hint="1 to 365">
            {(props) => (
              <Input {...props} type="number" required min={1} max={365} value={draft.dedup_days || ''}
                onChange={(event) => setDraft({ ...draft, dedup_days: event.target.valueAsNumber || 0 })} />
            )}
          </Field>
        </div>
        <Discarded names={draft.discarded_events} onChange={(discarded_events) => setDraft({ ...draft, discarded_events })} />
        <fieldset>
          <legend className="mb-2 font-medium text-soft">At most</legend>
          <div className="grid gap-3 sm:grid-cols-2 lg:grid-cols-3">
            {Object.entries(draft.limits).map(([name, limit]) => (
              <Field key={name} label={limitLabels[name] ?? name} hint={`1 to ${limit.most.toLocaleString('en')}`}>
                {(props) => (
                  <Input {...props} type="number" required min={1} max={limit.most} value={limit.value || ''}
                    onChange={(event) => setDraft({ ...draft, limits: { ...draft.limits, [name]: { ...limit, value: event.target.valueAsNumber || 0 } } })} />
                )}
              </Field>
            ))}
          </div>
          <p className="mt-2 text-[13px] text-muted">A lower limit refuses what comes from then on; nothing that is there goes.</p>
        </fieldset>
        {save.error ? <p role="alert" className="rounded-md bg-bad-soft px-3 py-2 text-bad">{messageOf(save.error)}</p> : null}
        <div className="flex justify-end gap-2">
          <Button disabled={!isChanged || save.isPending} onClick={() => setDraft(kept)}>Reset</Button>
          <Button type="submit" look="primary" disabled={!isChanged || save.isPending}>{save.isPending ? 'Saving…' : 'Save'}</Button>
        </div>
      </form>
    </Panel>
  );
}

function Discarded({ names, onChange }: { names: string[]; onChange: (names: string[]) => void }) {
  const [name, setName] = useState('');
  const catalog = useCatalog();
  const listId = useId();
  const add = (): void => {
    const wanted = name.trim();
    if (wanted && !names.includes(wanted)) onChange([...names, wanted]);
    setName('');
  };
  return (
    <div className="grid gap-2">
      <span className="font-medium text-soft">Events that are turned away</span>
      {names.length > 0 ? (
        <ul className="flex flex-wrap gap-2">
          {names.map((one) => (
            <li key={one} className="flex items-center gap-1 rounded-md bg-sunken py-0.5 pr-1 pl-2">
              {one}
              <button type="button" aria-label={`Accept ${one} again`} className="rounded p-0.5 hover:bg-line" onClick={() => onChange(names.filter((other) => other !== one))}>
                <X size={14} />
              </button>
            </li>
          ))}
        </ul>
      ) : <p className="text-[13px] text-muted">None: every event is accepted.</p>}
      <div className="flex max-w-sm gap-2">
        <Input
          aria-label="Name of an event to turn away"
          placeholder="Name of an event"
          list={listId}
          maxLength={1024}
          value={name}
          onChange={(event) => setName(event.target.value)}
          onKeyDown={(event) => {
            if (event.key !== 'Enter') return;
            event.preventDefault(); // the form isn't sent by it
            add();
          }}
        />
        <datalist id={listId}>{catalog.data?.events.map((event) => <option key={event.name} value={event.name} />)}</datalist>
        <Button onClick={add} disabled={!name.trim()}>Turn away</Button>
      </div>
    </div>
  );
}
