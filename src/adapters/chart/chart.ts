/** The picture that follows a gate, as PNG, and the same in words. */
import { createRequire } from 'node:module';
import type { Series } from '../../app/ports/metrics.ts';
import type { Span } from './panel.ts';
import { chartSvg, FONT, linesOf, WIDTH } from './svg.ts';
import { valueWords } from './words.ts';

/** Sharp on telephones. */
const PIXELS_PER_POINT = 2;
const MAX_ALT = 1000;

/**
 * 720 points wide (1440 pixels), 300 high for up to four checks, 150 more for each two after that. `span`: the time shown,
 * ms since 1970; by default that of the points. The same series give the same bytes.
 */
export async function renderChart(series: readonly Series[], span?: Span): Promise<Uint8Array> {
  // Loaded with the first picture: a bot that never draws one does not pay for it. Draws off the event loop.
  const { renderAsync } = await import('@resvg/resvg-js');
  const image = await renderAsync(chartSvg(series, span), {
    fitTo: { mode: 'width', value: WIDTH * PIXELS_PER_POINT },
    font: { fontFiles: fontFiles(), loadSystemFonts: false, defaultFontFamily: FONT },
  });
  return new Uint8Array(image.asPng());
}

function fontFiles(): string[] {
  const { resolve } = createRequire(import.meta.url);
  return ['400Regular/Inter_400Regular', '600SemiBold/Inter_600SemiBold'].map((font) =>
    resolve(`@expo-google-fonts/inter/${font}.ttf`),
  );
}

/** What the lines show, for those who do not see them: first, last, lowest and highest value of each. */
export function chartAlt(series: readonly Series[]): string {
  const sentences = linesOf(series).map(({ check, canary, stable }) => {
    const side = (name: string, points: Series['points']) => `${name} ${courseWords(points, check.unit)}`;
    return `${check.name}: ${side('canary', canary)}; ${side('stable', stable)}.`;
  });
  const text = sentences.join(' ') || 'no data';
  return text.length > MAX_ALT ? `${text.slice(0, MAX_ALT - 1)}…` : text;
}

function courseWords(points: Series['points'], unit: Series['check']['unit']): string {
  const [first] = points;
  const last = points.at(-1);
  if (!first || !last) return 'no data';
  const values = points.map((point) => point.value);
  const words = (value: number) => valueWords(value, unit);
  return `first ${words(first.value)}, last ${words(last.value)}, lowest ${words(Math.min(...values))}, highest ${words(Math.max(...values))}`;
}
