import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Ban, History, ListTree, Play, Terminal } from 'lucide-react';
import { lazy, Suspense, useEffect, useMemo, useState } from 'react';
import { useSearchParams } from 'wouter';
import { CsvButton, MetaLine, Panel } from '@/builder/report-page';
import { SaveReport, useReportTitle } from '@/builder/save-report';
import type { Values } from '@/cql/complete';
import { accept, faultOf, nameText, stringText } from '@/cql/words';
import { api, ApiError, messageOf } from '@/lib/api';
import { ask } from '@/lib/ask';
import { download, fileName, toCsv } from '@/lib/csv';
import { plural } from '@/lib/format';
import { useHistory } from '@/lib/history';
import { ago } from '@/lib/time';
import type { Answer, Catalog, Cell } from '@/lib/types';
import { decodeState } from '@/lib/url-state';
import { valuesOf } from '@/lib/values';
import { PageHead } from '@/shell/frame';
import { useCatalog, useProject } from '@/shell/project';
import { Button } from '@/ui/button';
import { Dialog, Menu, MenuContent, MenuItem, MenuLabel, MenuSeparator, MenuTrigger } from '@/ui/overlay';
import { Empty, Failure, Loading, Skeleton } from '@/ui/state';
import { AnswerChart, pictureOf } from '@/views/answer-chart';
import { AnswerTable } from '@/views/answer-table';

const Editor = lazy(() => import('@/cql/editor'));

export default function QueryPage() {
  const { project } = useProject();
  const [params, setParams] = useSearchParams();
  const title = useReportTitle('Query');
  const catalog = useCatalog();
  const asked = params.get('cql') ?? '';
  const tree = params.get('tree');
  const [text, setText] = useState(asked);
  const [plan, setPlan] = useState(false);
  const past = useHistory(project.id);
  const client = useQueryClient();

  useEffect(() => setText(asked), [asked]);

  // A report that no builder can show comes as a tree; the server writes it as text.
  const translated = useQuery({
    queryKey: ['translate', project.id, tree],
    enabled: tree !== null && asked === '',
    queryFn: () => api<{ cql: string }>('/v1/query/translate', { method: 'POST', body: { query: decodeState(tree) } }),
  });
  useEffect(() => {
    if (!translated.data || !tree) return;
    const report = params.get('report');
    setParams({ cql: translated.data.cql, ...(report ? { report } : {}) }, { replace: true });
  }, [translated.data, tree, params, setParams]);

  const queryKey = ['cql', project.id, asked];
  const query = useQuery({
    queryKey,
    enabled: asked !== '',
    retry: false,
    staleTime: Infinity,
    queryFn: ({ signal }) => ask({ cql: asked }, project.time_zone, signal),
  });
  const run = (): void => {
    const cql = text.trim();
    if (!cql) return;
    past.add(cql);
    if (cql === asked) void query.refetch();
    else {
      const report = params.get('report');
      setParams({ cql, ...(report ? { report } : {}) });
    }
  };
  const unchanged = text.trim() === asked.trim();
  const fault = useMemo(
    () => (query.error instanceof ApiError && unchanged ? faultOf(asked, query.error.message, query.error.details) : null),
    [query.error, unchanged, asked],
  );
  const values: Values = (subject, prefix) => valuesOf(subject, [], prefix, catalog.data);
  const busy = query.isFetching;
  const cancelled = asked !== '' && query.isPending && query.fetchStatus === 'idle';

  return (
    <>
      <PageHead title={title}>
        <PastMenu past={past} onPick={setText} />
        <Button look="ghost" disabled={!text.trim()} onClick={() => setPlan(true)}><ListTree size={15} /> Explain</Button>
        <SaveReport draft={query.data?.query ? { kind: 'query', query: query.data.query, view: { page: 'query', cql: asked } } : null} />
      </PageHead>
      <div className="grid gap-4 px-4 pb-10 sm:px-6">
        <div className="grid gap-2">
          <Suspense fallback={<Skeleton className="h-26" />}>
            <Editor text={text} onChange={setText} onRun={run} fault={fault} catalog={catalog.data} values={values} />
          </Suspense>
          {query.error && unchanged ? (
            <div role="alert" className="flex flex-wrap items-center gap-2 rounded-md bg-bad-soft px-3 py-2 text-bad" data-testid="query-error">
              <span className="min-w-0 grow">{query.error.message}{fault ? <Place text={asked} from={fault.from} /> : null}</span>
              {fault?.suggestion ? (
                <Button small onClick={() => setText(accept(asked, fault))}>Use “{fault.suggestion}”</Button>
              ) : null}
            </div>
          ) : null}
          <div className="flex flex-wrap items-center gap-3">
            {busy ? (
              <Button onClick={() => void client.cancelQueries({ queryKey })}><Ban size={14} /> Cancel</Button>
            ) : (
              <Button look="primary" onClick={run} disabled={!text.trim()}><Play size={14} /> Run</Button>
            )}
            <span className="text-[13px] text-muted max-sm:hidden">Ctrl Enter runs, Ctrl Space completes</span>
          </div>
        </div>
        {busy && !query.data ? (
          <div className="panel p-5"><Loading /></div>
        ) : query.data ? (
          <Outcome answer={query.data} title={title === 'Query' ? 'query' : title} />
        ) : cancelled ? (
          <div className="panel"><Empty title="Cancelled">The server stopped working on it.</Empty></div>
        ) : query.error && !fault ? (
          <div className="panel"><Failure error={query.error} onRetry={() => void query.refetch()} title="The question could not be answered" /></div>
        ) : asked === '' ? (
          <Examples catalog={catalog.data} onPick={setText} />
        ) : null}
      </div>
      {plan ? <PlanDialog cql={text} onClose={() => setPlan(false)} /> : null}
    </>
  );
}

