/** A promotion whose pods do not become Ready in time: nothing moves without a person. */
import { expect, test } from 'vitest';
import { useStage } from '../scenarios/support/use-stage.ts';

// Two pods, one after the other, take longer than the promotion may.
const set = useStage({ readyAfterMs: 2_000, service: { checks: [], tests: [], promoteTimeout: '3s' } });
const LONG = 60_000;

test(
  'halted on the canary, Retry goes on to the end',
  async () => {
    const { stage, press, said, image } = set();
    await stage.slack.command('ana', 'world v2 brisk');
    await press('bo', 'Approve 100%');
    await press('bo', 'Promote');
    await said(/halted/i);
    expect(stage.weights.at(-1)).toBe(100);
    await press('bo', 'Keep on the canary');
    await stage.slack.until(() => !/Keep on the canary/.test(stage.slack.transcript()), { what: 'that it is kept' });
    await press('bo', 'Retry');
    await said(/v2 is live/i);
    expect(image('world')).toBe('buoyantio/world:v2');
  },
  LONG,
);

test(
  'halted and aborted: stable has its old pods again before it has the traffic',
  async () => {
    const { stage, press, said, cleaned, image } = set();
    await stage.slack.command('ana', 'world v2 brisk');
    await press('bo', 'Approve 100%');
    await press('bo', 'Promote');
    await said(/halted/i);
    await stage.slack.click('bo', stage.slack.root(), 'Abort');
    await said(/aborted by @bo/i);
    await cleaned();
    expect(image('world')).toBe('buoyantio/world:v1');
    expect(stage.weights).toEqual([0, 50, 100, 0]);
  },
  LONG,
);
