/** Slack fails, or people press everything twice: the traffic does not care, and each gate is decided once. */
import { setTimeout as pause } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { kinds } from '../../playground/api-server/kinds.ts';
import { useStage } from '../scenarios/support/use-stage.ts';
import type { Fault, Message } from '../support/fake-slack/index.ts';
import { BOT } from '../support/fake-slack/workspace.ts';
import { createEdits } from './support/edits.ts';

const bare = {
  service: { checks: [], tests: [] },
  config: { slack: { channel: 'deploys', tables: false, fallbackChannel: 'general' } },
};
const set = useStage(bare);
const soon = { timeoutMs: 10_000 };

/** The gate of 50%, open in the thread. */
async function atTheGate(): Promise<Message> {
  await set().stage.slack.command('ana', 'world v2 brisk');
  return set().gate('Approve 100%');
}

/** What Slack refused is what this fault is about. */
function expectRefusedOnly(error: string): void {
  const { violations } = set().stage.slack;
  expect(new Set(violations.splice(0).map(({ what }) => what))).toEqual(new Set([error]));
}

describe('Slack does not take messages', () => {
  test.each<[string, Fault]>([
    ['it is down', { kind: 'down' }],
    ['it answers 429', { kind: 'rate limit', seconds: 1 }],
    ['it answers with an error of its own', { kind: 'error', error: 'internal_error' }],
    ['it does not answer at all', { kind: 'hang' }],
    ['it takes them and the answer is lost', { kind: 'unknown outcome' }],
  ])('%s from the start: nothing moves before the first message, and each gate is posted once', async (_, fault) => {
    const { stage, gate } = set();
    const { slack } = stage;
    slack.fail(fault, { method: 'chat.postMessage', ...(fault.kind === 'unknown outcome' && { times: 1 }) });
    await slack.command('ana', 'world v2 brisk');
    await slack.until(() => stage.get(kinds.deployments, 'world-canary')?.status?.readyReplicas === 1, {
      what: 'the canary',
      ...soon,
    });
    await pause(1_000);
    if (fault.kind !== 'unknown outcome') expect(stage.weights).toEqual([0]);
    slack.heal();
    await gate('Approve 100%');
    expect(stage.weights).toEqual([0, 50]);
    expect(slack.roots()).toHaveLength(1);
    expect(slack.thread().filter(({ text }) => /^Gate 1/.test(text))).toHaveLength(1);
  });

  test('it is down at a gate: an abort by itself acts, the words follow', async () => {
    const { stage, said } = set();
    const { slack } = stage;
    await atTheGate();
    slack.fail({ kind: 'down' });
    createEdits(stage).remove(kinds.deployments, 'world-canary');
    await slack.until(() => stage.weights.at(-1) === 0, { what: 'the traffic is back', ...soon });
    await slack.until(
      () => stage.get(kinds.httpRoutes, 'world')?.metadata.annotations?.['sluice.dev/phase'] === 'done',
      { what: 'the end', ...soon },
    );
    expect(slack.thread().some(({ text }) => /aborted/.test(text))).toBe(false);
    slack.heal();
    const result = await said(/is aborted/);
    expect(slack.words(result)).toMatch(/world-canary is gone/);
    await slack.until(() => /aborted/.test(slack.root()?.text ?? ''), { what: 'the root says so too', ...soon });
  });
});