function Place({ text, from }: { text: string; from: number }) {
  const before = text.slice(0, from);
  const line = before.split('\n').length;
  return <span className="num"> (line {line}, column {from - before.lastIndexOf('\n')})</span>;
}

function Outcome({ answer, title }: { answer: Answer; title: string }) {
  const picture = useMemo(() => pictureOf(answer), [answer]);
  const csv = (): void => download(fileName(title), toCsv(answer.columns.map((column) => column.name), answer.rows));
  return (
    <>
      {picture ? <Panel title="Chart"><AnswerChart answer={answer} picture={picture} label="Result" /></Panel> : null}
      <Panel title={<>Result <span className="font-normal text-muted">{plural(answer.rows.length, 'row')}</span></>} tools={<CsvButton onClick={csv} />} flush>
        {answer.rows.length === 0 ? (
          <Empty title="No rows">The query is right, but nothing matches it. Try a longer range or fewer conditions.</Empty>
        ) : (
          <AnswerTable answer={answer} label="Result" maxHeight={560} />
        )}
      </Panel>
      <MetaLine answers={[answer]} />
    </>
  );
}

function PastMenu({ past, onPick }: { past: ReturnType<typeof useHistory>; onPick: (cql: string) => void }) {
  return (
    <Menu>
      <MenuTrigger asChild><Button look="ghost"><History size={15} /> History</Button></MenuTrigger>
      <MenuContent className="max-h-96 w-120 max-w-[calc(100vw-16px)] overflow-y-auto">
        {past.list.length === 0 ? <MenuLabel>Queries that you run here are kept in this browser.</MenuLabel> : null}
        {past.list.map((one) => (
          <MenuItem key={one.cql} onSelect={() => onPick(one.cql)} className="h-auto! py-1.5">
            <code className="min-w-0 grow truncate font-mono text-xs">{one.cql.replace(/\s+/g, ' ')}</code>
            <span className="shrink-0 text-xs text-muted">{ago(one.at)}</span>
          </MenuItem>
        ))}
        {past.list.length > 0 ? <><MenuSeparator /><MenuItem danger onSelect={past.clear}>Clear the history</MenuItem></> : null}
      </MenuContent>
    </Menu>
  );
}

