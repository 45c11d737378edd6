/** Versions beside each other: whoever dies, forgets or interferes, what serves has pods, and nothing but the version before stays. */
import { describe, expect, test } from 'vitest';
import { kinds } from '../../playground/api-server/kinds.ts';
import type { Options, Stage } from '../scenarios/support/stage.ts';
import { onStage } from './support/open-stage.ts';

const strategies = {
  gated: [
    { weight: 50, gate: true },
    { weight: 100, gate: true },
  ],
  'at-once': [{ weight: 100 }],
};
const options: Options = {
  world: { versioned: true },
  service: { workload: 'versioned', strategies: Object.keys(strategies), checks: [], tests: [] },
  config: { strategies },
};
const cooling = (coolDown: string): Options => ({ ...options, service: { ...options.service, coolDown } });
const NONE_FAILED = { broken: 0, gatewayErrors: 0 };

function look({ slack, get }: Stage) {
  const backends = () =>
    get(kinds.httpRoutes, 'world')
      ?.spec.rules?.flatMap(({ backendRefs = [] }) => backendRefs.map(({ name }) => name))
      .join(' and ');
  const until = (what: string, is: () => boolean) => slack.until(is, { what, timeoutMs: 20_000 });
  return {
    backends,
    until,
    replicas: (...names: readonly string[]) => names.map((name) => get(kinds.deployments, name)?.spec.replicas),
    /** It serves alone, and nobody holds the route. */
    live: (name: string) =>
      until(`${name} serves`, () => {
        const { annotations } = get(kinds.httpRoutes, 'world')?.metadata ?? {};
        return annotations?.['sluice.dev/phase'] === 'done' && backends() === name;
      }),
    /** Somebody else puts the route to one version. */
    async send(stage: Stage, name: string) {
      const route = get(kinds.httpRoutes, 'world');
      if (!route) throw new Error('no route');
      const rules = route.spec.rules?.map((rule) => ({ ...rule, backendRefs: [{ name, port: 80, weight: 1 }] })) ?? [];
      stage.playground.store.update(kinds.httpRoutes, { ...route, spec: { ...route.spec, rules } }, 'main');
    },
  };
}

describe('killed and started again', () => {
  test.concurrent.each([
    'before workload.createCanary',
    'after cluster.create',
    'after workload.createCanary',
    'before workload.promote',
    'before router.settle',
    'after router.settle',
    'before workload.cleanUp',
    'after workload.cleanUp',
    'after router.release',
  ])(
    '%s, it goes on: v2 serves, v1 sleeps, and not one request fails',
    (place) =>
      onStage(
        options,
        async ({ stage, bot }) => {
          const { live, replicas, until } = look(stage);
          const users = stage.users(40);
          await stage.slack.command('ana', 'world v2 at-once');
          await until('the bot is killed', () => !bot.isAlive());
          await stage.startBot();
          await live('world-v2');
          await until('v1 sleeps', () => replicas('world-v1', 'world-v2').join() === '0,2');
          expect(await users.stop()).toMatchObject(NONE_FAILED);
        },
        { SLUICE_FAILPOINT: `${place}:SIGKILL` },
      ),
    90_000,
  );
});

describe('Redis loses everything', () => {
  test.concurrent(
    'at a gate: the lost rollout is found by its marks and aborted; nothing of v2 stays',
    () =>
      onStage(options, async ({ stage, bot, gate, said }) => {
        const { live, replicas } = look(stage);
        const users = stage.users(40);
        await stage.slack.command('ana', 'world v2 gated');
        await gate('Abort');
        await bot.kill();
        await stage.corner.clear();
        await stage.startBot();
        await live('world-v1');
        await said(/Redis had lost this rollout/);
        await look(stage).until('v2 is gone', () => replicas('world-v2')[0] === undefined);
        expect(replicas('world-v1')).toEqual([2]);
        expect(await users.stop()).toMatchObject(NONE_FAILED);
      }),
    90_000,
  );

  test.concurrent(
    'at a gate: an abort by its button works at once',
    () =>
      onStage(options, async ({ stage, gate }) => {
        const { live, backends, until } = look(stage);
        await stage.slack.command('ana', 'world v2 gated');
        await gate('Abort');
        expect(backends()).toBe('world-v1 and world-v2');
        await stage.corner.clear();
        await stage.slack.click('bo', stage.slack.root(), 'Abort');
        await stage.slack.until(() => backends() === 'world-v1', { what: 'the traffic is back', timeoutMs: 3_000 });
        await live('world-v1');
        await until('v2 is gone', () => stage.get(kinds.deployments, 'world-v2') === undefined);
      }),
    90_000,
  );

  test.concurrent.each(['after router.settle', 'after workload.cleanUp'])(
    '%s: v2 serves already and stays, v1 sleeps',
    (place) =>
      onStage(
        options,
        async ({ stage, bot }) => {
          const { live, replicas, until } = look(stage);
          const users = stage.users(40);
          await stage.slack.command('ana', 'world v2 at-once');
          await until('the bot is killed', () => !bot.isAlive());
          await stage.corner.clear();
          await stage.startBot();
          await live('world-v2');
          await until('v1 sleeps', () => replicas('world-v1', 'world-v2').join() === '0,2');
          expect(await users.stop()).toMatchObject(NONE_FAILED);
        },
        { SLUICE_FAILPOINT: `${place}:SIGKILL` },
      ),
    90_000,
  );
});

