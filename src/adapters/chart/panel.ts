/** One check: canary and stable over time, with its limits. Every line is named by a word at its end, not by colour alone. */
import { scaleLinear } from 'd3-scale';
import { line } from 'd3-shape';
import type { Series } from '../../app/ports/metrics.ts';
import type { Check } from '../../core/plan.ts';
import { clock, cutTo, escapeXml, limitWords, tickWords, valueWords } from './words.ts';

export type Box = { readonly x: number; readonly y: number; readonly width: number; readonly height: number };
export type Span = { readonly from: number; readonly to: number };
export type Lines = { readonly check: Check; readonly canary: Points; readonly stable: Points };

type Points = Series['points'];
type Point = Points[number];
type Side = Series['side'];

/** Told apart with any colour blindness, and dark enough for text. */
const STYLE = {
  canary: { color: '#b84a00', width: 4 },
  stable: { color: '#0067a3', width: 2 },
} as const;
const INK = '#1f2328';
const FAINT = '#57606a';
const GRID = '#e2e5e9';

const TITLE_SIZE = 18;
const LABEL_SIZE = 15;
const TICK_SIZE = 14;
/** Space around the plot: title, names at the line ends, times, values. */
const MARGIN = { top: 38, right: 84, bottom: 30, left: 58 };
const EDGE = 12;

export function panel({ check, canary, stable }: Lines, box: Box, span: Span): string {
  const plot = {
    left: MARGIN.left,
    right: box.width - MARGIN.right,
    top: MARGIN.top,
    bottom: box.height - MARGIN.bottom,
  };
  const x = scaleLinear([span.from, span.to], [plot.left, plot.right]);
  const tickCount = plot.bottom - plot.top > 150 ? 5 : 3;
  const y = scaleLinear(valueRange(check, [...canary, ...stable]), [plot.bottom, plot.top]).nice(tickCount);
  const measured = canary.length + stable.length > 0;

  const ticks = measured
    ? y
        .ticks(tickCount)
        .map((tick) =>
          [
            rule(plot.left, plot.right, y(tick), GRID),
            text(tickWords(tick), plot.left - 8, y(tick) + 5, TICK_SIZE, { anchor: 'end', fill: FAINT }),
          ].join(''),
        )
    : [];
  const limits = [check.min, check.max].flatMap((limit) =>
    limit === null || !measured
      ? []
      : [rule(plot.left, plot.right, y(limit), INK, 'stroke-width="2" stroke-dasharray="7 5"')],
  );
  // The thinner one on top, so that both show where they are equal.
  const lines = [curve(canary, 'canary', x, y), curve(stable, 'stable', x, y)];
  const names = measured
    ? endNames({ canary, stable }, check, y, plot)
    : text('no data', (plot.left + plot.right) / 2, (plot.top + plot.bottom) / 2, TITLE_SIZE, {
        anchor: 'middle',
        fill: FAINT,
      });
  return `<g transform="translate(${box.x} ${box.y})">${heading(check, box.width)}${ticks.join('')}${times(span, plot)}${limits.join('')}${lines.join('')}${names}</g>`;
}

function heading(check: Check, width: number): string {
  const limit = limitWords(check);
  const limitWidth = limit.length * LABEL_SIZE * 0.6;
  const dash = width - EDGE - limitWidth - 36;
  const title = check.unit === '' ? check.name : `${check.name}, ${check.unit}`;
  return [
    text(cutTo(title, TITLE_SIZE, dash - EDGE - 8), EDGE, 22, TITLE_SIZE, { bold: true }),
    limit === '' ? '' : rule(dash, dash + 28, 17, INK, 'stroke-width="2" stroke-dasharray="7 5"'),
    text(limit, width - EDGE, 22, LABEL_SIZE, { anchor: 'end' }),
  ].join('');
}

/** From the lowest to the highest value or limit, with some air; rates do not go above 100%. */
function valueRange(check: Check, points: Points): [number, number] {
  const values = [...points.map((point) => point.value), ...[check.min, check.max].filter((limit) => limit !== null)];
  if (values.length === 0) return [0, 1];
  const low = Math.min(...values);
  const high = Math.max(...values);
  const air = some((high - low) * 0.1) || some(Math.abs(high) * 0.1) || 1;
  const floor = low >= 0 ? 0 : low - air;
  if (check.unit !== '%') return [floor, high + air];
  return [Math.max(floor, low - air), high <= 100 ? Math.min(100, high + air) : high + air];
}

/** Differences that nobody could see are none: an axis of denormal numbers has no ticks. */
const some = (difference: number) => (difference > 1e-9 ? difference : 0);

