/** The gate's picture as SVG: a panel for each check, two in a row. */
import type { Series } from '../../app/ports/metrics.ts';
import { type Box, type Lines, panel, type Span, text } from './panel.ts';

export const FONT = 'Inter';
export const WIDTH = 720;
const HEIGHT = 300;
const MIN_ROW_HEIGHT = 150;
const PER_ROW = 2;

export function chartSvg(series: readonly Series[], given: Span | undefined): string {
  const checks = linesOf(series);
  const rows = Math.max(1, Math.ceil(checks.length / PER_ROW));
  const rowHeight = Math.max(MIN_ROW_HEIGHT, HEIGHT / rows);
  const span = given ?? spanOf(series);
  const panels = checks.map((lines, index) => panel(lines, boxOf(index, checks.length, rowHeight), span));
  const height = rows * rowHeight;
  const empty = text('no data', WIDTH / 2, height / 2, 18, { anchor: 'middle' });
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" font-family="${FONT}"><rect width="100%" height="100%" fill="#ffffff"/>${panels.join('') || empty}</svg>`;
}

/** Both lines of each check, in the order of the series. */
export function linesOf(series: readonly Series[]): readonly Lines[] {
  const checks = new Map(series.map(({ check }) => [check.name, check]));
  return [...checks.values()].map((check) => {
    const points = (side: Series['side']) =>
      series.find((one) => one.check.name === check.name && one.side === side)?.points ?? [];
    return { check, canary: points('canary'), stable: points('stable') };
  });
}

/** The last one of an odd number has the row for itself. */
function boxOf(index: number, count: number, height: number): Box {
  const alone = index === count - 1 && count % PER_ROW === 1;
  const width = alone ? WIDTH : WIDTH / PER_ROW;
  return { x: alone ? 0 : (index % PER_ROW) * width, y: Math.floor(index / PER_ROW) * height, width, height };
}

function spanOf(series: readonly Series[]): Span {
  const times = series.flatMap(({ points }) => points.map((point) => point.at));
  const from = times.reduce((earliest, at) => Math.min(earliest, at), Number.POSITIVE_INFINITY);
  const to = times.reduce((latest, at) => Math.max(latest, at), Number.NEGATIVE_INFINITY);
  return times.length > 0 ? { from, to: Math.max(to, from + 1000) } : { from: 0, to: 1000 };
}
