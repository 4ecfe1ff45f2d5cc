import { useState } from 'react';

export interface Asked {
  cql: string;
  at: number;
}

const most = 50;

/** The last queries of a project, kept in this browser only. */
export function useHistory(project: string | number): { list: Asked[]; add: (cql: string) => void; clear: () => void } {
  const key = `kolam.history.${project}`;
  const [list, setList] = useState<Asked[]>(() => {
    try {
      const stored: unknown = JSON.parse(localStorage.getItem(key) ?? '[]');
      return Array.isArray(stored) ? (stored as Asked[]) : [];
    } catch {
      return [];
    }
  });
  const keep = (next: Asked[]): void => {
    setList(next);
    localStorage.setItem(key, JSON.stringify(next));
  };
  return {
    list,
    add: (cql) => keep([{ cql, at: Date.now() }, ...list.filter((asked) => asked.cql !== cql)].slice(0, most)),
    clear: () => keep([]),
  };
}
