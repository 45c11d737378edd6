import { Resvg } from '@resvg/resvg-js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chartAlt, renderChart } from '../../../src/adapters/chart/chart.ts';
import { createGateChart } from '../../../src/adapters/chart/gate.ts';
import { chartSvg } from '../../../src/adapters/chart/svg.ts';
import { cutTo, valueWords } from '../../../src/adapters/chart/words.ts';
import type { Metrics, Series } from '../../../src/app/ports/metrics.ts';
import type { Check } from '../../../src/core/plan.ts';
import { aCheck, aPlan, atGate } from './support.ts';

const START = Date.UTC(2026, 10, 20, 10, 41, 3);
const STEP = 4000;

type Values = readonly (number | null)[];
const pointsOf = (values: Values) =>
  values.flatMap((value, index) => (value === null ? [] : [{ at: START + index * STEP, value }]));
const both = (check: Check, canary: Values, stable: Values): readonly Series[] => [
  { check, side: 'canary', points: pointsOf(canary) },
  { check, side: 'stable', points: pointsOf(stable) },
];

const rate = aCheck({ name: 'success rate', min: 99, unit: '%' });
const latency = aCheck({ name: 'p99 latency', max: 500, unit: 'ms' });
const falling = both(rate, [99.9, 99.5, 98.1], [99.95, 99.94, 99.96]);
const checks = (count: number) =>
  Array.from({ length: count }, (_, index) => both({ ...rate, name: `check ${index}` }, [99, 98], [100, 100])).flat();
const span = { from: START - 10_000, to: START + 60_000 };

const sizeOf = (png: Uint8Array) => {
  const view = new DataView(png.buffer, png.byteOffset, png.byteLength);
  expect([...png.subarray(1, 4)]).toEqual([...new TextEncoder().encode('PNG')]);
  return [view.getUint32(16), view.getUint32(20)];
};

describe('the picture', () => {
  it.each([
    ['nothing', [], [1440, 600]],
    ['one check', falling, [1440, 600]],
    ['four checks', checks(4), [1440, 600]],
    ['five checks', checks(5), [1440, 900]],
  ])('of %s is %o wide and high', async (_, series, size) => {
    expect(sizeOf(await renderChart(series, span))).toEqual(size);
  });

  it('has words in it, whatever fonts the machine has', async () => {
    const withWords = await renderChart(falling, span);
    const wordless = new Resvg(chartSvg(falling, span), {
      fitTo: { mode: 'width', value: 1440 },
      font: { loadSystemFonts: false },
    });
    expect(withWords.length).toBeGreaterThan(wordless.render().asPng().length * 1.5);
  });

  it('is the same each time', async () => {
    expect(await renderChart(falling, span)).toEqual(await renderChart(falling, span));
  });
});

/** Words with their places in the first panel. */
function wordsOf(svg: string) {
  return [...svg.matchAll(/<text x="([^"]+)" y="([^"]+)"[^>]*>([^<]*)</g)].map(([, x, y, words]) => ({
    x: Number(x),
    y: Number(y),
    words,
  }));
}
const wordsIn = (series: readonly Series[]) => wordsOf(chartSvg(series, span)).map(({ words }) => words);
const lineOf = (svg: string, side: 'canary' | 'stable') => {
  const color = side === 'canary' ? '#b84a00' : '#0067a3';
  return {
    runs: svg.match(new RegExp(`<path [^>]*stroke="${color}"`, 'g'))?.length ?? 0,
    dots: svg.match(new RegExp(`<circle [^>]*fill="${color}"`, 'g'))?.length ?? 0,
  };
};

