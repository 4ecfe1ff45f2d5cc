import { useQuery } from '@tanstack/react-query';
import { createContext, use, useMemo, type ReactNode } from 'react';
import { Link } from 'wouter';
import { api, setProject } from '@/lib/api';
import type { Catalog, Project } from '@/lib/types';
import { calendar, type Calendar } from '@/model/range';
import { buttonClass } from '@/ui/button';
import { Empty } from '@/ui/state';
import { projectsOf, useSession } from './session';

const Context = createContext<{ project: Project } | null>(null);

export function useProject(): { project: Project } {
  const found = use(Context);
  if (!found) throw new Error('useProject outside of InProject');
  return found;
}

export function InProject({ id, children }: { id: string; children: ReactNode }) {
  const session = useSession();
  const project = projectsOf(session).find((candidate) => String(candidate.id) === id);
  const value = useMemo(() => (project ? { project } : null), [project]);
  if (!value) {
    return (
      <Empty title="There is no such project" action={<Link href="/" className={buttonClass('primary')}>To your projects</Link>}>
        It may have been removed, or you may not have access to it.
      </Empty>
    );
  }
  // Requests name the project they are about; children ask while they render.
  setProject(String(value.project.id));
  return <Context value={value}>{children}</Context>;
}

export function useCatalog() {
  const { project } = useProject();
  return useQuery({
    queryKey: ['catalog', project.id],
    queryFn: ({ signal }) => api<Catalog>('/v1/catalog', { signal }),
    staleTime: 30_000,
    refetchOnMount: true,
  });
}

/** The project's days. Fixed while the catalog is, so that reports don't ask again at every render. */
export function useCalendar(): Calendar | null {
  const { project } = useProject();
  const catalog = useCatalog();
  return useMemo(
    () => (catalog.data ? calendar(project.time_zone, catalog.data.events) : null),
    [catalog.data, project.time_zone],
  );
}
