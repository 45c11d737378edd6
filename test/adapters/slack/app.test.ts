/** The start while Slack refuses the tokens: an operator's mistake, unless there is something to guard. */
import { afterEach, expect, it, vi } from 'vitest';
import type { FakeSlack } from '../../support/fake-slack/index.ts';
import { startAdapter } from './support.ts';

const refusing = (fake: FakeSlack) => fake.fail({ kind: 'error', error: 'account_inactive' });

let stop: () => Promise<void> = async () => undefined;
afterEach(() => {
  vi.useRealTimers();
  return stop();
});

it('ends where nothing runs', async () => {
  await expect(startAdapter({}, { before: refusing })).rejects.toThrow('Slack refuses the tokens (account_inactive)');
});

it('goes on where a rollout runs, and connects once they are taken again', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'], shouldAdvanceTime: true, advanceTimeDelta: 20 });
  const bench = await startAdapter({}, { before: refusing, isGuarding: async () => true });
  stop = bench.stop;
  const said = () => bench.log.lines.map(({ level, message }) => `${level}: ${message}`);
  expect(said()).toContainEqual(
    expect.stringMatching(/^error: Slack refuses the tokens \(account_inactive\).*Going on without Slack/),
  );
  bench.fake.heal();
  await vi.advanceTimersByTimeAsync(60_000);
  await vi.waitFor(() => expect(said()).toContain('info: connected to Slack'));
});
