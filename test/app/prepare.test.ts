/** What a rollout would do, worked out before anything is touched. */
import { expect, it } from 'vitest';
import { Refusal } from '../../src/app/outcome.ts';
import type { TrafficRouter } from '../../src/app/ports/router.ts';
import type { Workload, WorkloadFacts } from '../../src/app/ports/workload.ts';
import { createPreparation } from '../../src/app/prepare.ts';
import { parseConfig } from '../../src/core/parse-config.ts';
import { supportOf } from '../../src/core/support.ts';
import { listeningChat, only } from './support.ts';

const world = {
  namespace: 'hello',
  deployment: 'world',
  image: 'buoyantio/world:{version}',
  traffic: { router: 'gateway-api', route: 'world' },
  access: { deploy: ['S_DEVS'], approve: ['S_APPROVERS'] },
};

type Facts = Partial<WorkloadFacts>;

/** Of a service `world` with these fields, on a cluster that finds these facts and nothing wrong. */
function preparation(fields: object, found: Facts, trouble: Error | null = null) {
  const parsed = parseConfig({ slack: { channel: 'deploys' }, services: { world: { ...world, ...fields } } });
  if (!parsed.ok) throw new Error(parsed.errors.join('\n'));
  const service = parsed.config.services.world;
  if (!service) throw new Error('the configuration has a service world');
  const facts = { version: 'v1', container: 'world', template: {}, progressDeadlineMs: 1, epoch: 0, ...found };
  const { prepare, foresee } = createPreparation({
    config: parsed.config,
    store: { releases: async () => [], holder: async () => null, load: async () => null },
    chat: listeningChat().chat,
    people: { unreadableGroups: async () => [] },
    routerOf: () =>
      only<TrafficRouter>({
        supports: supportOf(service.target),
        foresee: async () => [],
        preflight: async () => ({
          ok: true,
          facts: { objects: [], epoch: 0, several: [] },
          warnings: ['of the route'],
        }),
      }),
    workloadOf: () =>
      only<Workload>({
        foresee: async () => [],
        async preflight() {
          if (trouble) throw trouble;
          return { ok: true, facts, warnings: [] };
        },
      }),
  });
  return {
    foresee,
    async plan() {
      const asked = { version: 'v2', strategy: null, reason: null, redeploy: false };
      const prepared = await prepare(service, asked, { kind: 'system' });
      if ('kind' in prepared) throw new Error(`refused: ${JSON.stringify(prepared)}`);
      return prepared.plan;
    },
  };
}

it('a right that only shows to be missing when something is read is a refusal; what may pass by itself is a fault', async () => {
  const refused = preparation({}, {}, new Refusal('The bot may not list networkpolicies')).plan();
  await expect(refused).rejects.toThrow(/"kind":"refused".*"refusals":\["The bot may not list networkpolicies"\]/);
  await expect(preparation({}, {}, new Error('ECONNREFUSED')).plan()).rejects.toThrow(/^ECONNREFUSED$/);
});

it('each step says which share it really gets, where pods decide', async () => {
  const achieved = (weight: number) => (weight === 10 ? '20% (1 of 5 pods; 10% was asked)' : null);
  const inPlace = { workload: 'in-place', traffic: { router: 'kubernetes', service: 'world' } };
  const { plan, foresee } = preparation(inPlace, { achieved });
  const { steps } = await plan();
  const shares = steps.map((step) => [step.route.weight, step.achieved]);
  expect(shares).toContainEqual([10, '20% (1 of 5 pods; 10% was asked)']);
  expect(shares).toContainEqual([100, undefined]);
  const writes = await foresee(await plan());
  expect(writes.map(({ what }) => what)).toContain(
    'the pod template of v2 for new pods beside old ones: about 20% (1 of 5 pods; 10% was asked), then paused',
  );
});

const autoscaler = 'HorizontalPodAutoscaler hello/world';

it.each<[string, object, readonly unknown[]]>([
  [
    'where nothing confirms a route',
    { router: 'smi', split: 'world' },
    [expect.stringMatching(/ 2 s .coolDown. .* smi .*10s or more/)],
  ],
  ['not where a controller does', { router: 'gateway-api', route: 'world' }, []],
])(
  'people are warned of a cool-down that is shorter than a change of the route may take: %s',
  async (_, traffic, said) => {
    const { warnings } = await preparation({ traffic, coolDown: '2s' }, {}).plan();
    expect(warnings).toEqual([...said, 'of the route']);
  },
);

it.each<[string, object, Facts, string[]]>([
  [
    'within the cool-down as it is by default',
    {},
    { autoscaler },
    ['HorizontalPodAutoscaler hello/world gets its minReplicas back 30 s (coolDown)'],
  ],
  ['not where the cool-down is long enough', { coolDown: '2m' }, { autoscaler }, []],
  ['not where none is raised', {}, {}, []],
])('people are warned of an autoscaler that may not see the load %s', async (_, fields, facts, said) => {
  const { warnings } = await preparation(fields, facts).plan();
  expect(warnings).toEqual([...said.map((one) => expect.stringContaining(one)), 'of the route']);
});
