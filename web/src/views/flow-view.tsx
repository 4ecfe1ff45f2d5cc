import clsx from 'clsx';
import { useEffect, useId, useMemo, useRef, useState, type KeyboardEvent } from 'react';
import { CsvButton, Panel } from '@/builder/report-page';
import { colour } from '@/charts/palette';
import { download, fileName, toCsv } from '@/lib/csv';
import { number, share } from '@/lib/format';
import { useTheme } from '@/lib/theme';
import type { Answer } from '@/lib/types';
import { columnsOf, readFlow, type FlowColumn, type FlowNode, type FlowState } from '@/model/flow';
import { Empty } from '@/ui/state';
import { Table, type TableColumn } from '@/ui/table';

const barWidth = 12;
const colours = 7;

export function FlowView({ answer, title, state }: { answer: Answer; title: string; state: FlowState }) {
  const nodes = useMemo(() => readFlow(answer), [answer]);
  const backwards = state.direction === 'to';
  if (nodes.length === 0) {
    return <Panel><Empty title={`Nobody did the ${backwards ? 'last' : 'first'} event in this range`}>Choose a longer range, or fewer filters on the event.</Empty></Panel>;
  }
  const csv = (): void => {
    const rows = answer.rows.map((row) => row.map((cell) => (Array.isArray(cell) ? cell.join(' > ') : cell)));
    download(fileName(title), toCsv(answer.columns.map((column) => column.name), rows));
  };
  return (
    <>
      <Panel>
        <FlowDiagram nodes={nodes} backwards={backwards} label={`${title}: diagram; the same numbers are in the table`} />
        {answer.meta.open ? <p className="mt-3 text-[13px] text-muted">The range hasn’t ended yet: the last users may yet go further.</p> : null}
      </Panel>
      <Panel title="Table" tools={<CsvButton onClick={csv} />} flush>
        <FlowTable nodes={nodes} title={title} backwards={backwards} />
      </Panel>
    </>
  );
}

/* --- where things are drawn ----------------------------------------------------------------- */

interface Box {
  node: FlowNode | null;
  name: string;
  users: number;
  x: number;
  y: number;
  height: number;
  paint: string;
}

interface Ribbon {
  from: FlowNode | null;
  to: FlowNode | null;
  path: string;
  width: number;
  paint: string;
}

interface Drawing {
  boxes: Box[];
  ribbons: Ribbon[];
  /** Where users left: behind their node's bar. */
  drops: { node: FlowNode; x: number; y: number; height: number }[];
  width: number;
  height: number;
}

function total(columns: FlowColumn[]): number {
  const [first] = columns;
  return first ? first.nodes.reduce((sum, node) => sum + node.users, 0) + first.rest.users : 0;
}

function draw(columns: FlowColumn[], backwards: boolean, paintOf: (name: string) => string, sizes: { column: number; bars: number; slot: number }): Drawing {
  const scale = sizes.bars / Math.max(total(columns), 1);
  const width = columns.length * sizes.column;
  const xOf = (depth: number): number => (backwards ? width - (depth + 1) * sizes.column : depth * sizes.column);
  const drawing: Drawing = { boxes: [], ribbons: [], drops: [], width, height: 0 };
  const placed = new Map<FlowNode, { box: Box; used: number }>();
  columns.forEach((column, depth) => {
    const x = xOf(depth);
    let y = 4;
    const put = (node: FlowNode | null, name: string, users: number, paint: string): Box => {
      const box = { node, name, users, x, y, height: Math.max(users * scale, 2), paint };
      drawing.boxes.push(box);
      y += Math.max(box.height, sizes.slot) + 6;
      return box;
    };
    const connect = (from: FlowNode | null, box: Box, offset: number, users: number): void => {
      const parent = from ? placed.get(from) : undefined;
      if (!parent) return;
      const thick = Math.max(users * scale, 1);
      const starts = backwards ? parent.box.x : parent.box.x + barWidth;
      const ends = backwards ? box.x + barWidth : box.x;
      const [a, b, middle] = [parent.box.y + parent.used + thick / 2, box.y + offset + thick / 2, (starts + ends) / 2];
      drawing.ribbons.push({ from, to: box.node, width: thick, paint: box.paint, path: `M${starts},${a} C${middle},${a} ${middle},${b} ${ends},${b}` });
      parent.used += users * scale;
    };
    for (const node of column.nodes) {
      const box = put(node, node.name, node.users, paintOf(node.name));
      placed.set(node, { box, used: 0 });
      connect(node.parent, box, 0, node.users);
    }
    if (column.rest.users > 0) {
      const box = put(null, 'Other paths', column.rest.users, 'var(--line-strong)');
      let offset = 0;
      for (const one of column.rest.from) {
        connect(one.node, box, offset, one.users);
        offset += one.users * scale;
      }
    }
    drawing.height = Math.max(drawing.height, y);
  });
  for (const [node, { box, used }] of placed) {
    if (!node.dropped) continue;
    drawing.drops.push({ node, x: backwards ? box.x - 14 : box.x + barWidth, y: box.y + used, height: Math.max(node.dropped * scale, 1) });
  }
  return drawing;
}

