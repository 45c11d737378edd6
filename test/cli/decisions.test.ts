/** Decisions without Slack: status, approve and abort of a rollout that waits at its first gate. */
import { hostname, userInfo } from 'node:os';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { kinds } from '../../playground/api-server/kinds.ts';
import { createKeys } from '../../src/adapters/redis/keys.ts';
import type { Actor } from '../../src/core/plan.ts';
import { withRedis } from '../support/redis.ts';
import { type Office, openOffice, startRollout } from './support.ts';

const ANA: Actor = { kind: 'person', user: 'U0ANA', name: 'ana' };
const ME = `${userInfo().username}@${hostname()}`;

let office: Office;
let started: Awaited<ReturnType<typeof startRollout>>;
beforeEach(async () => {
  office = await openOffice();
});
afterEach(async () => {
  await started.end();
  await office.close();
});

const begin = async (requester: Actor = ANA) => {
  started = await startRollout(office, requester);
  await started.toGate();
};
const weight = () => {
  const rules = office.playground.store.get(kinds.httpRoutes, 'hello', 'world')?.spec.rules ?? [];
  return rules[0]?.backendRefs?.find(({ name }) => name === 'world-canary')?.weight ?? 0;
};

it('status shows it, by service and by id', async () => {
  await begin();
  const { code, out } = await office.sluice(['status']);
  expect(code).toBe(0);
  const known = out.replaceAll(started.id, 'world-1').replaceAll(/\d\d:\d\d UTC/g, 'then');
  expect(known).toMatchInlineSnapshot(`
    "world-1  world v1 -> v2  step 1 of 2, 10%, waiting for approval at gate 1 of 2
      asked for by @ana at then: new greeting
      No data for 1 of 1 check: that is not a pass.
      0 of 1 approvals, by S_APPROVERS, until then
    "
  `);
  expect((await office.sluice(['status', 'world'])).out).toBe(out);
  expect((await office.sluice(['status', started.id])).out).toBe(out);
  expect(await office.sluice(['status', 'wrold'])).toEqual({
    code: 1,
    out: '',
    err: 'wrold is neither a service nor the id of a rollout; did you mean world?\n',
  });
});

it('approve counts as the account of the machine; without passing checks it needs a reason', async () => {
  await begin();
  expect(await office.sluice(['approve', 'world'])).toEqual({
    code: 1,
    out: '',
    err: 'a check or test does not pass: say why with --reason "…"\n',
  });
  const { code, out } = await office.sluice(['approve', 'world', '--reason', 'nobody uses it at night']);
  expect({ code, out }).toEqual({ code: 0, out: expect.stringMatching(/^approved: world v2: preparing 100%/) });
  expect(out).toContain('No bot has taken it up yet: is one running?');
  const [gate] = (await started.rollout()).gates;
  expect(gate?.approvals).toEqual([
    {
      actor: { kind: 'cli', user: ME, name: `cli:${ME}` },
      reason: 'nobody uses it at night',
      at: expect.any(Number),
    },
  ]);
  // A decision is recorded here; traffic is the bot's to move.
  expect(weight()).toBe(10);
  expect((await office.sluice(['approve', 'world'])).err).toMatch(/^no gate to approve is open\n/);
});

it('who asked for it cannot approve it here either', async () => {
  await begin({ kind: 'cli', user: ME, name: `cli:${ME}` });
  expect(await office.sluice(['approve', started.id, '--reason', 'mine'])).toEqual({
    code: 1,
    out: '',
    err: 'You asked for this rollout, so somebody else must approve it. You can still abort it.\n',
  });
});

it('abort takes all traffic back without a bot, and says so', async () => {
  await begin();
  expect(weight()).toBe(10);
  const { code, out } = await office.sluice(['abort', 'world', '--reason', 'wrong greeting']);
  expect({ code, out }).toEqual({
    code: 0,
    out: expect.stringMatching(/^world v2: aborted by cli:.* at the gate of 10%; all traffic is on v1/),
  });
  expect(weight()).toBe(0);
});

it('abort needs no Redis', async () => {
  await begin();
  const { code, out } = await office.sluice(['abort', 'world'], { REDIS_URL: 'redis://127.0.0.1:1' });
  expect(code).toBe(0);
  expect(out).toContain('all traffic of world is on the stable version, written straight to the cluster');
  expect(weight()).toBe(0);
  const marks = office.playground.store.get(kinds.httpRoutes, 'hello', 'world')?.metadata.annotations;
  expect(marks?.['sluice.dev/abort']).toMatch(new RegExp(`^cli:${ME}@20`));
});

it('one that cannot be read in Redis is named with what to do, and aborted by its marks in the cluster', async () => {
  await begin();
  const { env } = (await started.rollout()).plan;
  const { state } = createKeys(env).rollout(started.id);
  await withRedis(office.environment.REDIS_URL ?? '', (redis) => redis.hset(state, 'state', '{'));
  const named = `rollout ${started.id} cannot be read in Redis (`;
  expect(await office.sluice(['status'])).toMatchObject({ code: 0, out: expect.stringContaining(named) });
  expect(await office.sluice(['status', 'world'])).toMatchObject({ code: 1, err: expect.stringContaining(named) });
  const { code, out } = await office.sluice(['abort', 'world']);
  expect({ code, out }).toEqual({ code: 0, out: expect.stringContaining(`straight to the cluster: ${named}`) });
  expect(weight()).toBe(0);
});
