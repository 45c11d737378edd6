/** One rollout as people follow it in Slack: from the command to its last message. */
import { expect } from 'vitest';
import { complaints, type History } from './history.ts';
import { approveButton, line, type Message, wordsOf } from './slack.ts';
import { planOf, type Stage } from './stage.ts';
import { until } from './wait.ts';
import { marksOf, type World } from './world.ts';

type Where = Pick<Stage, 'slack'> & { readonly world: World; readonly history: History };

export type Rollout = Awaited<ReturnType<typeof deploy>>;

/** ana types `/deploy <text>`, with the strategy at its end; resolves when the rollout's own message is in the channel. */
export async function deploy({ slack, history, world }: Where, text: string, user = 'ana') {
  const from = Date.now();
  const before = (await slack.all()).at(-1)?.ts ?? '0';
  const { acked_ms, error } = await slack.deploy(user, text);
  expect({ acked: acked_ms !== null, error }, `/deploy ${text}`).toEqual({ acked: true, error: undefined });
  const posted = await slack.find(
    'the root message',
    (message) => message.ts > before && isRootOf(message, world),
    10_000,
  );
  const approvals: number[] = [];
  const plan = planOf(text.split(' ').at(-1));

  const thread = async () => (await slack.all()).filter(({ thread_ts }) => thread_ts === posted.ts);
  /** Waits for the n-th gate, counted from 1, to be open. */
  const gate = (n: number, withinMs = 30_000): Promise<Message> => {
    let seen: readonly Message[] = [];
    const open = async () => {
      seen = await slack.gates(posted);
      const message = seen[n - 1];
      return message && approveButton(message.blocks) !== undefined && message;
    };
    return until(`gate ${n} is open`, open, { withinMs, seen: () => seen.map(line).join('\n') });
  };
  const approve = async (n: number, who = 'bo') => {
    approvals.push(await slack.approve(who, await gate(n)));
  };

  return {
    /** When the command was typed. */
    from,
    /** When each gate was approved, in order. */
    approvals,
    posted,
    thread,
    gate,
    approve,
    /** Approves gate after gate until the canary gets `weight`. */
    async approveUpTo(weight: number) {
      for (const [n, next] of plan.slice(1, plan.indexOf(weight) + 1).entries()) {
        await approve(n + 1);
        await history.reaches(next, { from });
      }
    },
    /** Presses Abort on the rollout's own message, until somebody answers. */
    abort: (who = 'ana') => slack.clickUntilAnswered(who, posted, 'Abort'),
    /** A message of this thread, only for `to` if given. */
    said: (words: RegExp, { to, withinMs = 20_000 }: { to?: string; withinMs?: number } = {}) =>
      slack.find(
        `${words} in the thread`,
        (message) => message.thread_ts === posted.ts && message.ephemeral_to === to && words.test(wordsOf(message)),
        withinMs,
      ),
    /** Waits for the result message; it comes as soon as stable has all traffic. */
    ended: (words: RegExp, withinMs = 30_000) =>
      slack.find(
        `the result ${words}`,
        (message) => message.thread_ts === posted.ts && isResult(message) && words.test(wordsOf(message)),
        withinMs,
      ),
    /** Waits until the title of the rollout's own message says how it ended. */
    titled: (words: RegExp, withinMs = 30_000) =>
      slack.find(`the title ${words}`, (message) => message.ts === posted.ts && words.test(titleOf(message)), withinMs),
    /** What is wrong with the route's revisions since the command, by the invariants. */
    complaints: () => complaints(history.since(from), plan, approvals),
    world,
    slack,
    history,
  };
}

/** After an abort: stable as it was, nothing left but terminal marks, one result message. */
export async function expectBackToStable(rollout: Rollout) {
  await expectStable(rollout);
  await expectOneResult(rollout);
}

export async function expectStable({ world, history, ...rollout }: Rollout) {
  // The result is told as soon as stable has all traffic; the canary is taken away after its cool-down.
  const isOver = async () =>
    (await world.leftovers()).length === 0 &&
    Object.values(await world.marks()).every(({ phase }) => phase !== 'active');
  await until('nothing of the canary is left', isOver, { seen: () => history.show() });
  const [route, deployment] = [await world.getRoute(), await world.getDeployment()];
  expect(route.spec).toEqual(world.before.route);
  expect((await world.getBeside())?.spec).toEqual(world.before.beside);
  expect(deployment.spec.template).toEqual(world.before.template);
  for (const { metadata } of [route, deployment]) expectTerminalMarks(marksOf(metadata));
  const { byVersion, failed } = await world.users.send(40);
  expect({ byVersion, failed }).toEqual({ byVersion: { v1: 40 }, failed: [] });
  expect(history.last()?.canary).toBe(0);
  expect(rollout.complaints()).toEqual([]);
}

/** Marks that say: this rollout is over. A rollout that never claimed left none. */
function expectTerminalMarks(marks: Readonly<Record<string, string>>) {
  if (Object.keys(marks).length === 0) return;
  expect(marks).toEqual({
    rollout: expect.any(String),
    epoch: expect.any(String),
    seq: expect.any(String),
    phase: 'done',
  });
}

/** The thread says once how it ended, and Slack had nothing to refuse. */
export async function expectOneResult(rollout: Rollout) {
  const results = (await rollout.thread()).filter(isResult);
  expect(results.map(line)).toHaveLength(1);
  expect(await rollout.slack.violations()).toEqual([]);
}

const isRootOf = ({ user, thread_ts, ephemeral_to, blocks = [] }: Message, { name }: World) =>
  user === 'sluice' && !thread_ts && !ephemeral_to && titleOf({ blocks }).startsWith(`${name} `);

/** Only a result says where all traffic is now. */
const isResult = (message: Message) => !message.ephemeral_to && /all traffic is on/i.test(wordsOf(message));

/** The title of a rollout's own message. */
function titleOf({ blocks = [] }: Pick<Message, 'blocks'>): string {
  const header = blocks.find((block) => 'type' in block && block.type === 'header');
  return header ? wordsOf({ text: '', blocks: [header] }).trim() : '';
}
