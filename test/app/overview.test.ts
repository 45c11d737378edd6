/** What a look costs when thousands of rollouts wait: what is shown is loaded, and no more. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { say } from '../../src/adapters/slack/answers.ts';
import type { Deploy } from '../../src/app/deploy.ts';
import { createOverview } from '../../src/app/overview.ts';
import type { Store } from '../../src/app/ports/store.ts';
import { loaded, playTo, record, start } from '../contracts/store.ts';
import { withRedis } from '../support/redis.ts';
import { configOf, listeningChat, only, openCorner } from './support.ts';

const NAMES = Array.from({ length: 30 }, (_, n) => `world-${n}`);
const threadOf = (n: number) => ({ channel: 'C0DEPLOYS', ts: `1700.${n}` });

let corner: ReturnType<typeof openCorner>;
beforeEach(() => {
  corner = openCorner();
});
afterEach(() => corner.close());

/** A rollout of each service, announced. */
async function waiting({ store, env }: typeof corner, names: readonly string[] = NAMES): Promise<readonly string[]> {
  return Promise.all(
    names.map(async (name, n) => {
      const { id } = await start(store, name, env);
      await record(store, await loaded(store, id), { type: 'message_delivered', key: 'root', ts: threadOf(n).ts });
      return id;
    }),
  );
}

function overviewOf(store: Store, names: readonly string[] = NAMES) {
  const calls = { loads: 0, links: 0 };
  const { chat } = listeningChat({
    permalink: async () => {
      calls.links += 1;
      return null;
    },
  });
  const counting: Store = {
    ...store,
    load: (id) => {
      calls.loads += 1;
      return store.load(id);
    },
  };
  const overview = createOverview({ config: configOf('test', names), store: counting, chat, deploy: only<Deploy>({}) });
  return { overview, calls };
}

it('the list reads what it shows, and says how many more there are', async () => {
  await waiting(corner);
  const { overview, calls } = overviewOf(corner.store);
  const lines = say(await overview.list()).split('\n');
  expect(lines).toHaveLength(21);
  expect(lines.at(-1)).toBe('… and 10 more');
  expect(calls).toEqual({ loads: 20, links: 20 });
});

describe('the rollout of a thread', () => {
  it('is found without a look at the others', async () => {
    const ids = await waiting(corner);
    const { overview, calls } = overviewOf(corner.store);
    expect((await overview.rolloutOfThread(threadOf(29)))?.id).toBe(ids[29]);
    expect(calls.loads).toBe(1);
  });

  it('is found where a deleted first message was posted again', async () => {
    const [id = ''] = await waiting(corner, ['world']);
    await record(corner.store, await loaded(corner.store, id), {
      type: 'message_delivered',
      key: 'root',
      ts: '1800.1',
    });
    const { overview } = overviewOf(corner.store, ['world']);
    expect(await overview.rolloutOfThread(threadOf(0))).toBeNull();
    expect((await overview.rolloutOfThread({ channel: 'C0DEPLOYS', ts: '1800.1' }))?.id).toBe(id);
  });

  it('is none when it has ended, and leaves nothing behind', async () => {
    const { store, url, env } = corner;
    const [id = ''] = await waiting(corner, ['world']);
    await playTo(store, id, ({ kind }) => kind === 'succeeded');
    expect(await overviewOf(store, ['world']).overview.rolloutOfThread(threadOf(0))).toBeNull();
    expect(await withRedis(url, (redis) => redis.exists(`sluice:${env}:threads`))).toBe(0);
  });

  it('is found where the note of it was lost, however many run, without a look at the others', async () => {
    const names = Array.from({ length: 60 }, (_, n) => `world-${n}`);
    const ids = await waiting(corner, names);
    await withRedis(corner.url, (redis) => redis.del(`sluice:${corner.env}:threads`));
    const { overview, calls } = overviewOf(corner.store, names);
    expect((await overview.rolloutOfThread(threadOf(59)))?.id).toBe(ids[59]);
    expect(await overview.rolloutOfThread(threadOf(60))).toBeNull();
    expect(calls.loads).toBe(1);
  });
});