describe('somebody else', () => {
  test.concurrent(
    'puts the route back to v1 at the last gate: people are asked, and Re-apply goes on',
    () =>
      onStage(options, async ({ stage, gate, press }) => {
        const { live, send, replicas, until } = look(stage);
        await stage.slack.command('ana', 'world v2 gated');
        await press('bo', 'Approve 100%');
        await gate('Promote');
        await send(stage, 'world-v1');
        await press('bo', 'Re-apply');
        await press('bo', 'Promote');
        await live('world-v2');
        await until('v1 sleeps', () => replicas('world-v1', 'world-v2').join() === '0,2');
      }),
    90_000,
  );

  test.concurrent(
    'puts the route back to v1 right after the promotion: v1 keeps its pods',
    () =>
      onStage(cooling('4s'), async ({ stage, said }) => {
        const { live, send, replicas, until } = look(stage);
        const users = stage.users(40);
        await stage.slack.command('ana', 'world v2 at-once');
        await said(/v2 is live/);
        await send(stage, 'world-v1');
        await live('world-v1');
        await until('it is over', () => /keeps its pods/.test(stage.log()));
        expect(replicas('world-v1', 'world-v2')).toEqual([2, 2]);
        expect(await users.stop()).toMatchObject(NONE_FAILED);
      }),
    90_000,
  );

  test.concurrent(
    'puts the route back to v1 right after the promotion, and Redis is lost: v1 serves on, as they left it',
    () =>
      onStage(cooling('30s'), async ({ stage, bot, said }) => {
        const { live, send, replicas, until } = look(stage);
        const users = stage.users(40);
        await stage.slack.command('ana', 'world v2 at-once');
        await said(/v2 is live/);
        await send(stage, 'world-v1');
        await bot.kill();
        await stage.corner.clear();
        await stage.startBot();
        await live('world-v1');
        await until('v1 is let go of', () => {
          const { annotations } = stage.get(kinds.deployments, 'world-v1')?.metadata ?? {};
          return annotations?.['sluice.dev/phase'] === 'done';
        });
        expect(replicas('world-v1', 'world-v2')).toEqual([2, 2]);
        expect(await users.stop()).toMatchObject(NONE_FAILED);
      }),
    90_000,
  );

  test.concurrent(
    'adds a rule that sends to v1 during the rollout: v1 keeps its pods',
    () =>
      onStage(options, async ({ stage, press, gate }) => {
        const { replicas, until } = look(stage);
        await stage.slack.command('ana', 'world v2 gated');
        await gate('Abort');
        const route = stage.get(kinds.httpRoutes, 'world');
        if (!route) throw new Error('no route');
        const added = {
          matches: [{ path: { type: 'PathPrefix', value: '/new' } }],
          backendRefs: [{ name: 'world-v1', port: 80 }],
        };
        const rules = [...(route.spec.rules ?? []), added];
        stage.playground.store.update(kinds.httpRoutes, { ...route, spec: { ...route.spec, rules } }, 'main');
        await press('bo', 'Approve 100%');
        await press('bo', 'Promote');
        await until('it is over', () => /keeps its pods/.test(stage.log()));
        await until('v1 is let go of', () => {
          const { annotations } = stage.get(kinds.deployments, 'world-v1')?.metadata ?? {};
          return annotations?.['sluice.dev/phase'] === 'done';
        });
        expect(replicas('world-v1', 'world-v2')).toEqual([2, 2]);
      }),
    90_000,
  );

  test.concurrent(
    'rolls back within the cool-down: the pods of v1 are those of before',
    () =>
      onStage(cooling('30s'), async ({ stage, said }) => {
        const { backends, replicas } = look(stage);
        const users = stage.users(40);
        const pods = () =>
          stage.playground.store
            .list(kinds.pods, 'hello')
            .map(({ metadata }) => metadata.name)
            .filter((name) => name.startsWith('world-v1-'))
            .toSorted();
        const before = pods();
        await stage.slack.command('ana', 'world v2 at-once');
        await stage.slack.click('ana', await said(/v2 is live/), 'Roll back to v1');
        await said(/rolled back to v1/);
        expect(backends()).toBe('world-v1');
        expect(before).toHaveLength(2);
        expect(pods()).toEqual(before);
        expect(replicas('world-v1')).toEqual([2]);
        expect(await users.stop()).toMatchObject(NONE_FAILED);
      }),
    90_000,
  );

  test.concurrent(
    'deletes the version before: a rollback makes it again',
    () =>
      onStage(options, async ({ stage, said }) => {
        const { live, replicas } = look(stage);
        await stage.slack.command('ana', 'world v2 at-once');
        const result = await said(/v2 is live/);
        await live('world-v2');
        stage.playground.store.remove(kinds.deployments, 'hello', 'world-v1');
        await look(stage).until('v1 is gone', () => replicas('world-v1')[0] === undefined);
        await stage.slack.click('ana', result, 'Roll back to v1');
        await live('world-v1');
        expect(replicas('world-v1', 'world-v2')).toEqual([2, 0]);
      }),
    90_000,
  );

  test.concurrent(
    'deletes what serves v2 at a gate: traffic goes back to v1 by itself',
    () =>
      onStage(options, async ({ stage, gate, said }) => {
        const { live } = look(stage);
        await stage.slack.command('ana', 'world v2 gated');
        await gate('Abort');
        stage.playground.store.remove(kinds.deployments, 'hello', 'world-v2');
        await said(/world-v2 is gone/);
        await live('world-v1');
      }),
    90_000,
  );
});
