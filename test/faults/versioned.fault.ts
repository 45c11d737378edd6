/** Versions beside each other: whoever dies, forgets or interferes, what serves has pods, and nothing but the version before stays. */
import { describe, expect, test } from 'vitest';
import { kinds } from '../../playground/api-server/kinds.ts';
import type { Options, Stage } from '../scenarios/support/stage.ts';
import { onStage } from './support/open-stage.ts';
import { NONE_FAILED, readVersions, versionedWith } from './support/versions.ts';

const strategies = {
  gated: [
    { weight: 50, gate: true },
    { weight: 100, gate: true },
  ],
  'at-once': [{ weight: 100 }],
};
const options: Options = versionedWith(strategies, { tests: [] });
const cooling = (coolDown: string): Options => versionedWith(strategies, { tests: [], coolDown });

/** v2 at once by a bot that dies there; another one finishes it after `meanwhile`, and nobody notices. */
const diesAndGoesOn = (place: string, meanwhile: (stage: Stage) => Promise<unknown> = async () => {}) =>
  onStage(
    options,
    async ({ stage, bot }) => {
      const { live, sleeps, until } = readVersions(stage);
      const users = stage.users(40);
      await stage.slack.command('ana', 'world v2 at-once');
      await until('the bot is killed', () => !bot.isAlive());
      await meanwhile(stage);
      await stage.startBot();
      await live('world-v2');
      await sleeps();
      expect(await users.stop()).toMatchObject(NONE_FAILED);
    },
    { SLUICE_FAILPOINT: `${place}:SIGKILL` },
  );

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
  ])('%s, it goes on: v2 serves, v1 sleeps, and not one request fails', (place) => diesAndGoesOn(place), 90_000);
});

describe('Redis loses everything', () => {
  test.concurrent(
    'at a gate: the lost rollout is found by its marks and aborted; nothing of v2 stays',
    () =>
      onStage(options, async ({ stage, bot, gate, said }) => {
        const { live, replicas, until } = readVersions(stage);
        const users = stage.users(40);
        await stage.slack.command('ana', 'world v2 gated');
        await gate('Abort');
        await bot.kill();
        await stage.corner.clear();
        await stage.startBot();
        await live('world-v1');
        await said(/Redis had lost this rollout/);
        await until('v2 is gone', () => replicas('world-v2')[0] === undefined);
        expect(replicas('world-v1')).toEqual([2]);
        expect(await users.stop()).toMatchObject(NONE_FAILED);
      }),
    90_000,
  );

  test.concurrent(
    'at a gate: an abort by its button works at once',
    () =>
      onStage(options, async ({ stage, gate }) => {
        const { live, backends, until } = readVersions(stage);
        await stage.slack.command('ana', 'world v2 gated');
        await gate('Abort');
        expect(backends()).toEqual(['world-v1', 'world-v2']);
        await stage.corner.clear();
        await stage.slack.click('bo', stage.slack.root(), 'Abort');
        await stage.slack.until(() => backends().join() === 'world-v1', {
          what: 'the traffic is back',
          timeoutMs: 3_000,
        });
        await live('world-v1');
        await until('v2 is gone', () => stage.get(kinds.deployments, 'world-v2') === undefined);
      }),
    90_000,
  );

  test.concurrent.each(['after router.settle', 'after workload.cleanUp'])(
    '%s: v2 serves already and stays, v1 sleeps',
    (place) => diesAndGoesOn(place, ({ corner }) => corner.clear()),
    90_000,
  );
});

