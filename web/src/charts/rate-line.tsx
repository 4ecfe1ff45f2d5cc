import 'uplot/dist/uPlot.min.css';
import { useEffect, useRef } from 'react';
import uPlot from 'uplot';
import { compact, number } from '@/lib/format';
import { useTheme } from '@/lib/theme';
import { clock } from '@/lib/time';

const height = 150;

/** Events a second over the last minutes; redrawn every second, so drawn by the smallest library. */
export default function RateLine({ data, zone, span }: { data: [number[], number[]]; zone: string; span: number }) {
  const element = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const latest = useRef(data);
  latest.current = data;
  const { dark } = useTheme();

  useEffect(() => {
    const parent = element.current;
    if (!parent) return;
    const style = getComputedStyle(document.documentElement);
    const ink = (name: string): string => style.getPropertyValue(name).trim();
    const axis = { stroke: ink('--muted'), font: '12px Inter Variable, sans-serif', ticks: { show: false }, grid: { stroke: ink('--line'), width: 1 } };
    const made = new uPlot(
      {
        width: parent.clientWidth,
        height,
        legend: { show: false },
        cursor: { y: false, points: { size: 7 } },
        scales: {
          x: { time: true, range: (_, __, max) => [max - span, max] },
          y: { range: (_, __, max) => [0, Math.max(4, max * 1.15)] },
        },
        axes: [
          {
            ...axis, grid: { show: false }, space: 90, size: 28,
            values: (_, ticks) => ticks.map((tick) => clock(tick, zone)),
          },
          { ...axis, size: 44, space: 36, values: (_, ticks) => ticks.map((tick) => (Number.isInteger(tick) ? compact(tick) : '')) },
        ],
        series: [
          {},
          {
            stroke: ink('--accent'), width: 1.75, points: { show: false },
            fill: `color-mix(in srgb, ${ink('--accent')} 12%, transparent)`,
            value: (_, value) => number(value),
          },
        ],
      },
      latest.current,
      parent,
    );
    plot.current = made;
    const observer = new ResizeObserver(() => made.setSize({ width: parent.clientWidth, height }));
    observer.observe(parent);
    return () => {
      observer.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [dark, zone, span]);

  useEffect(() => {
    plot.current?.setData(data);
  }, [data]);

  return <div ref={element} role="img" aria-label="Events per second over the last minutes" style={{ height }} className="w-full" />;
}
