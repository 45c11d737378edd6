import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Cluster } from '../src/adapters/kubernetes/cluster.ts';
import { Deployments } from '../src/adapters/kubernetes/objects.ts';
import type { Queue } from '../src/app/ports/queue.ts';
import type { Lease, Store } from '../src/app/ports/store.ts';
import { createFailpoints } from '../src/failpoints.ts';
import { only } from './app/support.ts';
import { deadCluster } from './cluster/world.ts';

let folder: string;
let log: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-failpoints-'));
  log = join(folder, 'log');
});
afterEach(() => {
  rmSync(folder, { recursive: true });
  vi.restoreAllMocks();
});

const reached = () => readFileSync(log, 'utf8').trim().split('\n');

function aQueue(seen: string[] = []): Queue {
  return {
    wake: async (id) => void seen.push(id),
    wakeAt: async () => {},
    onTick: () => {},
    backlog: async () => 0,
    lastProgress: () => 7,
    close: async () => {},
  };
}

test('without a setting a port is given back as it is', () => {
  const queue = aQueue();
  expect(createFailpoints({}).around('queue', queue)).toBe(queue);
});

test('what counts is written down before and after it happens, and the rest is left alone', async () => {
  const seen: string[] = [];
  const failpoints = createFailpoints({ SLUICE_FAILPOINT_LOG: log });
  const queue = failpoints.around('queue', aQueue(seen));
  await queue.wake('world-aaaaaa');
  expect(queue.lastProgress()).toBe(7);
  expect(seen).toEqual(['world-aaaaaa']);
  expect(reached()).toEqual(['before queue.wake', 'after queue.wake']);
});

test('a request to the cluster says what kind of object it writes', async () => {
  const cluster: Cluster = {
    ...deadCluster,
    patch: async () => ({ ok: false, error: { kind: 'not found', message: '' } }),
  };
  const failpoints = createFailpoints({ SLUICE_FAILPOINT_LOG: log, SLUICE_FAILPOINT: 'before cluster.patch:BLOCK:30' });
  const start = performance.now();
  await failpoints.around('cluster', cluster).patch(Deployments, { namespace: 'hello', name: 'world' }, []);
  expect(reached()).toEqual(['before cluster.patch Deployment', 'after cluster.patch Deployment']);
  expect(performance.now() - start).toBeGreaterThanOrEqual(30);
});

test('a lease counts when it is taken, renewed and given back', async () => {
  const lease: Lease = {
    ...{ abandoned: 3, failingSince: null, lastingSince: null, release: async () => true },
    ...{ begin: async () => {}, renew: async () => {} },
  };
  let free = true;
  const store = createFailpoints({ SLUICE_FAILPOINT_LOG: log }).around(
    'store',
    only<Store>({ lease: async () => (free ? lease : null) }),
  );
  const taken = await store.lease('tick:world-aaaaaa', 3_000);
  await taken?.renew();
  expect(await taken?.release()).toBe(true);
  expect(taken?.abandoned).toBe(3);
  free = false;
  expect(await store.lease('tick:world-aaaaaa', 3_000)).toBeNull();
  expect(reached().map((place) => place.replace('before', '<').replace('after', '>'))).toEqual([
    ...['< store.lease', '> store.lease', '< lease.renew', '> lease.renew', '< lease.release', '> lease.release'],
    ...['< store.lease', '> store.lease'],
  ]);
});

test('what the queue hands over lies before its acknowledgement', async () => {
  let handler = async (_: string) => {};
  const queue = createFailpoints({ SLUICE_FAILPOINT_LOG: log }).around('queue', {
    ...aQueue(),
    onTick: (given) => {
      handler = given;
    },
  });
  const seen: string[] = [];
  queue.onTick(async (id) => void seen.push(id));
  await handler('world-aaaaaa');
  expect(seen).toEqual(['world-aaaaaa']);
  expect(reached()).toEqual(['before queue.handled', 'before queue.ack']);
});

test('each call of an upload counts, and no other call to Slack: those are places of the chat', async () => {
  const answer = async () => new Response('ok');
  const fetch = createFailpoints({ SLUICE_FAILPOINT_LOG: log }).aroundUpload(answer);
  for (const call of ['api/files.getUploadURLExternal', 'upload/v1/abc', 'api/chat.postMessage'])
    await fetch(`https://slack.example/${call}`);
  expect(reached()).toEqual([
    ...['before slack files.getUploadURLExternal', 'after slack files.getUploadURLExternal'],
    ...['before slack upload', 'after slack upload'],
  ]);
  expect(createFailpoints({}).aroundUpload(answer)).toBe(answer);
});

test('a call that fails is never after', async () => {
  const failing: Queue = { ...aQueue(), wake: () => Promise.reject(new Error('no Redis')) };
  const queue = createFailpoints({ SLUICE_FAILPOINT_LOG: log }).around('queue', failing);
  await expect(queue.wake('world-aaaaaa')).rejects.toThrow('no Redis');
  expect(reached()).toEqual(['before queue.wake']);
});

test('one port keeps one identity', () => {
  const failpoints = createFailpoints({ SLUICE_FAILPOINT_LOG: log });
  const queue = aQueue();
  expect(failpoints.around('queue', queue)).toBe(failpoints.around('queue', queue));
});

test('an acknowledgement lies between what was recorded and what follows', async () => {
  const bot = createFailpoints({ SLUICE_FAILPOINT_LOG: log }).aroundAck({
    receive: async () => ({ after: async () => {} }),
  });
  const { after } = await bot.receive({
    key: 'k',
    user: 'U0ANA',
    name: 'ana',
    team: 'T',
    replyTo: { user: 'U0ANA', channel: 'C', thread: null, responseUrl: null },
    what: { kind: 'command', text: 'status', thread: null },
  });
  expect(reached()).toEqual(['before bot.receive', 'before ack']);
  await after();
  expect(reached().at(-1)).toBe('after ack');
});

test.each([
  ['before queue.wake:SIGKILL', 1],
  ['before queue.wake#2:SIGKILL', 2],
])('%s ends the process at its call number %i', (setting, calls) => {
  const program = `
    import { createFailpoints } from ${JSON.stringify(new URL('../src/failpoints.ts', import.meta.url).href)};
    const queue = createFailpoints(process.env).around('queue', { wake: async () => console.log('woken') });
    for (;;) await queue.wake('world-aaaaaa');`;
  const { signal, stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
    env: { ...process.env, SLUICE_FAILPOINT: setting },
    encoding: 'utf8',
    timeout: 10_000,
  });
  expect({ signal, woken: stdout.split('woken').length }).toEqual({ signal: 'SIGKILL', woken: calls });
});

test('BLOCK keeps the event loop busy', async () => {
  const queue = createFailpoints({ SLUICE_FAILPOINT: 'before queue.wake#*:BLOCK:30' }).around('queue', aQueue());
  const start = performance.now();
  await queue.wake('world-aaaaaa');
  await queue.wake('world-aaaaaa');
  expect(performance.now() - start).toBeGreaterThanOrEqual(60);
});

test('a setting that cannot be read is refused', () => {
  expect(() => createFailpoints({ SLUICE_FAILPOINT: 'store.save' })).toThrow(/expected/);
});
