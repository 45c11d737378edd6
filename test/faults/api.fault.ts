/** The API server fails, is slow, refuses or forgets, while a rollout moves: what becomes of the traffic, and what people read. */
import { readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { kinds } from '../../playground/api-server/kinds.ts';
import type { Effect } from '../../playground/api-server/traffic-control.ts';
import { useStage } from '../scenarios/support/use-stage.ts';
import { createEdits } from './support/edits.ts';
import { onStage } from './support/open-stage.ts';

const bare = { service: { checks: [], tests: [] } };
const routePatch = { verb: 'patch', resource: 'httproutes', name: 'world' } as const;
const STALLED_MS = 45_000;

describe('one write of the route fails: it is made once, and nobody is bothered', () => {
  const set = useStage(bare);

  test.each<[string, Effect]>([
    ['409', { kind: 'status', code: 409 }],
    ['429 with Retry-After', { kind: 'status', code: 429, retryAfterS: 2 }],
    ['500', { kind: 'status', code: 500 }],
    ['503', { kind: 'status', code: 503 }],
    ['the connection breaks before it', { kind: 'broken' }],
    ['the connection breaks after it: the answer is lost', { kind: 'answer lost' }],
    ['no answer at all', { kind: 'hang' }],
    ['it lands 5 s late, after its repetition', { kind: 'late', ms: 5_000 }],
    ['the answer comes 5 s late', { kind: 'late answer', ms: 5_000 }],
  ])('%s', async (_, effect) => {
    const { stage, press, gate } = set();
    const { api } = stage.playground;
    await stage.slack.command('ana', 'world v2 brisk');
    await gate('Approve 100%');
    const fault = api.disturb({ ...routePatch, effect });
    const asked = performance.now();
    await press('bo', 'Approve 100%');
    await gate('Promote');
    expect(fault.hits()).toBe(1);
    if ('retryAfterS' in effect) expect(performance.now() - asked).toBeGreaterThan(1_900);
    if ('ms' in effect) await pause(effect.ms - (performance.now() - asked));
    // The claim and one for each step.
    expect(stage.writes).toEqual([0, 50, 100]);
    expect(stage.slack.transcript()).not.toMatch(/Re-apply|aborted|refused by/i);
  });
});

describe('the API server refuses', () => {
  const set = useStage(bare);

  test('422 for the write itself: the rollout goes back to stable, with its words', async () => {
    const { stage, press, gate, said, cleaned } = set();
    await stage.slack.command('ana', 'world v2 brisk');
    await gate('Approve 100%');
    stage.playground.api.disturb({ ...routePatch, effect: { kind: 'status', code: 422 } });
    await press('bo', 'Approve 100%');
    expect(stage.slack.words(await said(/refused by the cluster/))).toMatch(
      /HTTPRoute hello\/world: disturbed by the playground/,
    );
    await cleaned();
    expect(stage.weights).toEqual([0, 50, 0]);
  });

  test('the token expires and is rotated on disk: the bot reads the new one at once', async () => {
    const { stage, press, gate } = set();
    await stage.slack.command('ana', 'world v2 brisk');
    await gate('Approve 100%');
    const { api, kubeconfig } = stage.playground;
    const written = readFileSync(kubeconfig, 'utf8').replace(api.token, 'rotated');
    api.rotate('rotated');
    api.dropConnections();
    await pause(500);
    writeFileSync(kubeconfig, written);
    await press('bo', 'Approve 100%');
    await stage.slack.until(() => stage.weights.at(-1) === 100, { what: '100%', timeoutMs: 6_000 });
    await gate('Promote');
  });

  test('the watches are gone and cannot go on where they were (410): an edit is noticed nevertheless', async () => {
    const { stage, press, gate } = set();
    await stage.slack.command('ana', 'world v2 brisk');
    await gate('Approve 100%');
    const { api, store } = stage.playground;
    api.dropConnections();
    createEdits(stage).strip(kinds.httpRoutes, 'world');
    store.compact();
    await gate('Re-apply');
    await press('bo', 'Re-apply');
    await press('bo', 'Approve 100%');
    await gate('Promote');
    expect(stage.weights).toEqual([0, 50, 100]);
  });

  test('away for a short time: nothing moves, and the rollout goes on by itself', async () => {
    const { stage, press, gate } = set();
    await stage.slack.command('ana', 'world v2 brisk');
    await gate('Approve 100%');
    await stage.playground.api.stop();
    await press('bo', 'Approve 100%');
    await pause(3_000);
    expect(stage.weights).toEqual([0, 50]);
    await stage.playground.api.start();
    await gate('Promote');
    expect(stage.weights).toEqual([0, 50, 100]);
    expect(stage.slack.transcript()).not.toMatch(/aborted|refused by/i);
  });

  test('so slow that each call runs into its time limit: an abort gets through as soon as one does not', async () => {
    const { stage, gate, said } = set();
    await stage.slack.command('ana', 'world v2 brisk');
    await gate('Approve 100%');
    const slow = stage.playground.api.disturb({
      verb: ['get', 'patch'],
      effect: { kind: 'hang' },
      times: Number.POSITIVE_INFINITY,
    });
    await stage.slack.click('bo', stage.slack.root(), 'Abort');
    await pause(4_000);
    slow.stop();
    await said(/aborted by @bo/);
    expect(stage.weights).toEqual([0, 50, 0]);
  });
});

describe.concurrent('an abort does not get through: it is tried for ever, and after 30 s the thread says the command', () => {
  test('the API server is away', () =>
    onStage(bare, async ({ stage, gate, said, cleaned }) => {
      await stage.slack.command('ana', 'world v2 brisk');
      await gate('Approve 100%');
      await stage.playground.api.stop();
      await stage.slack.click('bo', stage.slack.root(), 'Abort');
      const stalled = await stage.slack.until(
        () => stage.slack.thread().find(({ text }) => /does not get through/.test(text)),
        { what: 'the command by hand', timeoutMs: STALLED_MS },
      );
      expect(stage.slack.words(stalled)).toMatch(/npm run sluice -- abort world-/);
      expect(stage.weights).toEqual([0, 50]);
      await stage.playground.api.start();
      await said(/aborted by @bo/);
      await cleaned();
      expect(stage.weights).toEqual([0, 50, 0]);
      expect(stage.slack.thread().filter(({ text }) => /does not get through/.test(text))).toHaveLength(1);
    }));

  test('the right to write routes is taken away in the middle: told once, without a loop of requests', () =>
    onStage(bare, async ({ stage, gate, press, said, cleaned }) => {
      const { api } = stage.playground;
      await stage.slack.command('ana', 'world v2 brisk');
      await gate('Approve 100%');
      api.rights.deny({ verb: 'patch', resource: 'httproutes' });
      api.forget();
      await press('bo', 'Approve 100%');
      const stalled = await stage.slack.until(
        () => stage.slack.thread().find(({ text }) => /does not get through/.test(text)),
        { what: 'the command by hand', timeoutMs: STALLED_MS },
      );
      expect(stage.slack.words(stalled)).toMatch(
        /may not patch httproutes in namespace hello, so it cannot move traffic: add to its Role/,
      );
      expect(api.requests(routePatch).length).toBeLessThan(35);
      expect(stage.weights).toEqual([0, 50]);
      api.rights.allowEverything();
      await said(/refused by the cluster/);
      await cleaned();
      expect(stage.weights).toEqual([0, 50, 0]);
      expect(stage.slack.thread().filter(({ text }) => /does not get through/.test(text))).toHaveLength(1);
    }));
});
