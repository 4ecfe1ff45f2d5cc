import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { KeyRound, Plus } from 'lucide-react';
import { useState, type FormEvent } from 'react';
import { toast } from 'sonner';
import { useLocation, useSearchParams } from 'wouter';
import { ZonePicker } from '@/builder/zone-picker';
import { Panel } from '@/builder/report-page';
import { api, messageOf } from '@/lib/api';
import { ago } from '@/lib/time';
import type { ApiClient, Project } from '@/lib/types';
import { PageHead } from '@/shell/frame';
import { href } from '@/shell/navigation';
import { useProject } from '@/shell/project';
import { Button, Segmented } from '@/ui/button';
import { Field, Input } from '@/ui/field';
import { Confirm, Dialog } from '@/ui/overlay';
import { Empty, Failure, Loading } from '@/ui/state';
import { ProjectRules } from '@/views/project-rules';
import { CopyButton, SendExamples, type Credentials } from '@/views/send-examples';

const tabs = [
  { value: 'clients', label: 'API clients' },
  { value: 'send', label: 'Send events' },
  { value: 'project', label: 'Project' },
] as const;

type Tab = (typeof tabs)[number]['value'];

export default function Settings() {
  const [params, setParams] = useSearchParams();
  const tab: Tab = tabs.find((candidate) => candidate.value === params.get('tab'))?.value ?? 'clients';
  return (
    <>
      <PageHead title="Settings" />
      <div className="grid max-w-4xl gap-5 px-4 pb-10 sm:px-6">
        <div><Segmented label="Section" value={tab} options={tabs} onChange={(next) => setParams({ tab: next })} /></div>
        {tab === 'clients' ? <Clients /> : tab === 'send' ? <SendExamples /> : <ProjectSettings asking={params.get('new') === '1'} />}
      </div>
    </>
  );
}

const scopes = [
  { id: 'ingest', label: 'Ingest', text: 'send events and profiles' },
  { id: 'query', label: 'Query', text: 'ask questions and read reports' },
  { id: 'people', label: 'People', text: 'read and change single users' },
  { id: 'manage', label: 'Manage', text: 'change reports, clients and settings' },
] as const;

function Clients() {
  const { project } = useProject();
  const client = useQueryClient();
  const [making, setMaking] = useState(false);
  const [made, setMade] = useState<Credentials | null>(null);
  const [revoking, setRevoking] = useState<ApiClient | null>(null);
  const queryKey = ['api-clients', project.id];
  const clients = useQuery({
    queryKey,
    queryFn: async ({ signal }) => {
      const body = await api<{ clients?: ApiClient[]; api_clients?: ApiClient[] }>('/v1/api-clients', { signal });
      return body.clients ?? body.api_clients ?? [];
    },
  });
  const revoke = useMutation({
    mutationFn: (one: ApiClient) => api(`/v1/api-clients/${encodeURIComponent(one.id)}`, { method: 'DELETE' }),
    onSuccess: (_, one) => {
      toast.success(`“${one.name}” was revoked.`);
      return client.invalidateQueries({ queryKey });
    },
    onError: (error) => void toast.error(messageOf(error)),
  });
  return (
    <>
      <Panel
        title="API clients"
        tools={<Button look="primary" small onClick={() => setMaking(true)}><Plus size={14} /> New client</Button>}
        flush
      >
        {clients.isPending ? <div className="p-5"><Loading rows={3} /></div> : clients.error ? (
          <Failure error={clients.error} onRetry={() => void clients.refetch()} title="The clients could not be loaded" />
        ) : clients.data.length === 0 ? (
          <Empty icon={<KeyRound size={24} />} title="No clients yet" action={<Button look="primary" onClick={() => setMaking(true)}>Make the first one</Button>}>
            A client lets a program send events or ask questions. Give each program its own.
          </Empty>
        ) : (
          <ul>
            {clients.data.map((one) => (
              <li key={one.id} className="flex flex-wrap items-center gap-x-4 gap-y-1 border-b border-line px-4 py-3 last:border-0">
                <div className="min-w-0 grow">
                  <p className="truncate font-medium">{one.name}</p>
                  <p className="truncate font-mono text-xs text-muted">{one.id}</p>
                </div>
                <p className="flex flex-wrap gap-1">{one.scopes.map((scope) => <span key={scope} className="rounded bg-sunken px-1.5 py-0.5 text-xs text-soft">{scope}</span>)}</p>
                <p className="num text-[13px] text-muted">{one.created_at ? `made ${ago(one.created_at)}` : ''}{one.last_used_at ? `, used ${ago(one.last_used_at)}` : ''}</p>
                <Button look="danger" small onClick={() => setRevoking(one)}>Revoke</Button>
              </li>
            ))}
          </ul>
        )}
      </Panel>
      {making ? (
        <NewClient
          onClose={() => setMaking(false)}
          onMade={(credentials) => {
            setMaking(false);
            setMade(credentials);
            void client.invalidateQueries({ queryKey });
          }}
        />
      ) : null}
      {made ? <Secret credentials={made} onClose={() => setMade(null)} /> : null}
      <Confirm
        open={revoking !== null}
        onClose={() => setRevoking(null)}
        onConfirm={() => revoking && revoke.mutate(revoking)}
        title={`Revoke “${revoking?.name ?? ''}”?`}
        action="Revoke"
      >
        Programs that use it are refused from now on. This can't be undone; a new client has a new secret.
      </Confirm>
    </>
  );
}

