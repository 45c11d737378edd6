/**
 * A fresh stage with one bot for each test; shows the channel and the log of a test that failed. What each test left in Redis
 * is replayed.
 */
import { afterEach, beforeEach, expect } from 'vitest';
import { replayAll } from '../../support/replay.ts';
import { readChannel } from './channel.ts';
import { type Options, type Stage, setStage } from './stage.ts';

type Set = { readonly stage: Stage; readonly bot: Awaited<ReturnType<Stage['startBot']>> } & ReturnType<
  typeof readChannel
>;

export function useStage(options: Options = {}): () => Set {
  let set: Set | undefined;
  const now = () => {
    if (!set) throw new Error('the stage is not set');
    return set;
  };
  beforeEach(async () => {
    const stage = await setStage(options);
    set = { stage, bot: await stage.startBot(), ...readChannel(stage) };
  });
  afterEach(async ({ task }) => {
    const { stage } = now();
    if (task.result?.state === 'fail') process.stderr.write(`${stage.slack.transcript()}\n${stage.log()}\n`);
    const replayed = await replayAll(stage.corner);
    await stage.stop();
    expect(stage.slack.violations).toEqual([]);
    expect(replayed.problems).toEqual([]);
  });
  return now;
}
