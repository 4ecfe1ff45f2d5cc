import { useCallback, useMemo } from 'react';
import { useLocation, useSearch } from 'wouter';

/** A page's whole state as one parameter of the address; leaving it out means the page's defaults. */
export function encodeState(state: unknown): string {
  return encodeURIComponent(JSON.stringify(state)).replaceAll('%2C', ',').replaceAll('%3A', ':').replaceAll('%20', '+');
}

export function decodeState<T>(text: string | null): T | null {
  if (!text) return null;
  try {
    return JSON.parse(text) as T;
  } catch {
    return null;
  }
}

export function useUrlState<T extends object>(): [T | null, (next: T) => void, URLSearchParams] {
  const search = useSearch();
  const [path, navigate] = useLocation();
  const params = useMemo(() => new URLSearchParams(search), [search]);
  const text = params.get('q');
  const state = useMemo(() => decodeState<T>(text), [text]);
  const set = useCallback(
    (next: T) => {
      const report = new URLSearchParams(search).get('report');
      const rest = report ? `&report=${encodeURIComponent(report)}` : '';
      navigate(`${path}?q=${encodeState(next)}${rest}`);
    },
    [navigate, path, search],
  );
  return [state, set, params];
}
