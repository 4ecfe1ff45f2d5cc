import { useMutation, useQuery, useQueryClient, type UseMutationResult } from '@tanstack/react-query';
import { toast } from 'sonner';
import { flowOf } from '@/model/flow';
import { funnelOf } from '@/model/funnel';
import { retentionOf } from '@/model/retention';
import { trendsOf } from '@/model/trends';
import type { Tree } from '@/model/tree';
import { href, userHref } from '@/shell/navigation';
import { useProject } from '@/shell/project';
import { api, messageOf } from './api';
import { encodeState } from './url-state';
import type { ReportKind, SavedReport } from './types';

export interface ReportDraft {
  name: string;
  description?: string;
  kind: ReportKind;
  query: unknown;
  view?: unknown;
}

export function useReports() {
  const { project } = useProject();
  return useQuery({
    queryKey: ['reports', project.id],
    queryFn: async ({ signal }) => (await api<{ reports: SavedReport[] }>('/v1/reports', { signal })).reports,
    staleTime: 30_000,
  });
}

type Update = UseMutationResult<SavedReport, unknown, { report: SavedReport; draft: ReportDraft }>;

export function useReportActions() {
  const { project } = useProject();
  const client = useQueryClient();
  const changed = (): Promise<void> => client.invalidateQueries({ queryKey: ['reports', project.id] });
  const failed = (error: unknown): void => void toast.error(messageOf(error));

  const create = useMutation({
    mutationFn: (draft: ReportDraft) => api<SavedReport>('/v1/reports', { method: 'POST', body: draft }),
    onSuccess: changed,
    onError: failed,
  });
  const update: Update = useMutation({
    mutationFn: ({ report, draft }: { report: SavedReport; draft: ReportDraft }) =>
      api<SavedReport>(`/v1/reports/${encodeURIComponent(report.id)}`, {
        method: 'PUT',
        body: draft,
        headers: report.etag ? { 'If-Match': quoted(report.etag) } : {},
      }),
    onSuccess: (made, { report, draft }) => {
      const undo = { report: { ...report, ...draft, etag: made.etag }, draft: draftOf(report) };
      toast.success('Saved.', { action: { label: 'Undo', onClick: () => update.mutate(undo) } });
    },
    onSettled: changed,
    onError: failed,
  });
  const remove = useMutation({
    mutationFn: (report: SavedReport) => api(`/v1/reports/${encodeURIComponent(report.id)}`, { method: 'DELETE' }),
    onSuccess: async (_, report) => {
      await changed();
      toast(`“${report.name}” was deleted.`, {
        duration: 10_000,
        action: { label: 'Undo', onClick: () => create.mutate(draftOf(report)) },
      });
    },
    onError: failed,
  });
  return { create, update, remove };
}

function quoted(etag: string): string {
  return etag.startsWith('"') ? etag : `"${etag}"`;
}

export function draftOf(report: SavedReport): ReportDraft {
  const { name, description, kind, query, view } = report;
  return { name, kind, query, ...(description ? { description } : {}), ...(view ? { view } : {}) };
}

interface View {
  page: string;
  state: unknown;
}

export function viewOf(report: SavedReport): View | null {
  const view = report.view as Partial<View> | null | undefined;
  if (view && typeof view === 'object' && typeof view.page === 'string' && view.state) return view as View;
  const tree = report.query as Tree | null;
  if (!tree) return null;
  const state = trendsOf(tree) ?? null;
  if (state) return { page: 'trends', state };
  const funnel = funnelOf(tree);
  if (funnel) return { page: 'funnels', state: funnel };
  const retention = retentionOf(tree);
  if (retention) return { page: 'retention', state: retention };
  const flow = flowOf(tree);
  return flow ? { page: 'flows', state: flow } : null;
}

/** Where a saved report opens: in its builder, or as CQL when no builder can show it. */
export function reportHref(project: string | number, report: SavedReport): string {
  const tree = report.query as { report?: string; identity?: string } | null;
  const id = `report=${encodeURIComponent(report.id)}`;
  if (tree?.report === 'events' && typeof tree.identity === 'string') {
    return userHref(project, tree.identity);
  }
  const written = report.view as { page?: string; cql?: unknown } | null | undefined;
  if (written?.page === 'query' && typeof written.cql === 'string') {
    return href(project, 'query', `cql=${encodeURIComponent(written.cql)}&${id}`);
  }
  const view = viewOf(report);
  if (view) return href(project, view.page, `q=${encodeState(view.state)}&${id}`);
  return href(project, 'query', `tree=${encodeState(report.query)}&${id}`);
}
