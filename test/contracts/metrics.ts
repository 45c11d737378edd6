/**
 * What every `Metrics` promises, whatever counts the requests. `open` gets traffic that was (and goes on being) sent, and
 * gives a `Metrics` that can see it.
 */
import { afterEach, describe, expect, it } from 'vitest';
import type { Metrics } from '../../src/app/ports/metrics.ts';
import type { Measured, Reading } from '../../src/core/analysis.ts';
import type { Preset } from '../../src/core/config-schema.ts';
import type { Check, Target } from '../../src/core/plan.ts';

/** Requests of one side at a steady rate. Seconds, counted back from now; a negative end lies in the future. */
export type Traffic = {
  readonly side: 'canary' | 'stable';
  readonly startedAgo: number;
  readonly endedAgo: number;
  readonly perSecond: number;
  /** Share of the requests that fail, 0 to 1. */
  readonly failing: number;
  readonly latencyMs: number;
};

export type OpenMetrics = (
  target: Target,
  traffic: readonly Traffic[],
) => Promise<{ readonly metrics: Metrics; readonly now: number; close(): Promise<void> }>;

export const TARGET: Target = {
  service: 'world',
  namespace: 'hello',
  deployment: 'world',
  container: 'world',
  workload: 'twin',
  traffic: { router: 'gateway-api', routes: ['hello/world'] },
};

export const aCheck = (query: string, over: Partial<Check> = {}): Check => ({
  name: query,
  query,
  min: 99,
  max: null,
  unit: '%',
  intervalMs: 15_000,
  windowMs: 60_000,
  fails: 2,
  minRequests: 20,
  ...over,
});

const AHEAD = -60;
const steady = (side: Traffic['side'], over: Partial<Traffic> = {}): Traffic => ({
  side,
  startedAgo: 120,
  endedAgo: AHEAD,
  perSecond: 10,
  failing: 0,
  latencyMs: 8,
  ...over,
});

const numberIn = (reading: Reading | undefined): number => {
  if (reading && 'value' in reading) return reading.value;
  throw new Error(`no value: ${JSON.stringify(reading)}`);
};

/** `family`: whose counters the traffic is counted by. */
export function metricsContract(family: 'linkerd' | 'traefik', open: OpenMetrics): void {
  const rate: Preset = `${family}/success-rate`;
  const p99: Preset = `${family}/latency-p99`;

  describe(`measuring what ${family} counts`, () => {
    let close: () => Promise<void> = async () => undefined;
    afterEach(() => close());

    async function measure(
      traffic: readonly Traffic[],
      checks: readonly Check[],
      sinceAgo = 90,
    ): Promise<readonly Measured[]> {
      const opened = await open(TARGET, traffic);
      close = opened.close;
      return opened.metrics.measure(TARGET, checks, opened.now - sinceAgo * 1000, opened.now);
    }

    it('gives both sides and their requests, in the order of the checks', async () => {
      const [latency, success, ...rest] = await measure(
        [steady('canary'), steady('stable', { perSecond: 90 })],
        [aCheck(p99), aCheck(rate)],
      );
      expect(rest).toEqual([]);
      expect([latency?.check, success?.check]).toEqual([p99, rate]);
      expect(success).toMatchObject({ canary: { value: 100 }, stable: { value: 100 } });
      // A window of 60 s holds 600 requests, give or take its edges.
      expect(success?.requests?.canary).toBeGreaterThan(500);
      expect(success?.requests?.canary).toBeLessThan(700);
      expect(success?.requests?.stable).toBeGreaterThan(4500);
      expect(success?.requests?.stable).toBeLessThan(6300);
      expect(latency?.requests).toEqual(success?.requests);
    });

    it.each([
      ['a fifth of them', 0.2, 80],
      ['all of them', 1, 0],
    ])('counts failed requests: %s', async (_, failing, expected) => {
      const [success] = await measure([steady('canary', { failing }), steady('stable')], [aCheck(rate)]);
      expect(numberIn(success?.canary)).toBeCloseTo(expected, 0);
      expect(success?.stable).toEqual({ value: 100 });
    });

    it('says that there is nothing where no request came', async () => {
      const measured = await measure([steady('stable')], [aCheck(rate), aCheck(p99)]);
      for (const check of measured) {
        expect(check.canary).toHaveProperty('missing');
        expect(check.requests?.canary).toBe(0);
        expect(check.stable).toHaveProperty('value');
      }
    });

    it('says that there is nothing when requests have stopped coming', async () => {
      const [success] = await measure([steady('canary', { startedAgo: 300, endedAgo: 120 })], [aCheck(rate)], 240);
      expect(success?.canary).toHaveProperty('missing');
    });

    it('never counts an earlier canary of the same name', async () => {
      const earlier = steady('canary', { startedAgo: 120, endedAgo: 40, failing: 1, latencyMs: 4000 });
      const now = steady('canary', { startedAgo: 30 });
      const [success, latency] = await measure([earlier, now, steady('stable')], [aCheck(rate), aCheck(p99)], 30);
      expect(success?.canary).toEqual({ value: 100 });
      expect(numberIn(latency?.canary)).toBeLessThan(1000);
      expect(success?.requests?.canary).toBeLessThan(400);
    });

    it('tells a slow canary from a fast one', async () => {
      const [latency] = await measure([steady('canary', { latencyMs: 800 }), steady('stable')], [aCheck(p99)]);
      expect(numberIn(latency?.canary)).toBeGreaterThan(500);
      expect(numberIn(latency?.canary)).toBeLessThan(1300);
      expect(numberIn(latency?.stable)).toBeLessThan(101);
    });

    it('draws both lines within the time asked for, of at most 120 points', async () => {
      const {
        metrics,
        now,
        close: closeIt,
      } = await open(TARGET, [steady('canary', { failing: 0.5 }), steady('stable')]);
      close = closeIt;
      const [canary, stable, ...rest] = await metrics.range(TARGET, [aCheck(rate)], now - 90_000, now);
      expect(rest).toEqual([]);
      expect([canary?.side, stable?.side]).toEqual(['canary', 'stable']);
      for (const [series, expected] of [[canary, 50] as const, [stable, 100] as const]) {
        const points = series?.points ?? [];
        expect(points.length).toBeGreaterThan(10);
        expect(points.length).toBeLessThanOrEqual(120);
        for (const { at, value } of points) {
          expect(value).toBeCloseTo(expected, 0);
          expect(at).toBeGreaterThanOrEqual(now - 90_000);
          expect(at).toBeLessThanOrEqual(now);
        }
      }
    });
  });
}
