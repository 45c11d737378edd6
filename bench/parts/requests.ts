/** How often the API server is asked, by its own audit log: one rollout from preview to clean-up, its waiting, and an idle bot. */
import { type ApiProxy, startApiProxy } from '../../test/e2e/support/api-proxy.ts';
import { type Call, calls } from '../../test/e2e/support/audit.ts';
import { until } from '../../test/e2e/support/wait.ts';
import { createWorld, type World } from '../../test/e2e/support/world.ts';
import { type FakeSlack, startFakeSlack } from '../../test/support/fake-slack/index.ts';
import { type BotProgram, type Place, startBot } from '../programs.ts';
import { limitRow, noteRow, type Row } from '../report.ts';
import { pause } from '../support.ts';

const MINUTE_MS = 60_000;
const GATES = 4;
const LOAD_PER_SECOND = 20;
const STEP_MS = 40_000;

/** A bot whose requests the audit log knows by a name of their own. */
export type Watched = BotProgram & { readonly agentName: string };

type Deps = { readonly slack: FakeSlack; readonly redis: string; readonly env: string };

export const placeOf = ({ namespace }: World, kubeconfig: string): Place => ({
  namespace,
  kubeconfig,
  prometheus: process.env.PROMETHEUS_URL ?? '',
});

export async function startWatched(deps: Deps, world: World): Promise<Watched> {
  const api: ApiProxy = await startApiProxy();
  const bot = await startBot({ ...deps, place: placeOf(world, api.kubeconfig) });
  return {
    ...bot,
    agentName: api.agentName,
    async stop() {
      await bot.stop();
      await api.stop();
    },
  };
}

/**
 * One approved rollout. It waits at the gate of 10% while `meanwhile` goes on, a minute at least; that minute is counted apart.
 */
export async function measureRollout(
  { redis, env }: Omit<Deps, 'slack'>,
  meanwhile: () => Promise<void>,
): Promise<readonly Row[]> {
  if (!process.env.PROMETHEUS_URL) throw new Error('PROMETHEUS_URL is not set; it names the Prometheus of the cluster');
  const [world, slack] = [await createWorld(), await startFakeSlack()];
  const bot = await startWatched({ slack, redis, env }, world);
  slack.botUrl = bot.url;
  const users = world.users.stream(LOAD_PER_SECOND);
  try {
    const from = Date.now();
    await slack.command('ana', 'world v2');
    await approve(slack, 1);
    await gate(slack, 2);
    // What the gate itself asks for is over: its tick, its message.
    await pause(1_000);
    const waitsFrom = Date.now();
    await meanwhile();
    await pause(Math.max(0, waitsFrom + MINUTE_MS - Date.now()));
    const waitsTo = Date.now();
    for (let n = 2; n <= GATES; n++) await approve(slack, n);
    await until('nothing of the canary is left', async () => (await world.leftovers()).length === 0, {
      withinMs: STEP_MS,
    });
    await until('the claim is given back', async () => {
      const { route, deployment } = await world.marks();
      return route?.phase === 'done' && deployment?.phase === 'done';
    });
    const { failed } = await users.stop();
    const waiting = calls(bot.agentName, waitsFrom, waitsTo);
    const moving = calls(bot.agentName, from).filter(({ at }) => at < waitsFrom || at > waitsTo);
    const watches = waiting.filter(({ verb }) => verb === 'watch').length;
    const minutes = (waitsTo - waitsFrom) / MINUTE_MS;
    const asked = waiting.filter((call) => call.verb !== 'watch' && !isSweep(call)).length;
    return [
      limitRow('API requests: preview, 10, 50, 100, promotion, clean-up', moving.length, 30, '', summary(moving)),
      limitRow(
        'API requests of a waiting rollout per minute',
        asked / minutes,
        0,
        '',
        `and ${watches} re-opened watches`,
      ),
      noteRow('requests of users that failed meanwhile', `${failed.length} of ${users.count.sent}`),
    ];
  } finally {
    await users.stop();
    await bot.stop();
    await slack.stop();
    await world.remove();
  }
}

/** Since it was ready. */
export function measureIdle(bot: Watched): Row {
  const from = bot.readyAt + 1_000;
  const minutes = (Date.now() - from) / MINUTE_MS;
  const asked = calls(bot.agentName, from);
  return {
    what: 'API requests of the idle bot per minute and namespace',
    measured: `${(asked.length / minutes).toFixed(1)} (${asked.length} in ${minutes.toFixed(1)} minutes)`,
    bar: '<= 1',
    // One begins the first minute.
    holds: asked.length <= Math.ceil(minutes),
  };
}

/** The idle bot's: one for the namespace, however many rollouts wait there. */
const isSweep = ({ verb, what }: Call) => verb === 'list' && what === 'httproutes';

function summary(made: readonly Call[]): string {
  const byVerb = Map.groupBy(made, ({ verb }) => verb);
  return [...byVerb].map(([verb, { length }]) => `${length} ${verb}`).join(', ');
}

const gate = (slack: FakeSlack, n: number) =>
  slack.until(
    () => {
      const message = slack.thread().filter((one) => everAsked(one.versions))[n - 1];
      return slack.buttons(message).some((label) => /^(approve|promote)/i.test(label)) && message;
    },
    { what: `gate ${n}`, timeoutMs: STEP_MS },
  );

const everAsked = (versions: readonly { readonly blocks: readonly object[] }[]) =>
  versions.some(({ blocks }) => /"(approve|approve_anyway)"/.test(JSON.stringify(blocks)));

async function approve(slack: FakeSlack, n: number): Promise<void> {
  const message = await gate(slack, n);
  const label = slack.buttons(message).find((one) => /^(approve|promote)/i.test(one)) ?? '';
  const { error } = await slack.click('bo', message, label);
  if (error) throw new Error(`${label}: ${error}`);
  if (/anyway/i.test(label)) await slack.submit('bo', { reason: 'seen' });
}