describe('Slack refuses the tokens when the bot starts anew', () => {
  const revoked: Fault = { kind: 'error', error: 'token_revoked' };

  test('at a gate: it guards the rollout without Slack, and says all of it when they are taken again', async () => {
    const { stage, bot, said } = set();
    const { slack } = stage;
    await atTheGate();
    await bot.kill();
    slack.fail(revoked);
    await stage.startBot();
    expect(stage.log()).toMatch(/Slack refuses the tokens \(token_revoked\).*Going on without Slack/);
    createEdits(stage).remove(kinds.deployments, 'world-canary');
    await slack.until(() => stage.weights.at(-1) === 0, { what: 'the traffic is back', ...soon });
    slack.heal();
    await said(/is aborted/);
  });

  test('and Redis has lost everything: it finds the rollout by its marks and takes the traffic back', async () => {
    const { stage, bot, said } = set();
    const { slack } = stage;
    await atTheGate();
    await bot.kill();
    await stage.corner.clear();
    slack.fail(revoked);
    await stage.startBot();
    await slack.until(() => stage.weights.at(-1) === 0, { what: 'the traffic is back', ...soon });
    slack.heal();
    await said(/Redis had lost this rollout/);
  });

  test('with nothing to guard it ends, and says what to correct', async () => {
    const { stage, bot } = set();
    await bot.kill();
    stage.slack.fail(revoked);
    await expect(stage.startBot()).rejects.toThrow(
      'Slack refuses the tokens (token_revoked): check SLACK_BOT_TOKEN and SLACK_APP_TOKEN',
    );
  });
});

describe('the message or the channel goes away', () => {
  test('the gate is deleted: the thread still decides it', async () => {
    const { stage, gate } = set();
    stage.slack.remove(await atTheGate());
    await stage.slack.mention('bo', stage.slack.root()?.ts ?? '', 'approve');
    await gate('Promote');
    expect(stage.weights).toEqual([0, 50, 100]);
    expectRefusedOnly('message_not_found');
  });

  test.each<[string, () => void, string]>([
    [
      'the channel is archived',
      () => {
        const channel = set().stage.slack.workspace.channels.find(({ id }) => id === 'C0DEPLOYS');
        if (channel) channel.archived = true;
      },
      'is_archived',
    ],
    [
      'the bot is removed from the channel',
      () => {
        const channel = set().stage.slack.workspace.channels.find(({ id }) => id === 'C0DEPLOYS');
        if (channel) channel.members = channel.members.filter((id) => id !== BOT);
      },
      'not_in_channel',
    ],
  ])(
    '%s: the next gate comes in the fallback channel, with the reason, and is decided there',
    async (_, close, why) => {
      const { stage } = set();
      const { slack } = stage;
      const first = await atTheGate();
      close();
      await slack.click('bo', first, 'Approve 100%');
      const second = await slack.until(
        () => slack.roots('C0GENERAL').findLast((message) => slack.buttons(message).includes('Promote')),
        { what: 'the gate in the fallback channel', ...soon },
      );
      expect(slack.words(second)).toContain(why);
      await slack.click('bo', second, 'Promote');
      await slack.until(() => slack.roots('C0GENERAL').some(({ text }) => /v2 is live/.test(text)), {
        what: 'the result there',
        timeoutMs: 15_000,
      });
      expect(stage.weights).toEqual([0, 50, 100, 0]);
      expectRefusedOnly(why);
    },
  );
});

