/** Which of two things that are wrong a look tells: a canary that cannot serve waits for nobody. */
import { expect, it } from 'vitest';
import { atGate, quietPlan } from '../../bench/rollouts.ts';
import { observe } from '../../src/app/observe.ts';
import type { EffectDeps } from '../../src/app/outcome.ts';
import type { TrafficRouter } from '../../src/app/ports/router.ts';
import type { Workload } from '../../src/app/ports/workload.ts';
import { only } from './support.ts';

const drift = { object: 'DestinationRule hello/world', difference: 'its subset world-canary is gone', weight: null };
const look = (lost: string | null) =>
  observe(
    only<EffectDeps>({
      router: () => only<TrafficRouter>({ drift: async () => drift }),
      workload: () => only<Workload>({ lost: async () => lost, drift: async () => null }),
    }),
    atGate(quietPlan('test', 'hello'), 10, 1, Date.now()),
  );

it.each([
  { what: 'that the canary is lost, before the edit that did it', lost: 'gone', type: 'lost' },
  { what: 'an edit that loses nothing', lost: null, type: 'drifted' },
])('a look tells $what', async ({ lost, type }) => {
  expect(await look(lost)).toMatchObject({ kind: 'event', event: { type } });
});
