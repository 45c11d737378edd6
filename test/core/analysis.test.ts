import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type CheckResult,
  countFailures,
  type Failures,
  judge,
  type Measured,
  type Reading,
  tripped,
  type Verdict,
} from '../../src/core/analysis.ts';
import { aCheck, result } from './support.ts';

const requests = (canary: number) => ({ canary, stable: 1000 });
const measured = (canary: Reading, counted: Measured['requests'] = requests(100)): Measured => ({
  check: 'success rate',
  canary,
  stable: { value: 99.9 },
  requests: counted,
});

describe('the verdict on one measurement', () => {
  const rate = aCheck('success rate', { min: 99, max: null });
  const latency = aCheck('latency', { min: null, max: 500, unit: 'ms' });
  const between = aCheck('replicas', { min: 2, max: 4, unit: '' });
  it.each([
    ['above the minimum', rate, measured({ value: 99.5 }), 'pass'],
    ['on the minimum', rate, measured({ value: 99 }), 'pass'],
    ['below the minimum', rate, measured({ value: 98.999 }), 'fail'],
    ['every request failed', rate, measured({ value: 0 }), 'fail'],
    ['on the maximum', latency, measured({ value: 500 }), 'pass'],
    ['above the maximum', latency, measured({ value: 500.1 }), 'fail'],
    ['between both ends', between, measured({ value: 3 }), 'pass'],
    ['outside of both ends, below', between, measured({ value: 1 }), 'fail'],
    ['outside of both ends, above', between, measured({ value: 5 }), 'fail'],
    ['no value', rate, measured({ missing: 'timeout' }), 'no data'],
    ['NaN', rate, measured({ value: Number.NaN }), 'no data'],
    ['infinite', latency, measured({ value: Number.POSITIVE_INFINITY }), 'no data'],
    ['enough requests', rate, measured({ value: 100 }, requests(20)), 'pass'],
    ['one request too few, though good', rate, measured({ value: 100 }, requests(19)), 'no data'],
    ['one request too few, though bad', rate, measured({ value: 0 }, requests(19)), 'no data'],
    ['a number of requests that is not one', rate, measured({ value: 100 }, requests(Number.NaN)), 'no data'],
    ['requests unknown: the value alone', rate, measured({ value: 100 }, null), 'pass'],
    [
      'stable without a value does not matter',
      rate,
      { ...measured({ value: 100 }), stable: { missing: 'no samples' } },
      'pass',
    ],
  ] as const)('%s', (_, check, sample, verdict) => {
    expect(judge(check, sample)).toBe(verdict);
  });

  it('passes only what is measured, finite, within its limits and asked often enough', () => {
    const limit = fc.option(fc.double({ noNaN: true, min: -1e6, max: 1e6 }));
    const reading = fc.oneof(fc.record({ value: fc.double() }), fc.record({ missing: fc.string() }));
    const counts = fc.option(fc.record({ canary: fc.oneof(fc.nat(50), fc.constant(Number.NaN)), stable: fc.nat() }));
    fc.assert(
      fc.property(limit, limit, reading, counts, (min, max, canary, counted) => {
        if (judge(aCheck('x', { min, max }), measured(canary, counted)) !== 'pass') return;
        const value = 'value' in canary ? canary.value : Number.NaN;
        expect(Number.isFinite(value)).toBe(true);
        expect(value).toBeGreaterThanOrEqual(min ?? value);
        expect(value).toBeLessThanOrEqual(max ?? value);
        expect(counted?.canary ?? 20).toBeGreaterThanOrEqual(20);
      }),
    );
  });
});

describe('failures in a row', () => {
  const checks = [aCheck('rate', { fails: 2 }), aCheck('latency', { fails: 3 })];
  const [rate, latency] = checks;
  const counted = (...rows: readonly (readonly CheckResult[])[]): Failures => rows.reduce<Failures>(countFailures, {});
  const of = (...verdicts: readonly Verdict[]) => verdicts.map((verdict) => [result('rate', verdict)]);
  it.each([
    ['one failure is not enough', of('fail'), undefined],
    ['two in a row', of('fail', 'fail'), rate],
    ['a pass between them forgives', of('fail', 'pass', 'fail'), undefined],
    ['no data between them does not', of('fail', 'no data', 'fail'), rate],
    ['no data alone never counts', of('no data', 'no data', 'no data'), undefined],
    [
      'a second check has its own count',
      [[result('rate', 'fail')], [result('latency', 'fail')], [result('latency', 'fail')]],
      undefined,
    ],
    [
      'the first check that failed too often is named',
      [
        [result('rate', 'fail'), result('latency', 'fail')],
        [result('rate', 'fail'), result('latency', 'fail')],
      ],
      rate,
    ],
    [
      'each has its own patience',
      [[result('latency', 'fail')], [result('latency', 'fail')], [result('latency', 'fail')]],
      latency,
    ],
  ])('%s', (_, rows, check) => {
    expect(tripped(checks, counted(...rows))).toBe(check);
  });

  it('is the length of the last run of failures, with no data left out', () => {
    const verdicts = fc.array(fc.constantFrom<Verdict>('pass', 'fail', 'no data'), { maxLength: 30 });
    fc.assert(
      fc.property(verdicts, (said) => {
        const judged = said.filter((verdict) => verdict !== 'no data');
        const run = judged.length - 1 - judged.lastIndexOf('pass');
        expect(counted(...of(...said)).rate ?? 0).toBe(run);
      }),
    );
  });

  it('leaves what was counted before as it was', () => {
    const before = Object.freeze({ rate: 1 });
    expect(countFailures(before, [result('rate', 'fail')])).toEqual({ rate: 2 });
    expect(before).toEqual({ rate: 1 });
  });
});