/* --- the diagram ------------------------------------------------------------------------------ */

function isOnPath(node: FlowNode | null, active: FlowNode): boolean {
  const isAncestor = (a: FlowNode, b: FlowNode): boolean => b.path.length >= a.path.length && up(b, a.depth) === a;
  return node !== null && (isAncestor(node, active) || isAncestor(active, node));
}

function up(node: FlowNode, depth: number): FlowNode {
  let at = node;
  while (at.depth > depth && at.parent) at = at.parent;
  return at;
}

/** Where there's no room for both, an event's value says more than its name. */
function cut(text: string, letters: number): string {
  const value = text.indexOf(': ');
  const shown = text.length > letters && value > 0 ? text.slice(value + 2) : text;
  return shown.length > letters ? `${shown.slice(0, letters - 1)}…` : shown;
}

/** As wide as there's room for, within reason; narrower screens scroll. */
function useColumnWidth(count: number, least: number) {
  const frame = useRef<HTMLDivElement>(null);
  const [room, setRoom] = useState(0);
  useEffect(() => {
    const element = frame.current;
    if (!element) return;
    const observer = new ResizeObserver(([entry]) => setRoom(Math.floor(entry?.contentRect.width ?? 0)));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  return { frame, column: Math.max(least, Math.min(Math.floor(room / Math.max(count, 1)), 280)) };
}

/** A column for each step; a bar for each path so far, as high as it has users, and ribbons to what came next. */
export function FlowDiagram({ nodes, backwards, label, small }: { nodes: FlowNode[]; backwards: boolean; label: string; small?: boolean }) {
  const { dark } = useTheme();
  const fade = useId();
  const svg = useRef<SVGSVGElement>(null);
  const [active, setActive] = useState<FlowNode | null>(null);
  const columns = useMemo(() => columnsOf(nodes, small ? 4 : 10), [nodes, small]);
  const paintOf = useMemo(() => {
    const sums = new Map<string, number>();
    for (const node of columns.flatMap((column) => column.nodes)) sums.set(node.name, (sums.get(node.name) ?? 0) + node.users);
    const names = [...sums].sort((a, b) => b[1] - a[1]).map(([name]) => name);
    return (name: string): string => (names.indexOf(name) < colours ? colour(names.indexOf(name), dark) : colour(colours, dark));
  }, [columns, dark]);
  const { frame, column } = useColumnWidth(columns.length, small ? 96 : 132);
  const drawing = useMemo(
    () => draw(columns, backwards, paintOf, { column, bars: small ? 130 : 340, slot: small ? 26 : 30 }),
    [columns, backwards, paintOf, small, column],
  );
  const all = total(columns);
  const letters = Math.floor((column - barWidth - 8) / (small ? 6.4 : 7));
  const shown = active && nodes.includes(active) ? active : null;

  const move = (event: KeyboardEvent, node: FlowNode): void => {
    const beside = columns[node.depth]?.nodes ?? [];
    const [deeper, back] = backwards ? ['ArrowLeft', 'ArrowRight'] : ['ArrowRight', 'ArrowLeft'];
    const next =
      event.key === deeper ? columns[node.depth + 1]?.nodes.find((child) => child.parent === node)
      : event.key === back ? node.parent
      : event.key === 'ArrowDown' ? beside[beside.indexOf(node) + 1]
      : event.key === 'ArrowUp' ? beside[beside.indexOf(node) - 1]
      : undefined;
    if (event.key.startsWith('Arrow')) event.preventDefault();
    if (next) svg.current?.querySelector<SVGGElement>(`[data-node="${next.id}"]`)?.focus();
  };
  return (
    <div>
      <div ref={frame} className="overflow-x-auto" role="group" aria-label={label}>
        <svg ref={svg} width={drawing.width} height={drawing.height} viewBox={`0 0 ${drawing.width} ${drawing.height}`} className="block" onPointerLeave={() => setActive(null)}>
          <defs>
            <linearGradient id={fade} x1={backwards ? 1 : 0} x2={backwards ? 0 : 1}>
              <stop offset="0" stopColor="var(--bad)" stopOpacity="0.6" />
              <stop offset="1" stopColor="var(--bad)" stopOpacity="0" />
            </linearGradient>
          </defs>
          {drawing.ribbons.map((ribbon, index) => {
            const lit = shown && isOnPath(ribbon.from, shown) && (ribbon.to === null ? ribbon.from === shown : isOnPath(ribbon.to, shown));
            return <path key={index} d={ribbon.path} fill="none" stroke={ribbon.paint} strokeWidth={ribbon.width} strokeOpacity={lit ? 0.6 : shown ? 0.08 : 0.26} />;
          })}
          {drawing.drops.map(({ node, ...at }) => (
            <rect key={node.id} {...at} width={14} fill={`url(#${fade})`} opacity={!shown || isOnPath(node, shown) ? 1 : 0.2} />
          ))}
          {drawing.boxes.map((box, index) => {
            const { node } = box;
            const dim = shown && !isOnPath(node, shown);
            const text = (
              <>
                <rect x={box.x} y={box.y} width={barWidth} height={box.height} rx={2} fill={box.paint} />
                <text x={box.x + barWidth + 6} y={box.y + 11} fontSize={small ? 11 : 12} fontWeight={500} fill="var(--text)" className="flow-text">{cut(box.name, letters)}</text>
                <text x={box.x + barWidth + 6} y={box.y + 25} fontSize={11} fill="var(--soft)" className="num flow-text">
                  {number(box.users)}{small ? '' : ` · ${share(box.users / Math.max(all, 1))}`}
                </text>
              </>
            );
            if (!node || small) return <g key={index} opacity={dim ? 0.35 : 1}><title>{`${box.name}: ${number(box.users)} users`}</title>{text}</g>;
            return (
              <g
                key={index} data-node={node.id} tabIndex={0} role="img" aria-label={describe(node, all, backwards)} opacity={dim ? 0.35 : 1}
                className="flow-node cursor-default outline-none"
                onPointerEnter={() => setActive(node)} onFocus={() => setActive(node)} onBlur={() => setActive(null)} onKeyDown={(event) => move(event, node)}
              >
                <title>{describe(node, all, backwards)}</title>
                <rect x={box.x} y={box.y - 3} width={column - 8} height={Math.max(box.height, 30) + 4} fill="transparent" />
                {text}
              </g>
            );
          })}
        </svg>
      </div>
      {small ? null : (
        <p className={clsx('mt-3 min-h-10 text-[13px]', shown ? 'text-text' : 'text-muted')} aria-hidden="true" data-testid="flow-detail">
          {shown ? describe(shown, all, backwards) : 'Point at a bar, or reach it with Tab and the arrow keys, to follow its path. Red: where users left.'}
        </p>
      )}
    </div>
  );
}

function describe(node: FlowNode, all: number, backwards: boolean): string {
  const path = (backwards ? [...node.path].reverse() : node.path).join(' → ');
  const kept = node.parent ? `, ${share(node.users / Math.max(node.parent.users, 1))} of the step before` : '';
  const left = node.dropped === null ? '' : `; ${number(node.dropped)} ${backwards ? 'did nothing before it' : 'went no further'}`;
  return `${path}: ${number(node.users)} users, ${share(node.users / Math.max(all, 1))} of all${kept}${left}`;
}

/* --- the table --------------------------------------------------------------------------------- */

function FlowTable({ nodes, title, backwards }: { nodes: FlowNode[]; title: string; backwards: boolean }) {
  const all = nodes.reduce((sum, node) => sum + (node.depth === 0 ? node.users : 0), 0);
  const columns = useMemo<TableColumn<FlowNode>[]>(
    () => [
      { id: 'path', header: 'Path', value: (node) => (backwards ? [...node.path].reverse() : node.path).join(' → ') },
      { id: 'depth', header: 'Step', numeric: true, value: (node) => node.depth },
      { id: 'users', header: 'Users', numeric: true, value: (node) => node.users, render: (node) => number(node.users) },
      { id: 'share', header: 'Of all', numeric: true, value: (node) => node.users / Math.max(all, 1), render: (node) => share(node.users / Math.max(all, 1)) },
      { id: 'previous', header: 'Of the step before', numeric: true, value: (node) => (node.parent ? node.users / node.parent.users : null), render: (node) => (node.parent ? share(node.users / node.parent.users) : '–') },
      { id: 'dropped', header: 'Ended here', numeric: true, value: (node) => node.dropped, render: (node) => (node.dropped === null ? '–' : number(node.dropped)) },
    ],
    [all, backwards],
  );
  return <Table label={`${title}: table`} columns={columns} rows={nodes} />;
}