type Scale = (value: number) => number;

/** Breaks where samples are missing; a sample alone is a dot. */
function curve(points: Points, side: Side, x: Scale, y: Scale): string {
  const { color, width } = STYLE[side];
  const draw = line<Point>(
    (point) => x(point.at),
    (point) => y(point.value),
  );
  return unbroken(points)
    .map((run) => {
      const [only] = run;
      if (run.length === 1 && only)
        return `<circle cx="${x(only.at)}" cy="${y(only.value)}" r="${width + 1}" fill="${color}"/>`;
      return `<path d="${draw(run)}" fill="none" stroke="${color}" stroke-width="${width}" stroke-linejoin="round" stroke-linecap="round"/>`;
    })
    .join('');
}

/** Runs of points without a missing one: farther apart than one and a half of the usual distance. */
function unbroken(points: Points): readonly (readonly Point[])[] {
  const distances = points.slice(1).map((point, index) => point.at - (points[index]?.at ?? 0));
  // The last point, the gate's own, may come right after the one before.
  const step = distances.toSorted((a, b) => a - b)[(distances.length - 1) >> 1] ?? 0;
  const runs: Point[][] = [];
  for (const [index, point] of points.entries()) {
    const before = index === 0 ? Number.POSITIVE_INFINITY : (distances[index - 1] ?? 0);
    const run = runs.at(-1);
    if (run && before <= step * 1.5) run.push(point);
    else runs.push([point]);
  }
  return runs;
}

type Plot = { readonly left: number; readonly right: number; readonly top: number; readonly bottom: number };

const NAME_HEIGHT = 2 * LABEL_SIZE + 5;

/** `canary` and its last value beside the end of its line, moved apart where the lines end close to each other. */
function endNames(points: Readonly<Record<Side, Points>>, { unit }: Check, y: Scale, plot: Plot): string {
  const names = (['canary', 'stable'] as const)
    .map((side) => {
      const last = points[side].at(-1);
      return { side, value: last ? valueWords(last.value, unit) : 'no data', at: last ? y(last.value) : plot.bottom };
    })
    .toSorted((a, b) => a.at - b.at);
  const [upper, lower] = names;
  if (!upper || !lower) return '';
  const overlap = Math.max(0, NAME_HEIGHT + 2 - (lower.at - upper.at)) / 2;
  const lowest = plot.bottom - NAME_HEIGHT / 2;
  const highest = plot.top + NAME_HEIGHT / 2;
  const top = clamp(upper.at - overlap, highest, lowest - NAME_HEIGHT - 2);
  const bottom = clamp(lower.at + overlap, Math.max(highest, top + NAME_HEIGHT + 2), lowest);
  return [
    { ...upper, at: top },
    { ...lower, at: bottom },
  ]
    .map(({ side, value, at }) => {
      const style = { fill: STYLE[side].color, bold: true };
      const left = plot.right + 8;
      return (
        text(side, left, at - 4, LABEL_SIZE, style) +
        text(cutTo(value, LABEL_SIZE, MARGIN.right - 8), left, at + LABEL_SIZE, LABEL_SIZE, { fill: STYLE[side].color })
      );
    })
    .join('');
}

const clamp = (value: number, low: number, high: number) => Math.min(Math.max(value, low), high);

function times({ from, to }: Span, plot: Plot): string {
  const baseline = plot.bottom + 20;
  const at = (time: number, x: number, anchor: Anchor, words = clock(time)) =>
    text(words, x, baseline, TICK_SIZE, { anchor, fill: FAINT });
  const middle = (from + to) / 2;
  return [
    rule(plot.left, plot.right, plot.bottom, FAINT),
    at(from, plot.left, 'start'),
    plot.right - plot.left > 400 ? at(middle, (plot.left + plot.right) / 2, 'middle') : '',
    at(to, plot.right, 'end', `${clock(to)} UTC`),
  ].join('');
}

function rule(left: number, right: number, y: number, color: string, more = ''): string {
  return `<line x1="${left}" x2="${right}" y1="${y}" y2="${y}" stroke="${color}" ${more}/>`;
}

type Anchor = 'start' | 'middle' | 'end';

export function text(
  words: string,
  x: number,
  y: number,
  size: number,
  {
    anchor = 'start',
    fill = INK,
    bold = false,
  }: { readonly anchor?: Anchor; readonly fill?: string; readonly bold?: boolean } = {},
): string {
  const weight = bold ? ' font-weight="600"' : '';
  return `<text x="${x}" y="${y}" font-size="${size}" text-anchor="${anchor}" fill="${fill}"${weight}>${escapeXml(words)}</text>`;
}
