import { lazy, Suspense, useMemo } from 'react';
import { compact, number } from '@/lib/format';
import { useTheme } from '@/lib/theme';
import { dateLabel } from '@/lib/time';
import type { TimeUnit } from '@/model/tree';
import { Skeleton } from '@/ui/state';
import { colour } from './palette';
import type { ChartOption } from './echart';

const EChart = lazy(() => import('./echart'));

export interface ChartLine {
  name: string;
  points: (number | null)[];
  colour?: number;
  /** Drawn thinner and dashed: an earlier period. */
  faint?: boolean;
  /** Names of its own points in the tooltip, when they differ from the axis. */
  labels?: string[];
}

export interface TimeChartProps {
  names: string[];
  unit: TimeUnit | null;
  lines: ChartLine[];
  kind: 'line' | 'area' | 'bar';
  height?: number;
  label: string;
  small?: boolean;
  format?: (value: number) => string;
  axisFormat?: (value: number) => string;
  /** What to say about a point besides its values: that its bucket is only partly in the range, say. */
  note?: (index: number) => string | undefined;
}

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (found) => `&#${found.charCodeAt(0)};`);
}

export function TimeChart({
  names, unit, lines, kind, height = 320, label, small, format = number, axisFormat = compact, note,
}: TimeChartProps) {
  const { dark } = useTheme();
  const option = useMemo<ChartOption>(() => {
    const style = getComputedStyle(document.documentElement);
    const ink = (name: string): string => style.getPropertyValue(name).trim();
    const title = (index: number): string => (unit ? dateLabel(names[index] ?? '', unit) : names[index] ?? '');
    const stacked = kind !== 'line';
    return {
      animation: false,
      textStyle: { fontFamily: 'Inter Variable, system-ui, sans-serif' },
      grid: { left: 4, right: small ? 4 : 14, top: small ? 6 : 14, bottom: 6, outerBoundsMode: 'same', outerBoundsContain: 'axisLabel' },
      xAxis: {
        type: 'category',
        data: names,
        boundaryGap: kind === 'bar',
        axisTick: { show: false },
        axisLine: { lineStyle: { color: ink('--line-strong') } },
        axisLabel: {
          color: ink('--muted'),
          hideOverlap: true,
          fontSize: small ? 11 : 12,
          formatter: (name: string) => (unit ? dateLabel(name, unit, unit === 'month') : name.length > 18 ? `${name.slice(0, 17)}…` : name),
        },
      },
      yAxis: {
        type: 'value',
        splitNumber: small ? 2 : 4,
        axisLabel: { color: ink('--muted'), fontSize: small ? 11 : 12, formatter: axisFormat },
        splitLine: { lineStyle: { color: ink('--line') } },
      },
      tooltip: {
        trigger: 'axis',
        confine: true,
        axisPointer: { type: kind === 'bar' ? 'shadow' : 'line', lineStyle: { color: ink('--line-strong') }, shadowStyle: { color: 'rgba(128,128,128,0.09)' } },
        backgroundColor: ink('--panel'),
        borderColor: ink('--line'),
        textStyle: { color: ink('--text'), fontSize: 13 },
        extraCssText: 'box-shadow: var(--shadow-pop); border-radius: 8px; padding: 8px 10px;',
        formatter: (input: unknown) => {
          const items = (Array.isArray(input) ? input : [input]) as { dataIndex: number; seriesIndex: number; value: number | null | { value: number } ; color: string }[];
          const index = items[0]?.dataIndex ?? 0;
          const rows = items
            .map((item) => ({ ...item, line: lines[item.seriesIndex], number: item.value !== null && typeof item.value === 'object' ? item.value.value : item.value }))
            .filter((item) => item.line && item.number !== null && item.number !== undefined)
            .sort((a, b) => (stacked ? 0 : Number(b.number) - Number(a.number)))
            .slice(0, 14)
            .map(({ line, number: value, color }) => {
              const own = line?.labels?.[index];
              const name = own && unit ? `${line?.name} · ${dateLabel(own, unit)}` : line?.name ?? '';
              return `<div style="display:flex;gap:14px;align-items:center"><span style="flex:1"><span style="display:inline-block;width:8px;height:8px;border-radius:2px;margin-right:6px;background:${color}"></span>${escape(name)}</span><b style="font-variant-numeric:tabular-nums;font-weight:600">${escape(format(Number(value)))}</b></div>`;
            })
            .join('');
          const said = note?.(index);
          return `<div style="margin-bottom:4px;color:var(--muted)">${escape(title(index))}${said ? ` · ${escape(said)}` : ''}</div>${rows}`;
        },
      },
      series: lines.map((line, index) => {
        const paint = colour(line.colour ?? index, dark);
        const single = line.points.filter((point) => point !== null).length === 1;
        if (kind === 'bar' && !line.faint) {
          return {
            type: 'bar', name: line.name, data: line.points, stack: 'all', barMaxWidth: 34, color: paint,
            itemStyle: { borderRadius: lines.length === 1 ? [3, 3, 0, 0] : 0 },
          };
        }
        return {
          type: 'line',
          name: line.name,
          data: line.points,
          color: paint,
          showSymbol: single,
          symbol: 'circle',
          symbolSize: 6,
          stack: kind === 'area' && !line.faint ? 'all' : undefined,
          lineStyle: line.faint ? { width: 1.5, type: [4, 4], opacity: 0.7 } : { width: small ? 1.75 : 2 },
          areaStyle: kind === 'area' && !line.faint ? { opacity: lines.length > 1 ? 0.55 : 0.14 } : undefined,
        };
      }),
    };
  }, [names, unit, lines, kind, small, format, axisFormat, note, dark]);
  return (
    <Suspense fallback={<Skeleton className="w-full" />}>
      <EChart option={option} height={height} label={label} />
    </Suspense>
  );
}
