/**
 * `npm run bench`: the ratios that the design promises, each measured in one run. What needs a real cluster is measured when
 * KUBECONFIG names one; README.md says how to read the table, and is rewritten when all of it was measured.
 */
import { randomBytes } from 'node:crypto';
import { createPlayground } from '../playground/playground.ts';
import { NAMESPACE } from '../playground/world.ts';
import { createWorld } from '../test/e2e/support/world.ts';
import { startFakeSlack } from '../test/support/fake-slack/index.ts';
import { withRedis } from '../test/support/redis.ts';
import { measureAbort } from './parts/abort.ts';
import { measureAcknowledgements } from './parts/acknowledgement.ts';
import { measureImports, measureMemory } from './parts/memory.ts';
import { measureRedis } from './parts/redis.ts';
import { measureIdle, measureRollout, placeOf, startWatched } from './parts/requests.ts';
import { type Place, startBot } from './programs.ts';
import { type Row, table, writeReadme } from './report.ts';

const { REDIS_URL: redis = '', KUBECONFIG: kubeconfig } = process.env;
if (!redis) throw new Error('REDIS_URL is not set: `npm run bench` starts a Redis and sets it');
const run = `bench-${randomBytes(4).toString('hex')}`;
const slack = await startFakeSlack();
const given = (name: string) => ({ slack, redis, env: `${run}-${name}` });

try {
  const measured = table(await (kubeconfig ? onCluster(kubeconfig) : onPlayground()));
  process.stdout.write(`${measured}\n`);
  if (kubeconfig) writeReadme(measured);
  else process.stdout.write('KUBECONFIG names no cluster: its part is left out, and bench/README.md stays as it is\n');
} finally {
  await slack.stop();
  await forget();
}

async function onPlayground(): Promise<readonly Row[]> {
  const playground = await createPlayground({ world: { replicas: 1 } });
  const place = { kubeconfig: playground.kubeconfig, prometheus: playground.prometheusUrl, namespace: NAMESPACE };
  const idle = await startBot({ ...given('idle'), place });
  try {
    const rows = await measureAnywhere(place);
    const imports = await measureImports();
    return [...rows, ...(await measureMemory(idle)), ...imports];
  } finally {
    await idle.stop();
    await playground.stop();
  }
}

async function onCluster(config: string): Promise<readonly Row[]> {
  const world = await createWorld();
  const place = placeOf(world, config);
  const idle = await startWatched(given('idle'), world);
  try {
    const imports: Row[] = [];
    const requests = await measureRollout(given('rollout'), async () => {
      imports.push(...(await measureImports()));
    });
    const anywhere = await measureAnywhere(place);
    const idling = [measureIdle(idle), ...(await measureMemory(idle))];
    // It would take the routes of the next part for ones that Redis has lost.
    await idle.stop();
    const aborts = await measureAbort({ ...given('abort'), place });
    return [...anywhere, ...aborts, ...requests, ...idling, ...imports];
  } finally {
    await idle.stop();
    await world.remove();
  }
}

async function measureAnywhere(place: Place): Promise<readonly Row[]> {
  const acknowledgements = await measureAcknowledgements({ ...given('ack'), place });
  return [...acknowledgements, ...(await measureRedis(given('redis')))];
}

/** A Redis that was not lent for this run alone keeps nothing of it. */
function forget(): Promise<void> {
  return withRedis(redis, async (client) => {
    for await (const keys of client.scanStream({ match: `*${run}*`, count: 1_000 })) {
      if (keys.length > 0) await client.unlink(keys);
    }
  });
}
