/** A thousand clicks a second: each is recorded before it is acknowledged, and Slack waits 3 s at most. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { createStore } from '../../src/adapters/redis/store.ts';
import type { FakeSlack } from '../../test/support/fake-slack/index.ts';
import { percentile } from '../measure.ts';
import { type Place, startBot } from '../programs.ts';
import { limitRow, type Row } from '../report.ts';
import { NO_LOG } from '../support.ts';
import { standAtGate } from './acknowledgement.ts';

const PER_SECOND = 1_000;
const SECONDS = 10;
const WARM_UP_S = 3;
const CLICKER = new URL('../clicker.ts', import.meta.url).pathname;
const BYTES_MAX = 10_000_000;

type Deps = { readonly slack: FakeSlack; readonly redis: string; readonly env: string; readonly place: Place };

export async function measureClicks({ slack, redis, env, place }: Deps): Promise<readonly Row[]> {
  const store = createStore({ url: redis, env, log: NO_LOG });
  const button = await standAtGate(store, env, place.namespace);
  const bot = await startBot({ slack, redis, env, place });
  try {
    const script = [CLICKER, bot.url, slack.signingSecret, JSON.stringify(button)];
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ['--disable-warning=ExperimentalWarning', ...script, ...[PER_SECOND, SECONDS, WARM_UP_S].map(String)],
      { maxBuffer: BYTES_MAX },
    );
    const { times, failed }: { times: readonly number[]; failed: number } = JSON.parse(stdout);
    const ms = (share: number) => Math.round(percentile(times, share));
    const what = `approve button under ${PER_SECOND} clicks a second: recorded and acknowledged (p99)`;
    const note = `p50 ${ms(0.5)} ms, ${failed} of ${times.length + failed} without an answer; the clicks come from the same 2 cores`;
    const row = limitRow(what, ms(0.99), 500, ' ms', note);
    return [{ ...row, holds: row.holds && failed === 0 }];
  } finally {
    await bot.stop();
    await store.close();
  }
}
