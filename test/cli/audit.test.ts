/** What `audit verify` finds when somebody changes Redis behind the bot's back, and what it cannot find without a log. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { stringify } from 'yaml';
import { linkHash, withoutPlan } from '../../src/adapters/redis/chain.ts';
import { pack } from '../../src/adapters/redis/pack.ts';
import { run } from '../../src/cli/run.ts';
import { openCorner } from '../app/support.ts';
import { playTo, start } from '../contracts/store.ts';
import { withRedis } from '../support/redis.ts';

let corner: ReturnType<typeof openCorner>;
let folder: string;
let id: string;
beforeEach(async () => {
  corner = openCorner();
  folder = mkdtempSync(join(tmpdir(), 'sluice-audit-'));
  vi.stubEnv('REDIS_URL', corner.url);
  vi.stubEnv('SLUICE_CONFIG', join(folder, 'sluice.yaml'));
  writeFileSync(join(folder, 'sluice.yaml'), stringify({ env: corner.env, slack: { channel: 'c' }, services: {} }));
  ({ id } = await start(corner.store, 'world', corner.env));
  await playTo(corner.store, id, (phase) => phase.kind === 'waiting');
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await corner.close();
  rmSync(folder, { recursive: true, force: true });
});

/** As `npm run sluice -- audit …`, in this process: there are many of them. */
async function audit(...args: string[]) {
  let text = '';
  const write = (chunk: string | Uint8Array) => {
    text += chunk;
    return true;
  };
  const streams = [process.stdout, process.stderr].map((stream) => vi.spyOn(stream, 'write').mockImplementation(write));
  try {
    const code = await run(['audit', ...args]);
    return { code, text };
  } finally {
    for (const stream of streams) stream.mockRestore();
  }
}

const state = () => `sluice:{${corner.env}/world}:ro:${id}`;
const list = () => `${state()}:ev`;
const change = (work: (redis: Redis) => Promise<unknown>) => withRedis(corner.url, work);

/** The lines that a bot wrote while it recorded. */
async function writeLog(): Promise<string> {
  const events = await corner.store.events(id);
  const time = new Date().toISOString();
  const lines = events.map(({ version, hash }) =>
    JSON.stringify({ time, rollout: id, version, head: hash, msg: 'recorded' }),
  );
  const file = join(folder, 'bot.log');
  writeFileSync(file, ['no JSON "head"', ...lines, '{"msg":"other"}'].join('\n'));
  return file;
}

it('what is untouched is whole', async () => {
  const log = await writeLog();
  const head = (await corner.store.events(id)).at(-1)?.hash;
  for (const more of [[], [id], ['--log', log], [id, '--log', log]]) {
    const { code, text } = await audit('verify', ...more);
    expect(text).toMatch(new RegExp(`${id}  ok +\\d+ events, head ${head}`));
    expect(code).toBe(0);
  }
  expect((await audit('verify')).text).toContain('without --log nobody can tell');
});

