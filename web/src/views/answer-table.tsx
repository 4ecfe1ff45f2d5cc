import { useMemo } from 'react';
import { Link } from 'wouter';
import { cell, number } from '@/lib/format';
import { dateTime } from '@/lib/time';
import type { Answer, Cell } from '@/lib/types';
import { userHref } from '@/shell/navigation';
import { useProject } from '@/shell/project';
import { Table, type TableColumn } from '@/ui/table';

function plain(value: Cell | undefined): string | number | null {
  if (value === null || value === undefined) return null;
  return typeof value === 'number' || typeof value === 'string' ? value : cell(value);
}

/** Any answer as it is. Instants are shown in the project's time zone, users are links. */
export function AnswerTable({ answer, label, maxHeight }: { answer: Answer; label: string; maxHeight?: number }) {
  const { project } = useProject();
  const columns = useMemo<TableColumn<Cell[]>[]>(
    () =>
      answer.columns.map((column, index) => {
        const numeric = answer.rows.some((row) => typeof row[index] === 'number');
        return {
          id: `${index}`,
          header: column.name,
          numeric: numeric && column.name !== 'user_id',
          value: (row) => plain(row[index]),
          render: (row) => {
            const value = row[index];
            if (value === null || value === undefined) return <span className="text-muted">–</span>;
            if (column.name === 'user_id') return <Link className="text-accent hover:underline" href={userHref(project.id, `u:${value as number}`)}>{String(value)}</Link>;
            if (column.name === 'identity' && typeof value === 'string') {
              return <Link className="text-accent hover:underline" href={userHref(project.id, value)}>{value}</Link>;
            }
            if (typeof value === 'number') return column.name === 'seq' || column.name === 'step' || column.name === 'k' ? String(value) : number(value);
            if (typeof value === 'string' && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/.test(value)) return <span className="num">{dateTime(value, project.time_zone)}</span>;
            return <span title={cell(value)}>{cell(value)}</span>;
          },
        };
      }),
    [answer, project],
  );
  return <Table label={label} columns={columns} rows={answer.rows} maxHeight={maxHeight} />;
}