function PlanDialog({ cql, onClose }: { cql: string; onClose: () => void }) {
  const { project } = useProject();
  const plan = useQuery({
    queryKey: ['explain', project.id, cql],
    retry: false,
    queryFn: () => api<{ plan: Record<string, Cell>[] }>('/v1/query/explain', { method: 'POST', body: { cql, time_zone: project.time_zone } }),
  });
  return (
    <Dialog open wide onClose={onClose} title="How it would be answered" description="Nothing was run.">
      {plan.isPending ? <Loading rows={4} /> : plan.error ? <p role="alert" className="text-bad">{messageOf(plan.error)}</p> : (
        <ol className="grid gap-2">
          {plan.data.plan.map((step, index) => (
            <li key={index} className="flex gap-3 rounded-md bg-sunken px-3 py-2">
              <span className="num text-muted">{index + 1}</span>
              <dl className="num grid min-w-0 gap-0.5">
                {Object.entries(step).filter(([, value]) => value !== null && value !== '').map(([name, value]) => (
                  <div key={name} className="flex gap-2"><dt className="text-muted">{name}</dt><dd className="min-w-0 break-words">{typeof value === 'string' ? value : JSON.stringify(value)}</dd></div>
                ))}
              </dl>
            </li>
          ))}
        </ol>
      )}
    </Dialog>
  );
}

/** Questions about this project's own events. */
function examplesFor(catalog: Catalog | undefined): { title: string; cql: string }[] {
  const events = [...(catalog?.events ?? [])].sort((a, b) => b.count - a.count);
  const [most] = events;
  if (!most) return [];
  const others = events.slice(1).sort((a, b) => String(a.first_seen ?? '').localeCompare(String(b.first_seen ?? '')));
  const path = [...others.slice(0, 2), most];
  const text = most.properties.find((property) => property.types.includes('string') && !/\b(id|upc|sku|code|url|key)\b/i.test(property.name));
  const amount = most.properties.find((property) => /amount|price|total|value|revenue/i.test(property.name)) ?? most.properties.find((property) => property.types.some((type) => type !== 'string'));
  return [
    { title: 'Events and users by month', cql: 'SELECT count(), users() FROM events\n GROUP BY month ORDER BY month' },
    ...(text ? [{ title: `${most.name} by ${text.name}`, cql: `SELECT count()${amount ? `, sum(${nameText(amount.name)})` : ''} FROM events\n WHERE event = ${stringText(most.name)}\n GROUP BY ${nameText(text.name)} ORDER BY count() DESC LIMIT 20` }] : []),
    ...(path.length > 1 ? [{ title: 'How many get to the end', cql: `FUNNEL ${path.map((event) => stringText(event.name)).join('\n  THEN ')}\n WITHIN 30 days` }] : []),
    { title: 'Who comes back', cql: `RETENTION OF FIRST ${stringText(most.name)} RETURNING ${stringText(most.name)}\n MONTHLY FOR 12` },
  ];
}

function Examples({ catalog, onPick }: { catalog: Catalog | undefined; onPick: (cql: string) => void }) {
  const list = examplesFor(catalog);
  if (list.length === 0) {
    return <div className="panel"><Empty icon={<Terminal size={24} />} title="Ask anything about events and users">Write a query in CQL above and run it.</Empty></div>;
  }
  return (
    <section aria-label="Examples" className="grid gap-3">
      <h2 className="text-[13px] font-medium text-muted">Start from an example</h2>
      <ul className="grid gap-3 md:grid-cols-2">
        {list.map((example) => (
          <li key={example.title}>
            <button type="button" onClick={() => onPick(example.cql)} className="panel grid h-full w-full content-start gap-2 p-4 text-left transition-colors hover:border-line-strong">
              <span className="font-medium">{example.title}</span>
              <code className="font-mono text-xs whitespace-pre-wrap text-soft">{example.cql}</code>
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}
