import { expect, it } from 'vitest';
import { runEffect } from '../../src/app/effects.ts';
import type { EffectDeps } from '../../src/app/outcome.ts';
import type { TrafficRouter } from '../../src/app/ports/router.ts';
import type { Workload } from '../../src/app/ports/workload.ts';
import { begin } from '../../src/core/decide.ts';
import { samplePlan } from '../support/played.ts';
import { only } from './support.ts';

it.each([
  ['a deploy', 'deploy', undefined],
  ['a rollback', 'rollback', true],
] as const)('the release of %s says which it was', async (_, kind, rolledBack) => {
  const plan = { ...samplePlan('world', 'test'), kind };
  const { rollout } = begin({ type: 'requested', id: 'world-aaaaaa', plan, epoch: 1 }, 7);
  const deps = only<EffectDeps>({
    router: () => only<TrafficRouter>({ reset: async () => ({ kind: 'done' }) }),
    workload: () => only<Workload>({ stableTemplate: async () => ({ template: {}, image: 'i' }) }),
  });
  const loaded = { rollout, head: '', now: 7, abort: null };
  const outcome = await runEffect(deps, loaded, { kind: 'end route', overwrite: false });
  const releases = 'extra' in outcome ? outcome.extra?.releases : null;
  expect(releases).toEqual([
    {
      version: 'v2',
      image: 'i',
      template: {},
      rollout: rollout.id,
      at: 7,
      by: plan.requester,
      ...(rolledBack && { rolledBack }),
    },
  ]);
});
