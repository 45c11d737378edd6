/** Smoke tests ask every Ready canary pod, at the port that they name. */
import { describe, expect, it } from 'vitest';
import { test } from '../../src/app/evidence.ts';
import type { EffectDeps } from '../../src/app/outcome.ts';
import type { Prober } from '../../src/app/ports/prober.ts';
import type { Workload } from '../../src/app/ports/workload.ts';
import { begin } from '../../src/core/decide.ts';
import type { SmokeTest } from '../../src/core/plan.ts';
import { samplePlan } from '../support/played.ts';
import { only } from './support.ts';

/** Pods that answer 200 at 8080 (named http) and 404 at 9090. */
async function asked(one: Partial<SmokeTest>) {
  const tests = [{ name: 'smoke', get: '/healthz', status: 200, ...one }];
  const plan = { ...samplePlan('world', 'test'), tests };
  const { rollout } = begin({ type: 'requested', id: 'world-abcdef', plan, epoch: 1 }, 0);
  const urls: string[] = [];
  const workload = only<Workload>({
    canaryAddresses: async (_, port = 'http') =>
      port === 'admin' ? [] : [`http://10.0.0.9:${port === 'http' ? 8080 : port}`],
  });
  const prober: Prober = {
    async probe(url) {
      urls.push(url);
      return { status: url.includes(':8080/') ? 200 : 404 };
    },
  };
  const [result] = await test(only<EffectDeps>({ workload: () => workload, prober }), rollout);
  return { ...result, urls: [...new Set(urls)] };
}

describe('a smoke test', () => {
  it.each<[string, Partial<SmokeTest>, string[], object]>([
    ['no port', {}, ['http://10.0.0.9:8080/healthz'], { passed: true, detail: '200 from 1 of 1 pods' }],
    ['a number', { port: 8080 }, ['http://10.0.0.9:8080/healthz'], { passed: true }],
    [
      'one where something else listens',
      { port: 9090, status: 200 },
      ['http://10.0.0.9:9090/healthz'],
      { passed: false, detail: 'answered 404, not 200' },
    ],
    [
      'a name that no port has',
      { port: 'admin' },
      [],
      { passed: false, detail: 'no canary pod is Ready at a port named admin' },
    ],
  ])('with %s', async (_, given, urls, result) => {
    expect(await asked(given)).toMatchObject({ test: 'smoke', urls, ...result });
  });
});
