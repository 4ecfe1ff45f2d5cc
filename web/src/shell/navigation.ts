import { Activity, Filter, Home, Repeat2, Settings, Terminal, TrendingUp, Users, Workflow, type LucideIcon } from 'lucide-react';

export interface Place {
  path: string;
  label: string;
  icon: LucideIcon;
  /** Pressed after g. */
  key: string;
}

export const places: readonly Place[] = [
  { path: '', label: 'Home', icon: Home, key: 'h' },
  { path: 'live', label: 'Live', icon: Activity, key: 'l' },
  { path: 'trends', label: 'Trends', icon: TrendingUp, key: 't' },
  { path: 'funnels', label: 'Funnels', icon: Filter, key: 'f' },
  { path: 'flows', label: 'Flows', icon: Workflow, key: 'w' },
  { path: 'retention', label: 'Retention', icon: Repeat2, key: 'r' },
  { path: 'users', label: 'Users', icon: Users, key: 'u' },
  { path: 'query', label: 'Query', icon: Terminal, key: 'q' },
  { path: 'settings', label: 'Settings', icon: Settings, key: 's' },
];

export function href(project: string | number, path = '', query = ''): string {
  return `/p/${encodeURIComponent(project)}${path ? `/${path}` : ''}${query ? `?${query}` : ''}`;
}

/** A user's page. The name is a parameter, since an address in the path would look like a file's (`ann@example.com`). */
export function userHref(project: string | number, user: string | number): string {
  return href(project, 'user', `id=${encodeURIComponent(user)}`);
}

/** True when a key belongs to what is being typed rather than to a shortcut. */
export function typing(event: KeyboardEvent): boolean {
  const target = event.target as HTMLElement | null;
  return (
    event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented ||
    Boolean(target?.closest('input, textarea, select, [contenteditable], [role=menu], [role=listbox], [role=dialog]'))
  );
}