describe('found without a log', () => {
  it.each<[string, (redis: Redis) => Promise<unknown>, RegExp]>([
    [
      'an event that was changed',
      async (redis) => {
        const entry = await redis.lindexBuffer(list(), 2);
        if (!entry) throw new Error('there is an event');
        // One digit of its time.
        entry[5] = (entry[5] ?? 0) ^ 1;
        await redis.lset(list(), 2, entry);
      },
      /event 3: it was changed/,
    ],
    [
      'an event whose content was garbled',
      async (redis) => {
        const entry = (await redis.lindexBuffer(list(), 0)) ?? Buffer.alloc(0);
        entry[entry.length - 2] = (entry.at(-2) ?? 0) ^ 0xff;
        await redis.lset(list(), 0, entry);
      },
      /WRONG/,
    ],
    [
      'an event that was taken out',
      async (redis) => {
        await redis.lset(list(), 3, 'gone');
        await redis.lrem(list(), 1, 'gone');
      },
      /event 4: it was changed/,
    ],
    [
      'two events that changed places',
      async (redis) => {
        const [one, two] = await redis.lrangeBuffer(list(), 2, 3);
        if (!one || !two) throw new Error('there are events');
        await redis.lset(list(), 2, two);
        await redis.lset(list(), 3, one);
      },
      /event 3: it was changed/,
    ],
    ['the newest event taken off', (redis) => redis.rpop(list()), /has \d+ events, and its state is that after \d+/],
    ['all events taken away', (redis) => redis.del(list()), /has 0 events/],
    ['the state taken away', (redis) => redis.del(state()), /WRONG/],
    ['an event added', (redis) => redis.rpush(list(), '1 hash {"type":"approved"}'), /WRONG/],
    ['another head', (redis) => redis.hset(state(), 'head', 'forged'), /its state was recorded after other events/],
    [
      'another plan',
      async (redis) => {
        const [first] = await corner.store.events(id);
        if (first?.event.type !== 'requested') throw new Error('the first event has the plan');
        const plan = { ...first.event.plan, access: { ...first.event.plan.access, approve: ['U0EVE'] } };
        await redis.hset(state(), 'plan', pack(plan));
      },
      /event 1: it was changed/,
    ],
  ])('%s', async (_, tamper, words) => {
    await change(tamper);
    const { code, text } = await audit('verify');
    expect(text).toMatch(words);
    expect(code).toBe(1);
  });
});

describe('found with a log only', () => {
  it.each<[string, (redis: Redis) => Promise<unknown>, RegExp]>([
    [
      'the end cut off, with the state of then put back',
      async (redis) => {
        const events = await corner.store.events(id);
        const cut = events.length - 2;
        const found = await corner.store.load(id);
        const { plan: _, ...rest } = { ...found?.rollout, version: cut };
        await redis.ltrim(list(), 0, cut - 1);
        await redis.hset(state(), 'head', events[cut - 1]?.hash ?? '', 'ver', cut, 'state', JSON.stringify(rest));
      },
      /event \d+ is in the log, and not here/,
    ],
    [
      'everything written anew, with other people in it',
      async (redis) => {
        const events = await corner.store.events(id);
        let head = '';
        await redis.del(list());
        for (const { version, at, event } of events) {
          const other = event.type === 'canary_ready' ? { ...event, seq: event.seq + 1 } : event;
          head = linkHash(head, version, at, other);
          const packed = Buffer.from(pack(withoutPlan(other).event));
          await redis.rpush(list(), Buffer.concat([Buffer.from(`${at} ${head} `), packed]));
        }
        await redis.hset(state(), 'head', head);
      },
      /event \d+ is another one in the log/,
    ],
    ['the rollout removed', async (redis) => redis.del(await redis.keys(`${state()}*`)), /there is no such rollout/],
  ])('%s', async (_, tamper, words) => {
    const log = await writeLog();
    await change(tamper);
    expect((await audit('verify')).code).toBe(0);
    const { code, text } = await audit('verify', '--log', log);
    expect(text).toMatch(words);
    expect(code).toBe(1);
  });
});

it('exports the events as JSON lines, whose hashes anybody can compute', async () => {
  const { code, text } = await audit('export', id);
  expect(code).toBe(0);
  let head = '';
  for (const line of text.trim().split('\n')) {
    const { rollout, version, at, event, hash } = JSON.parse(line);
    expect(rollout).toBe(id);
    head = linkHash(head, version, Date.parse(at), event);
    expect(hash).toBe(head);
  }
});

it.each([
  [['check'], 2, /write audit verify or audit export/],
  [['export'], 2, /write the id/],
  [['export', 'world-000000'], 1, /nothing is recorded of world-000000/],
  [['verify', 'world-000000'], 1, /there is no such rollout/],
])('%j ends with %i', async (args, code, words) => {
  const answer = await audit(...args);
  expect(answer.text).toMatch(words);
  expect(answer.code).toBe(code);
});
