/**
 * `npm run bench`: the ratios that the design promises, each measured in one run; `npm run bench -- crowd slack`: only these
 * parts. What can use a real cluster does when KUBECONFIG names one, else the playground. README.md says how to read the table,
 * and is rewritten when all of it was measured.
 */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createPlayground } from '../playground/playground.ts';
import { NAMESPACE } from '../playground/world.ts';
import { createWorld, type World } from '../test/e2e/support/world.ts';
import { startFakeSlack } from '../test/support/fake-slack/index.ts';
import { withRedis } from '../test/support/redis.ts';
import { measureAbort } from './parts/abort.ts';
import { measureAcknowledgements } from './parts/acknowledgement.ts';
import { measureClicks } from './parts/clicks.ts';
import { measureCrowd } from './parts/crowd.ts';
import { measureImports, measureMemory } from './parts/memory.ts';
import { measureRedis } from './parts/redis.ts';
import { measureIdle, measureRollout, placeOf, startWatched } from './parts/requests.ts';
import { measureSlack } from './parts/slack.ts';
import { measureSweep } from './parts/sweep.ts';
import { type Place, startBot } from './programs.ts';
import { noteRow, type Row, table, writeReadme } from './report.ts';

const { REDIS_URL: redis = '', KUBECONFIG: kubeconfig } = process.env;
if (!redis) throw new Error('REDIS_URL is not set: `npm run bench` starts a Redis and sets it');
const run = `bench-${randomBytes(4).toString('hex')}`;
const where = kubeconfig ? 'real API server' : 'playground';

type Given = {
  readonly slack: Awaited<ReturnType<typeof startFakeSlack>>;
  readonly redis: string;
  readonly env: string;
};
type Part = (given: Given) => Promise<readonly Row[]>;

const parts: Readonly<Record<string, Part>> = {
  acknowledgement: (given) => inPlace((place) => measureAcknowledgements({ ...given, place })),
  clicks: (given) => inPlace((place) => measureClicks({ ...given, place })),
  redis: measureRedis,
  sweep: measureSweep,
  abort: (given) => inPlace((place) => measureAbort({ ...given, place, where })),
  requests: (given) => (kubeconfig ? measureRequests(given) : measureResting(given)),
  crowd: (given) => inPlace((place) => measureCrowd({ ...given, place })),
  slack: measureSlack,
};

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !Object.hasOwn(parts, name));
if (unknown.length > 0) throw new Error(`no part ${unknown.join(', ')}; there are ${Object.keys(parts).join(', ')}`);

const commit = execFileSync('git', ['describe', '--always', '--dirty'], { encoding: 'utf8', timeout: 10_000 }).trim();
const rows: Row[] = [noteRow('commit', commit)];
const broken: string[] = [];
for (const [name, measure] of Object.entries(parts)) {
  if (asked.length > 0 && !asked.includes(name)) continue;
  const started = Date.now();
  const slack = await startFakeSlack();
  try {
    rows.push(...(await measure({ slack, redis, env: `${run}-${name}` })));
  } catch (error) {
    // The other parts are measured all the same.
    broken.push(name);
    rows.push(
      noteRow(`${name}: not measured`, error instanceof Error ? (error.message.split('\n')[0] ?? '') : 'failed'),
    );
    process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
  } finally {
    await slack.stop();
    await forget();
  }
  process.stderr.write(`${name}: ${Math.round((Date.now() - started) / 1_000)} s\n`);
}

const measured = table(rows);
process.stdout.write(`${measured}\n`);
const whole = asked.length === 0 && broken.length === 0;
if (whole && kubeconfig) writeReadme(measured);
else
  process.stdout.write(
    `bench/README.md stays as it is: ${whole ? 'KUBECONFIG names no cluster' : 'parts are left out'}\n`,
  );
process.exitCode = broken.length > 0 ? 1 : 0;

/** On the cluster a world of its own, so that no part meets what another left behind. */
async function inPlace(measure: (place: Place) => Promise<readonly Row[]>): Promise<readonly Row[]> {
  if (kubeconfig) {
    const world = await createWorld();
    return measure(placeOf(world, kubeconfig)).finally(() => world.remove());
  }
  const playground = await createPlayground({ world: { replicas: 1 } });
  const place = { kubeconfig: playground.kubeconfig, prometheus: playground.prometheusUrl, namespace: NAMESPACE };
  return measure(place).finally(() => playground.stop());
}

async function measureRequests(given: Given): Promise<readonly Row[]> {
  const world: World = await createWorld();
  const idle = await startWatched({ ...given, env: `${given.env}-idle` }, world);
  try {
    const imports: Row[] = [];
    const requests = await measureRollout(given, async () => {
      imports.push(...(await measureImports()));
    });
    return [...requests, measureIdle(idle), ...(await measureMemory(idle)), ...imports];
  } finally {
    await idle.stop();
    await world.remove();
  }
}

/** Without a cluster there is no audit log to count in. */
function measureResting(given: Given): Promise<readonly Row[]> {
  return inPlace(async (place) => {
    const idle = await startBot({ ...given, place });
    try {
      const imports = await measureImports();
      return [...(await measureMemory(idle)), ...imports];
    } finally {
      await idle.stop();
    }
  });
}

/** A Redis that was not lent for this run alone keeps nothing of it. */
function forget(): Promise<void> {
  return withRedis(redis, async (client) => {
    for await (const keys of client.scanStream({ match: `*${run}*`, count: 1_000 })) {
      if (keys.length > 0) await client.unlink(keys);
    }
  });
}