describe('somebody else', () => {
  test.concurrent(
    'puts the route back to v1 at the last gate: people are asked, and Re-apply goes on',
    () =>
      onStage(options, async ({ stage, gate, press }) => {
        const { live, send, sleeps } = readVersions(stage);
        await stage.slack.command('ana', 'world v2 gated');
        await press('bo', 'Approve 100%');
        await gate('Promote');
        send('world-v1');
        await press('bo', 'Re-apply');
        await press('bo', 'Promote');
        await live('world-v2');
        await sleeps();
      }),
    90_000,
  );

  test.concurrent(
    'puts the route back to v1 right after the promotion: v1 keeps its pods',
    () =>
      onStage(cooling('4s'), async ({ stage, said }) => {
        const { live, send, replicas } = readVersions(stage);
        const users = stage.users(40);
        await stage.slack.command('ana', 'world v2 at-once');
        await said(/v2 is live/);
        send('world-v1');
        await live('world-v1');
        await said(/is promoted, but v1 may still have traffic.*HTTPRoute hello\/world was changed by somebody else/s);
        expect(replicas('world-v1', 'world-v2')).toEqual([2, 2]);
        expect(await users.stop()).toMatchObject(NONE_FAILED);
      }),
    90_000,
  );

  test.concurrent(
    'puts the route back to v1 right after the promotion, and Redis is lost: v1 serves on, as they left it',
    () =>
      onStage(cooling('30s'), async ({ stage, bot, said }) => {
        const { live, letGoOf, send, replicas } = readVersions(stage);
        const users = stage.users(40);
        await stage.slack.command('ana', 'world v2 at-once');
        await said(/v2 is live/);
        send('world-v1');
        await bot.kill();
        await stage.corner.clear();
        await stage.startBot();
        await live('world-v1');
        await letGoOf('world-v1');
        await said(/is promoted, but v1 may still have traffic/);
        expect(replicas('world-v1', 'world-v2')).toEqual([2, 2]);
        expect(await users.stop()).toMatchObject(NONE_FAILED);
      }),
    90_000,
  );

  test.concurrent(
    'adds a rule that sends to v1 during the rollout: v1 keeps its pods',
    () =>
      onStage(options, async ({ stage, press, gate, said }) => {
        const { letGoOf, replicas, reroute } = readVersions(stage);
        await stage.slack.command('ana', 'world v2 gated');
        await gate('Abort');
        const added = {
          matches: [{ path: { type: 'PathPrefix', value: '/new' } }],
          backendRefs: [{ name: 'world-v1', port: 80 }],
        };
        reroute((rules) => [...rules, added]);
        await press('bo', 'Approve 100%');
        await press('bo', 'Promote');
        await said(/is promoted, but v1 may still have traffic.*HTTPRoute hello\/world still sends to world-v1/s);
        await letGoOf('world-v1');
        expect(replicas('world-v1', 'world-v2')).toEqual([2, 2]);
      }),
    90_000,
  );

  test.concurrent(
    'rolls back within the cool-down: the pods of v1 are those of before',
    () =>
      onStage(cooling('30s'), async ({ stage, said }) => {
        const { backends, replicas } = readVersions(stage);
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
        expect(backends()).toEqual(['world-v1']);
        expect(before).toHaveLength(2);
        expect(pods()).toEqual(before);
        expect(replicas('world-v1')).toEqual([2]);
        expect(await users.stop()).toMatchObject(NONE_FAILED);
      }),
    90_000,
  );

  test.concurrent(
    'scales v1 by an autoscaler within the cool-down: the rollback is refused, and who asked hears what still runs',
    () =>
      onStage(cooling('30s'), async ({ stage, said, told }) => {
        const { replicas } = readVersions(stage);
        await stage.slack.command('ana', 'world v2 at-once');
        const result = await said(/v2 is live/);
        stage.playground.store.create(kinds.autoscalers, {
          apiVersion: 'autoscaling/v2',
          kind: 'HorizontalPodAutoscaler',
          metadata: { name: 'scaler', namespace: 'hello' },
          spec: { scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'world-v1' }, maxReplicas: 5 },
        });
        await stage.slack.click('ana', result, 'Roll back to v1');
        await told('ana', /world-v1 keeps its pods.*kubectl -n hello scale deployment world-v1 --replicas=0/);
        expect(replicas('world-v1', 'world-v2')).toEqual([2, 2]);
      }),
    90_000,
  );

  test.concurrent(
    'deletes the version before: a rollback makes it again',
    () =>
      onStage(options, async ({ stage, said }) => {
        const { live, replicas, until } = readVersions(stage);
        await stage.slack.command('ana', 'world v2 at-once');
        const result = await said(/v2 is live/);
        await live('world-v2');
        stage.playground.store.remove(kinds.deployments, 'hello', 'world-v1');
        await until('v1 is gone', () => replicas('world-v1')[0] === undefined);
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
        const { live } = readVersions(stage);
        await stage.slack.command('ana', 'world v2 gated');
        await gate('Abort');
        stage.playground.store.remove(kinds.deployments, 'hello', 'world-v2');
        await said(/world-v2 is gone/);
        await live('world-v1');
      }),
    90_000,
  );
});
