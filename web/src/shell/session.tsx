import { useQuery, useQueryClient } from '@tanstack/react-query';
import { createContext, use, type ReactNode } from 'react';
import { Redirect, useLocation } from 'wouter';
import { api, ApiError, keepCredentialsOf, setProject } from '@/lib/api';
import type { Project, Session } from '@/lib/types';
import { Failure } from '@/ui/state';
import { Splash } from './splash';

const Context = createContext<Session | null>(null);

export function useSession(): Session {
  const session = use(Context);
  if (!session) throw new Error('useSession outside of SignedIn');
  return session;
}

export function projectsOf(session: Session): Project[] {
  return session.organisations.flatMap((organisation) => organisation.projects);
}

async function load(): Promise<Session> {
  const session = await api<Session>('/v1/session');
  keepCredentialsOf(session);
  return session;
}

export function SignedIn({ children }: { children: ReactNode }) {
  const [path] = useLocation();
  const query = useQuery({ queryKey: ['session'], queryFn: load, retry: false, staleTime: 5 * 60_000 });
  if (query.error instanceof ApiError && query.error.status === 401) {
    const setup = query.error.details.setup_needed === true;
    const next = path === '/' ? '' : `?next=${encodeURIComponent(path + window.location.search)}`;
    return <Redirect to={setup ? '/setup' : `/signin${next}`} replace />;
  }
  if (query.data) return <Context value={query.data}>{children}</Context>;
  if (query.error) return <Failure error={query.error} onRetry={() => void query.refetch()} title="Kolam can't be reached" />;
  return <Splash />;
}

export function useSignIn(): (session: Session) => void {
  const client = useQueryClient();
  return (session) => {
    client.clear();
    keepCredentialsOf(session);
    client.setQueryData(['session'], session);
  };
}

export function useSignOut(): () => Promise<void> {
  const client = useQueryClient();
  const [, navigate] = useLocation();
  return async () => {
    await api('/v1/session', { method: 'DELETE' });
    keepCredentialsOf(null);
    setProject('');
    client.clear();
    navigate('/signin');
  };
}