describe('people press twice, late, or at once', () => {
  test('50 signed clicks of two people on one gate: one decision, everybody is answered', async () => {
    const { stage, gate } = set();
    const { slack } = stage;
    const open = await atTheGate();
    const clicks = Array.from({ length: 50 }, (_, n) => slack.click(n % 2 ? 'bo' : 'cy', open, 'Approve 100%'));
    const delivered = await Promise.all(clicks);
    expect(delivered.filter(({ error }) => error !== null)).toEqual([]);
    await gate('Promote');
    expect(stage.weights).toEqual([0, 50, 100]);
    // One approved; a flood of one person is answered once for all.
    for (const name of ['bo', 'cy'] as const) {
      const answered = () =>
        slack.ephemerals(name).filter((text) => /decided|Too many requests/.test(text)).length >= 15;
      await slack.until(answered, { what: `answers to ${name}`, ...soon });
    }
    expect(slack.thread().filter(({ text }) => /gate 1 of 2\. Approved/.test(text))).toHaveLength(1);
  });

  test('approve and abort within the same moment: it ends aborted, in either order', async () => {
    const { stage, said, cleaned } = set();
    const { slack } = stage;
    const open = await atTheGate();
    await Promise.all([slack.click('bo', open, 'Approve 100%'), slack.click('cy', open, 'Abort')]);
    await said(/aborted by @cy/);
    await cleaned();
    expect(stage.weights.at(-1)).toBe(0);
    expect(stage.weights.slice(0, 2)).toEqual([0, 50]);
    expect(slack.thread().filter(({ text }) => /all traffic is on v1/i.test(text))).toHaveLength(1);
  });

  test('a click that is replayed byte by byte counts once', async () => {
    const { stage, gate, told } = set();
    await stage.slack.click('bo', await atTheGate(), 'Approve 100%');
    await stage.slack.replay();
    await told('bo', /came twice/);
    await gate('Promote');
    expect(stage.weights).toEqual([0, 50, 100]);
  });

  test('the button of a decided gate, and of a rollout that has ended, do nothing and say so', async () => {
    const { stage, gate, told, press, said, cleaned } = set();
    const { slack } = stage;
    const first = await atTheGate();
    await slack.click('bo', first, 'Approve 100%');
    await gate('Promote');
    await slack.click('cy', first, 'Approve 100%', { stale: true });
    await told('cy', /decided|approved/i);
    expect(stage.weights).toEqual([0, 50, 100]);
    await press('bo', 'Abort');
    await said(/aborted by @bo/);
    await cleaned();
    await slack.until(
      () => stage.get(kinds.httpRoutes, 'world')?.metadata.annotations?.['sluice.dev/phase'] === 'done',
      { what: 'the end', ...soon },
    );
    const old = slack.thread().find(({ text }) => /gate 2/i.test(text));
    await slack.command('ana', 'world v3 brisk');
    await slack.until(() => stage.weights.at(-1) === 50, { what: 'the next rollout', ...soon });
    await slack.click('cy', old, 'Promote', { stale: true });
    await slack.until(() => slack.ephemerals('cy').length >= 2, { what: 'an answer', ...soon });
    await slack.click('cy', old, 'Abort', { stale: true });
    await slack.until(() => slack.ephemerals('cy').length >= 3, { what: 'an answer', ...soon });
    await pause(300);
    expect(stage.weights).toEqual([0, 50, 100, 0, 50]);
  });

  test('one command by two people at once, and delivered again: one rollout, the other is told who holds it', async () => {
    const { stage, gate } = set();
    const { slack } = stage;
    await Promise.all([slack.command('ana', 'world v2 brisk'), slack.command('bo', 'world v2 brisk')]);
    await slack.replay();
    await gate('Approve 100%');
    await slack.until(
      () => [...slack.ephemerals('ana'), ...slack.ephemerals('bo')].some((text) => /is busy/.test(text)),
      { what: 'who holds it', ...soon },
    );
    expect(slack.roots()).toHaveLength(1);
    expect(stage.weights).toEqual([0, 50]);
  });
});

describe('a word in the thread, and the process dies', () => {
  test.each([
    ['before it is acknowledged: Slack says it again', 'before ack', 'approve', 100],
    ['right after it was acknowledged', 'after ack', 'approve', 100],
    ['right after it was acknowledged', 'after ack', 'abort', 0],
  ])('%s (%s, %s): it counts, once', async (_, place, word, weight) => {
    const { stage, bot } = set();
    const { slack } = stage;
    await atTheGate();
    await bot.kill();
    const dying = await stage.startBot({ SLUICE_FAILPOINT: `${place}:SIGKILL` });
    const said = await slack.mention('bo', slack.root()?.ts ?? '', word);
    await dying.ended;
    await stage.startBot();
    if (said.error !== null) await slack.replay({ retry: 1 });
    await slack.until(() => stage.weights.at(-1) === weight, { what: `${weight}%`, timeoutMs: 25_000 });
    expect(stage.weights).toEqual([0, 50, weight]);
    await pause(1_000);
    expect(slack.ephemerals('bo').filter((text) => /came twice|no effect/.test(text))).toEqual([]);
  });
});
