/** Users who are chosen by a header, by a pattern of its value or by a cookie: through the proxy, and one mesh. */
import { describe, expect, it } from 'vitest';
import { deploy, expectBackToStable } from './support/rollout.ts';
import { expectShare, expectUnnoticed } from './support/shares.ts';
import { useStage } from './support/stage.ts';
import { GATEWAY, INGRESS_NGINX, ISTIO } from './support/systems.ts';
import { until } from './support/wait.ts';

/** By step of the strategy `users`. `others`: who has only the step's share, those of the step before among them. */
const STEPS = [
  {
    weight: 0,
    chosen: { 'x-canary': 'always' },
    others: [{}, { 'x-canary': 'sometimes' }, { 'x-user': 'qa-mia' }, { cookie: 'canary=always' }],
  },
  { weight: 10, chosen: { 'x-user': 'qa-mia' }, others: [{ 'x-user': 'eli' }, { 'x-canary': 'always' }] },
  {
    weight: 50,
    chosen: { cookie: 'a=b; canary=always; c=d' },
    others: [{ cookie: 'other=always' }, { 'x-user': 'qa-mia' }],
  },
] as const;

describe.each([
  ['HTTPRoutes of a Gateway', GATEWAY],
  ['Ingresses of ingress-nginx', INGRESS_NGINX],
  ['a VirtualService', ISTIO],
])('routed by %s', (_, system) => {
  const stage = useStage({ system });

  it('users by header, pattern and cookie always reach the canary, others by its weight, and nobody after an abort', async () => {
    const { world } = stage();
    const load = world.users.stream(100);
    const rollout = await deploy(stage(), 'world v2 users');
    for (const [n, { weight, chosen, others }] of STEPS.entries()) {
      await rollout.gate(n + 1);
      // Where nothing confirms a route, traffic follows a moment later.
      const follows = async () => (await world.users.send(30, chosen)).byVersion.v2 === 30;
      await until(`${JSON.stringify(chosen)} reaches the canary`, follows, { withinMs: 2_000 });
      expect((await world.users.send(100, chosen)).byVersion).toEqual({ v2: 100 });
      for (const headers of others) await expectShare(world, weight, headers);
      if (n + 1 < STEPS.length) await rollout.approve(n + 1);
    }
    await rollout.abort();
    await rollout.ended(/world v2 is aborted/);
    await expectBackToStable(rollout);
    for (const { chosen } of STEPS) expect((await world.users.send(40, chosen)).byVersion).toEqual({ v1: 40 });
    await expectUnnoticed(load);
  });
});
