/** A stage of a test's own, for tests that run at the same time. */
import { expect } from 'vitest';
import { readChannel } from '../../scenarios/support/channel.ts';
import { type Options, setStage } from '../../scenarios/support/stage.ts';
import { replayAll } from '../../support/replay.ts';

type Opened = {
  readonly stage: Awaited<ReturnType<typeof setStage>>;
  readonly bot: Awaited<ReturnType<Awaited<ReturnType<typeof setStage>>['startBot']>>;
} & ReturnType<typeof readChannel>;

/** Whatever the test does, what is in Redis afterwards replays to what is stored, and Slack took all that it was sent. */
export async function onStage(
  options: Options,
  play: (opened: Opened) => Promise<void>,
  bot: Record<string, string> = {},
): Promise<void> {
  const stage = await setStage(options);
  try {
    await play({ stage, bot: await stage.startBot(bot), ...readChannel(stage) });
    expect((await replayAll(stage.corner)).problems).toEqual([]);
    expect(stage.slack.violations).toEqual([]);
  } catch (error) {
    process.stderr.write(`${stage.slack.transcript()}\n${stage.log()}\n`);
    throw error;
  } finally {
    await stage.stop();
  }
}
