/** What a rollout would do, worked out before anything is touched. */
import { expect, it } from 'vitest';
import type { TrafficRouter, Workload } from '../../src/app/ports.ts';
import { createPreparation } from '../../src/app/prepare.ts';
import { parseConfig } from '../../src/core/parse-config.ts';
import { IN_PLACE_SUPPORT } from '../../src/core/support.ts';
import { listeningChat, only } from './support.ts';

const world = {
  namespace: 'hello',
  deployment: 'world',
  image: 'buoyantio/world:{version}',
  workload: 'in-place',
  traffic: { router: 'kubernetes', service: 'world' },
  access: { deploy: ['S_DEVS'], approve: ['S_APPROVERS'] },
};

it('each step says which share it really gets, where pods decide', async () => {
  const parsed = parseConfig({ slack: { channel: 'deploys' }, services: { world } });
  if (!parsed.ok) throw new Error(parsed.errors.join('\n'));
  const service = parsed.config.services.world;
  if (!service) throw new Error('the configuration has a service world');
  const facts = { version: 'v1', container: 'world', template: {}, progressDeadlineMs: 1, epoch: 0 };
  const achieved = (weight: number) => (weight === 10 ? '20% (1 of 5 pods; 10% was asked)' : null);
  const { prepare, foresee } = createPreparation({
    config: parsed.config,
    store: { releases: async () => [], holder: async () => null, load: async () => null },
    chat: listeningChat().chat,
    people: { unreadableGroups: async () => [] },
    routerOf: () =>
      only<TrafficRouter>({
        supports: IN_PLACE_SUPPORT,
        foresee: async () => [],
        preflight: async () => ({ ok: true, facts: { objects: [], epoch: 0, several: [] }, warnings: [] }),
      }),
    workloadOf: () =>
      only<Workload>({
        foresee: async () => [],
        preflight: async () => ({ ok: true, facts: { ...facts, achieved }, warnings: [] }),
      }),
  });
  const asked = { version: 'v2', strategy: 'canary', reason: null, redeploy: false };
  const prepared = await prepare(service, asked, { kind: 'system' });
  if ('kind' in prepared) throw new Error(`refused: ${JSON.stringify(prepared)}`);
  const shares = prepared.plan.steps.map((step) => [step.route.weight, step.achieved]);
  expect(shares).toContainEqual([10, '20% (1 of 5 pods; 10% was asked)']);
  expect(shares).toContainEqual([100, undefined]);
  const writes = await foresee(prepared.plan);
  expect(writes.map(({ what }) => what)).toContain(
    'the pod template of v2 for new pods beside old ones: about 20% (1 of 5 pods; 10% was asked), then paused',
  );
});