function NewClient({ onClose, onMade }: { onClose: () => void; onMade: (credentials: Credentials) => void }) {
  const [name, setName] = useState('');
  const [chosen, setChosen] = useState<string[]>(['ingest']);
  const create = useMutation({
    mutationFn: () => api<ApiClient & { secret: string; client?: ApiClient }>('/v1/api-clients', { method: 'POST', body: { name: name.trim(), scopes: chosen } }),
    onSuccess: (made) => onMade({ id: made.id ?? made.client?.id ?? '', secret: made.secret }),
  });
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    create.mutate();
  };
  return (
    <Dialog open onClose={onClose} title="New API client">
      <form onSubmit={submit} className="grid gap-4">
        <Field label="Name" hint="The program that will use it.">
          {(props) => <Input {...props} autoFocus required maxLength={80} value={name} onChange={(event) => setName(event.target.value)} />}
        </Field>
        <fieldset className="grid gap-1.5">
          <legend className="mb-1.5 font-medium text-soft">It may</legend>
          {scopes.map((scope) => (
            <label key={scope.id} className="flex items-baseline gap-2">
              <input
                type="checkbox"
                className="accent-(--accent)"
                checked={chosen.includes(scope.id)}
                onChange={(event) => setChosen(event.target.checked ? [...chosen, scope.id] : chosen.filter((id) => id !== scope.id))}
              />
              <span><span className="font-medium">{scope.label}</span> <span className="text-muted">{scope.text}</span></span>
            </label>
          ))}
        </fieldset>
        {create.error ? <p role="alert" className="rounded-md bg-bad-soft px-3 py-2 text-bad">{messageOf(create.error)}</p> : null}
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" look="primary" disabled={create.isPending || chosen.length === 0}>Create</Button>
        </div>
      </form>
    </Dialog>
  );
}

function Secret({ credentials, onClose }: { credentials: Credentials; onClose: () => void }) {
  return (
    <Dialog open wide onClose={onClose} title="Keep this secret now" description="It is shown only here and only once; the server keeps no copy that can be read.">
      <dl className="grid gap-3">
        {([['Client id', credentials.id], ['Secret', credentials.secret]] as const).map(([name, value]) => (
          <div key={name} className="flex min-w-0 items-center gap-3 rounded-md bg-sunken px-3 py-2">
            <dt className="w-20 shrink-0 text-soft">{name}</dt>
            <dd className="min-w-0 grow font-mono text-[13px] break-all" data-testid={name}>{value}</dd>
            <CopyButton text={value} />
          </div>
        ))}
      </dl>
      <p className="mt-4 mb-2 text-soft">As a first event:</p>
      <SendFirst credentials={credentials} />
      <div className="mt-5 flex justify-end"><Button look="primary" onClick={onClose}>I have kept it</Button></div>
    </Dialog>
  );
}

function SendFirst({ credentials }: { credentials: Credentials }) {
  const text = `curl ${window.location.origin}/v1/events -u '${credentials.id}:${credentials.secret}' \\
  -H 'Content-Type: application/json' \\
  -d '{"events":[{"identity":"user_123","event":"Product Viewed"}]}'`;
  return (
    <div className="grid justify-items-end gap-1">
      <pre tabIndex={0} className="w-full overflow-x-auto rounded-md bg-sunken p-3 font-mono text-xs">{text}</pre>
      <CopyButton text={text} label="Copy the command" />
    </div>
  );
}

function ProjectSettings({ asking }: { asking: boolean }) {
  const { project } = useProject();
  const [, navigate] = useLocation();
  const [making, setMaking] = useState(asking);
  return (
    <>
      <Panel title="This project" tools={<Button small onClick={() => setMaking(true)}><Plus size={14} /> New project</Button>}>
        <dl className="grid gap-2 sm:grid-cols-[160px_1fr]">
          <dt className="text-soft">Name</dt>
          <dd>{project.name}</dd>
          <dt className="text-soft">Id</dt>
          <dd className="flex items-center gap-1 font-mono text-[13px]">{project.id} <CopyButton text={String(project.id)} /></dd>
          <dt className="text-soft">Time zone</dt>
          <dd>{project.time_zone.replaceAll('_', ' ')}</dd>
          {project.kind ? <><dt className="text-soft">Kind</dt><dd>{project.kind}</dd></> : null}
        </dl>
      </Panel>
      <ProjectRules />
      {making ? <NewProject onClose={() => setMaking(false)} onMade={(made) => navigate(href(made.id))} /> : null}
    </>
  );
}

function NewProject({ onClose, onMade }: { onClose: () => void; onMade: (project: Project) => void }) {
  const { project } = useProject();
  const client = useQueryClient();
  const [name, setName] = useState('');
  const [zone, setZone] = useState(project.time_zone);
  const create = useMutation({
    mutationFn: () => api<Project & { project?: Project }>('/v1/projects', { method: 'POST', body: { name: name.trim(), time_zone: zone } }),
    onSuccess: async (made) => {
      await client.refetchQueries({ queryKey: ['session'] });
      onMade(made.project ?? made);
    },
  });
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    create.mutate();
  };
  return (
    <Dialog open onClose={onClose} title="New project" description="Its events, users and reports are apart from those of other projects.">
      <form onSubmit={submit} className="grid gap-4">
        <Field label="Name">
          {(props) => <Input {...props} autoFocus required maxLength={80} value={name} onChange={(event) => setName(event.target.value)} />}
        </Field>
        <Field label="Time zone" hint="Days, weeks and months are counted in it.">
          {(props) => <ZonePicker {...props} value={zone} onChange={setZone} />}
        </Field>
        {create.error ? <p role="alert" className="rounded-md bg-bad-soft px-3 py-2 text-bad">{messageOf(create.error)}</p> : null}
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" look="primary" disabled={create.isPending}>Create</Button>
        </div>
      </form>
    </Dialog>
  );
}
