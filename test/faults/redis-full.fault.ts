/** Redis refuses to write: no memory (noeviction), or no disk for its log (MISCONF). */
import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { startRedisServer } from '../support/redis-server.ts';
import { type RedisStage, useRedisStage } from './redis-stage.ts';

const set = useRedisStage(() => startRedisServer({ 'maxmemory-policy': 'noeviction' }));
type Set = RedisStage<Awaited<ReturnType<typeof startRedisServer>>>;

/** A limit on the size of its files is a disk that is full, without one. */
const limitFiles = ({ redis }: Set, bytes: string) =>
  execFileSync('prlimit', ['--pid', String(redis.pid()), `--fsize=${bytes}:unlimited`]);

const hasPrlimit = process.platform === 'linux';

const faults: readonly [string, boolean, { fill(now: Set): Promise<unknown>; relieve(now: Set): Promise<unknown> }][] =
  [
    [
      'memory',
      true,
      {
        fill: ({ redis }) => redis.run('CONFIG', 'SET', 'maxmemory', '1mb'),
        relieve: ({ redis }) => redis.run('CONFIG', 'SET', 'maxmemory', '0'),
      },
    ],
    [
      'disk',
      hasPrlimit,
      {
        async fill(now) {
          limitFiles(now, '1');
          // The first write that does not fit is taken, and shows that the next must be refused.
          await expect
            .poll(() => now.redis.run('SET', 'any', 'thing').catch((error: Error) => error.message))
            .toMatch(/^MISCONF/);
        },
        async relieve(now) {
          limitFiles(now, 'unlimited');
          await expect
            .poll(() => now.redis.run('SET', 'any', 'thing').catch((error: Error) => error.message), {
              timeout: 10_000,
            })
            .toBe('OK');
        },
      },
    ],
  ];

for (const [what, possible, { fill, relieve }] of faults) {
  test.runIf(possible)(
    `no ${what}: nothing is decided, an abort works, and all is taken up when there is again`,
    async () => {
      const now = set();
      await now.begin();
      await fill(now);
      await now.approve('bo', 'Approve 100%');
      await now.told('bo', /Not recorded, so nothing happened/);
      expect(now.stage.weights.at(-1)).toBe(50);
      await now.abort('bo');
      await now.weightIs(0, 3_000);
      await now.told('bo', /written straight to the cluster/);
      await relieve(now);
      await now.back(/aborted by @bo/i);
    },
  );

  test.runIf(possible)(`no ${what} for a while: the rollout goes on afterwards`, async () => {
    const now = set();
    await now.begin();
    await fill(now);
    await now.approve('bo', 'Approve 100%');
    await now.told('bo', /Not recorded, so nothing happened/);
    await relieve(now);
    await now.approve('bo', 'Approve 100%');
    await now.approve('bo', 'Promote');
    await now.live();
  });
}
