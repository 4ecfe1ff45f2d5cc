import { keepPreviousData, useQuery, useQueryClient } from '@tanstack/react-query';
import { useProject } from '@/shell/project';
import type { Tree } from '@/model/tree';
import { api, ApiError } from './api';
import type { Answer } from './types';

export type Question = { query: Tree } | { cql: string };

/** Asks, and tells the server to stop when the answer is no longer wanted. */
export async function ask(question: Question, zone: string, signal?: AbortSignal): Promise<Answer> {
  const id = crypto.randomUUID();
  const stop = (): void => {
    api(`/v1/queries/${id}`, { method: 'DELETE' }).catch(() => undefined);
  };
  signal?.addEventListener('abort', stop, { once: true });
  try {
    return await api<Answer>('/v1/query', { method: 'POST', body: { ...question, query_id: id, time_zone: zone }, signal });
  } finally {
    signal?.removeEventListener('abort', stop);
  }
}

export interface Report<Input> {
  input: Input;
  answers: Answer[];
}

/**
 * Runs all the questions of a report together. The answer carries the input it belongs to, so that a page
 * never reads an older answer with newer settings while the next one is on its way.
 */
export function useReport<Input>(kind: string, input: Input, trees: Tree[] | null) {
  const { project } = useProject();
  const client = useQueryClient();
  const queryKey = ['report', project.id, kind, trees, input];
  const query = useQuery<Report<Input>>({
    queryKey,
    enabled: trees !== null,
    placeholderData: keepPreviousData,
    queryFn: async ({ signal }) => ({
      input,
      answers: await Promise.all((trees ?? []).map((tree) => ask({ query: tree }, project.time_zone, signal))),
    }),
    staleTime: 60_000,
    retry: (count, error) => count < 1 && error instanceof ApiError && (error.status === 0 || error.status === 429 || error.status === 503),
  });
  return {
    data: trees === null ? undefined : query.data,
    error: query.error,
    running: query.isFetching,
    cancelled: trees !== null && query.isPending && query.fetchStatus === 'idle' && !query.error,
    old: query.isPlaceholderData && query.isFetching,
    cancel: () => void client.cancelQueries({ queryKey }),
    again: () => void query.refetch(),
  };
}

export type Running = Omit<ReturnType<typeof useReport>, 'data'>;
