import clsx from 'clsx';
import { Fragment, useMemo, useState, type ReactNode } from 'react';
import {
  flexRender, getCoreRowModel, getSortedRowModel, useReactTable, type ColumnDef, type SortingState,
} from '@tanstack/react-table';
import { useVirtualizer } from '@tanstack/react-virtual';
import { ArrowDown, ArrowUp } from 'lucide-react';

export interface TableColumn<Row> {
  id: string;
  header: string;
  value: (row: Row) => string | number | null;
  render?: (row: Row) => ReactNode;
  numeric?: boolean;
  /** Stays in sight when the table is scrolled sideways. */
  sticky?: boolean;
}

const rowHeight = 33;

/** A sortable table; only the rows in sight are in the document. */
export function Table<Row>({
  columns, rows, label, maxHeight = 420, sortable = true,
}: {
  columns: readonly TableColumn<Row>[];
  rows: readonly Row[];
  label: string;
  maxHeight?: number;
  sortable?: boolean;
}) {
  const [sorting, setSorting] = useState<SortingState>([]);
  const [element, setElement] = useState<HTMLDivElement | null>(null);
  const defs = useMemo<ColumnDef<Row>[]>(
    () =>
      columns.map((column) => ({
        id: column.id,
        header: column.header,
        accessorFn: column.value,
        cell: (context) => (column.render ? column.render(context.row.original) : String(context.getValue() ?? '–')),
        sortUndefined: 'last',
        sortingFn: (a, b, id) => {
          const [x, y] = [a.getValue<string | number | null>(id), b.getValue<string | number | null>(id)];
          if (x === null || y === null) return x === y ? 0 : x === null ? -1 : 1;
          return typeof x === 'number' && typeof y === 'number' ? x - y : String(x).localeCompare(String(y), 'en', { numeric: true });
        },
      })),
    [columns],
  );
  const table = useReactTable({
    data: rows as Row[],
    columns: defs,
    state: { sorting },
    onSortingChange: setSorting,
    getCoreRowModel: getCoreRowModel(),
    getSortedRowModel: getSortedRowModel(),
    enableSorting: sortable,
  });
  const model = table.getRowModel().rows;
  const virtual = useVirtualizer({ count: model.length, getScrollElement: () => element, estimateSize: () => rowHeight, overscan: 12 });
  const shown = virtual.getVirtualItems();
  const before = shown[0]?.start ?? 0;
  const after = virtual.getTotalSize() - (shown.at(-1)?.end ?? 0);
  const look = (index: number): string =>
    clsx(columns[index]?.numeric ? 'num text-right' : 'text-left', columns[index]?.sticky && 'sticky left-0 z-1 bg-panel');
  return (
    <div ref={setElement} tabIndex={0} role="region" aria-label={label} className="overflow-auto" style={{ maxHeight }}>
      <table className="w-full border-separate border-spacing-0" aria-rowcount={model.length + 1}>
        <thead>
          {table.getHeaderGroups().map((group) => (
            <tr key={group.id}>
              {group.headers.map((header, index) => {
                const sorted = header.column.getIsSorted();
                return (
                  <th
                    key={header.id}
                    scope="col"
                    aria-sort={sorted === 'asc' ? 'ascending' : sorted === 'desc' ? 'descending' : undefined}
                    className={clsx('sticky top-0 z-2 border-b border-line bg-panel px-3 py-2 font-medium whitespace-nowrap text-muted', look(index), columns[index]?.sticky && 'z-3!')}
                  >
                    {sortable ? (
                      <button type="button" onClick={header.column.getToggleSortingHandler()} className="inline-flex items-center gap-1 rounded hover:text-text">
                        {flexRender(header.column.columnDef.header, header.getContext())}
                        {sorted === 'asc' ? <ArrowUp size={12} /> : sorted === 'desc' ? <ArrowDown size={12} /> : null}
                      </button>
                    ) : (
                      flexRender(header.column.columnDef.header, header.getContext())
                    )}
                  </th>
                );
              })}
            </tr>
          ))}
        </thead>
        <tbody>
          {before > 0 ? <tr aria-hidden="true"><td style={{ height: before }} colSpan={columns.length} /></tr> : null}
          {shown.map((item) => {
            const row = model[item.index];
            if (!row) return <Fragment key={item.key} />;
            return (
              <tr key={row.id} aria-rowindex={item.index + 2} className="group">
                {row.getVisibleCells().map((cell, index) => (
                  <td key={cell.id} className={clsx('max-w-96 truncate border-b border-line px-3 py-1.5 group-hover:bg-sunken', look(index))} style={{ height: rowHeight }}>
                    {flexRender(cell.column.columnDef.cell, cell.getContext())}
                  </td>
                ))}
              </tr>
            );
          })}
          {after > 0 ? <tr aria-hidden="true"><td style={{ height: after }} colSpan={columns.length} /></tr> : null}
        </tbody>
      </table>
    </div>
  );
}
