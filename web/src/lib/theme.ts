import { useSyncExternalStore } from 'react';

export type Theme = 'system' | 'light' | 'dark';

const key = 'kolam.theme';
const media = window.matchMedia('(prefers-color-scheme: dark)');
const listeners = new Set<() => void>();

function chosen(): Theme {
  const stored = localStorage.getItem(key);
  return stored === 'light' || stored === 'dark' ? stored : 'system';
}

function resolved(): 'light' | 'dark' {
  const theme = chosen();
  return theme === 'system' ? (media.matches ? 'dark' : 'light') : theme;
}

export function applyTheme(): void {
  document.documentElement.dataset.theme = resolved();
  for (const listener of listeners) listener();
}

media.addEventListener('change', applyTheme);

export function chooseTheme(theme: Theme): void {
  if (theme === 'system') localStorage.removeItem(key);
  else localStorage.setItem(key, theme);
  applyTheme();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function useTheme(): { theme: Theme; dark: boolean } {
  const theme = useSyncExternalStore(subscribe, chosen);
  const dark = useSyncExternalStore(subscribe, () => resolved() === 'dark');
  return { theme, dark };
}