describe('a panel', () => {
  it('names check, unit, limit, both lines with their last values, and the time in UTC', () => {
    const words = wordsIn(falling);
    for (const word of [
      'success rate, %',
      'min 99%',
      'canary',
      '98.1%',
      'stable',
      '99.96%',
      '10:40:53',
      '10:42:03 UTC',
    ]) {
      expect(words).toContain(word);
    }
  });

  it('says "no data" where there is none', () => {
    expect(wordsIn(both(latency, [], []))).toContain('no data');
    expect(wordsIn(both(latency, [120], []))).toEqual(
      expect.arrayContaining(['canary', '120 ms', 'stable', 'no data']),
    );
    expect(wordsIn([])).toEqual(['no data']);
  });

  it('breaks a line where samples are missing, and shows one that is alone', () => {
    expect(
      lineOf(chartSvg(both(rate, [99, 99, null, null, 99, 99], [99, 99, 99, 99, 99, 99]), span), 'canary'),
    ).toEqual({ runs: 2, dots: 0 });
    expect(lineOf(chartSvg(both(rate, [99, 99, null, 99, null, 99, 99], []), span), 'canary')).toEqual({
      runs: 2,
      dots: 1,
    });
    expect(lineOf(chartSvg(both(rate, [99], [100]), span), 'stable')).toEqual({ runs: 0, dots: 1 });
  });

  it('stays one line though its last point comes right after the one before', () => {
    const [line] = both(rate, [99, 99, 99, 99], []);
    const last = line?.points.at(-1);
    if (!line || !last) throw new Error('there is a line');
    const ended = { ...line, points: [...line.points, { at: last.at + 200, value: 98 }] };
    expect(lineOf(chartSvg([ended], span), 'canary')).toEqual({ runs: 1, dots: 0 });
  });

  it('draws the limits dashed, and the title keeps clear of them', () => {
    const dashes = (check: Check) => chartSvg(both(check, [5], [5]), span).match(/stroke-dasharray/g)?.length;
    // One dash is in the heading, as the key.
    expect(dashes(aCheck({ max: 7 }))).toBe(2);
    expect(dashes(aCheck({ min: 1, max: 7 }))).toBe(3);
    const long = wordsIn([
      ...both(aCheck({ name: 'a'.repeat(60), min: 1000, max: 2000, unit: 'ms' }), [1], [1]),
      ...falling,
    ]);
    expect(long[0]).toMatch(/^a{5,}…$/);
  });

  it('shows names of anything as they are', () => {
    expect(chartSvg(both(aCheck({ name: 'a < b & "c"' }), [1], [1]), span)).toContain('a &lt; b &amp; &quot;c&quot;');
  });

  it('keeps every word inside and the names of the lines apart, whatever was measured', () => {
    const value = fc.double({ noNaN: true, min: -1e12, max: 1e12 });
    const values = fc.array(fc.option(value), { maxLength: 20 });
    const limit = fc.option(fc.double({ noNaN: true, min: -1e6, max: 1e6 }));
    fc.assert(
      fc.property(
        values,
        values,
        limit,
        limit,
        fc.constantFrom<Check['unit']>('%', 'ms', ''),
        fc.integer({ min: 1, max: 6 }),
        (canary, stable, min, max, unit, count) => {
          const series = Array.from({ length: count }, (_, index) =>
            both(aCheck({ name: `c${index}`, min, max, unit }), canary, stable),
          ).flat();
          const svg = chartSvg(series, span);
          expect(svg).not.toMatch(/NaN|Infinity|undefined/);
          const height = count > 2 ? 150 : 300;
          const words = wordsOf(svg);
          for (const { x, y } of words) {
            expect(x).toBeGreaterThanOrEqual(0);
            expect(x).toBeLessThanOrEqual(720);
            expect(y).toBeGreaterThan(10);
            expect(y).toBeLessThan(height);
          }
          const names = words.filter(({ words }) => words === 'canary' || words === 'stable');
          for (let index = 0; index + 1 < names.length; index += 2) {
            expect(Math.abs((names[index]?.y ?? 0) - (names[index + 1]?.y ?? 0))).toBeGreaterThan(30);
          }
        },
      ),
      { examples: [[[], [0], -2.5e-323, null, '%', 1]] },
    );
  });
});

describe('numbers in words', () => {
  it.each([
    [99, '%', '99%'],
    [99.987_654, '%', '99.99%'],
    [0, '%', '0%'],
    [512.34, 'ms', '512 ms'],
    [1234.5, 'ms', '1235 ms'],
    [51.26, 'ms', '51.3 ms'],
    [0.0512, 'ms', '0.0512 ms'],
    [12_345, 'ms', '12.35 s'],
    [1_234_567, '', '1.235M'],
    [-3, '', '-3'],
  ] as const)('%f in "%s" is %s', (value, unit, words) => {
    expect(valueWords(value, unit)).toBe(words);
  });

  it('are cut where they do not fit', () => {
    expect(cutTo('success rate', 10, 1000)).toBe('success rate');
    expect(cutTo('success rate', 10, 54)).toBe('success…');
    expect(cutTo('success rate', 10, 0)).toBe('…');
  });
});

describe('the picture in words', () => {
  it('says first, last, lowest and highest of each line', () => {
    expect(chartAlt([...falling, ...both(latency, [], [110])])).toBe(
      'success rate: canary first 99.9%, last 98.1%, lowest 98.1%, highest 99.9%; ' +
        'stable first 99.95%, last 99.96%, lowest 99.94%, highest 99.96%. ' +
        'p99 latency: canary no data; stable first 110 ms, last 110 ms, lowest 110 ms, highest 110 ms.',
    );
    expect(chartAlt([])).toBe('no data');
  });

  it('fits into what Slack takes', () => {
    expect(chartAlt(checks(40)).length).toBeLessThanOrEqual(1000);
  });
});

describe('the picture of a gate', () => {
  const gateAt = START + 10 * 60_000;
  const asking = (series: readonly Series[]) => {
    const asked: { from: number; to: number }[] = [];
    const metrics: Metrics = {
      measure: async () => [],
      range: async (_target, _checks, from, to) => {
        asked.push({ from, to });
        return series;
      },
    };
    return { asked, chart: createGateChart(metrics) };
  };

  it('ends when the gate was opened and is never measured from before the first canary traffic', async () => {
    const { asked, chart } = asking(falling);
    const drawn = await chart(atGate(aPlan([rate]), { openedAt: gateAt, since: gateAt - 20_000 }), 1);
    expect(sizeOf(drawn?.png ?? new Uint8Array())).toEqual([1440, 600]);
    expect(drawn?.alt).toContain('success rate: canary first 99.9%');
    await chart(atGate(aPlan([rate]), { openedAt: gateAt, since: gateAt - 3_600_000 }), 1);
    expect(asked).toEqual([
      { from: gateAt - 20_000, to: gateAt },
      { from: gateAt - 1_800_000, to: gateAt },
    ]);
  });

  it.each([
    ['no traffic has flowed', aPlan([rate]), { since: null }, falling],
    ['nothing is checked', aPlan([]), {}, falling],
    ['nothing was measured', aPlan([rate]), {}, both(rate, [], [])],
  ])('is not drawn when %s', async (_, plan, over, series) => {
    const { chart } = asking(series);
    expect(await chart(atGate(plan, { openedAt: gateAt, since: START, ...over }), 1)).toBeNull();
  });
});
