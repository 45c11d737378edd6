/** People who want a rollout to come to its end: they wait, and press again what was not taken. */
import { setTimeout as sleep } from 'node:timers/promises';
import { isTerminal, type Rollout } from '../../src/core/rollout.ts';
import type { Stage } from '../scenarios/support/stage.ts';
import type { Name } from '../support/fake-slack/index.ts';
import type { Observer } from './observer.ts';

const EVERY_MS = 50;
/** A request that was neither acknowledged nor recorded by then was lost with the process: Slack has said so. */
const LOST_MS = 600;
const END_MS = 60_000;

type Delivered = { readonly error: string | null };
export type Driven = { readonly typed: number; readonly problems: readonly string[] };

type Wish = {
  readonly strategy: string;
  readonly onAbort?: () => void;
  /** How long it may take altogether. */
  readonly limitMs?: number;
};

export function createPerson(
  stage: Stage,
  observer: Observer,
  { strategy, onAbort = () => undefined, limitMs = END_MS }: Wish,
) {
  const { slack } = stage;
  const end = Date.now() + limitMs;
  const problems: string[] = [];
  let typed = 0;
  let wanted = 0;

  const newest = async () => (await observer.rollouts()).at(-1);

  /** Presses until it has its effect; what was acknowledged must have it, or be answered. */
  async function insist(
    what: string,
    who: Name,
    press: () => Promise<Delivered | null>,
    isDone: () => Promise<boolean>,
  ) {
    while (Date.now() < end) {
      const heard = slack.ephemerals(who).length;
      const reaction = await press().catch((error: unknown) => ({ error: String(error) }));
      if (reaction === null) {
        if (await isDone()) return true;
        await sleep(EVERY_MS);
        continue;
      }
      for (let quietMs = 0; quietMs < LOST_MS; await sleep(EVERY_MS)) {
        const isWaiting = (await observer.waiting()) > 0;
        if (await isDone()) return true;
        // What was acknowledged is waited for, unless people were told why nothing comes of it.
        const mayBeLost = reaction.error !== null || slack.ephemerals(who).length > heard;
        quietMs = mayBeLost && !isWaiting ? quietMs + EVERY_MS : 0;
        if (Date.now() < end) continue;
        problems.push(`I10 nothing came of ${what}, which was ${mayBeLost ? 'tried again' : 'acknowledged'}`);
        return false;
      }
    }
    problems.push(`I12 ${what} was never possible`);
    return false;
  }

  async function deploy(): Promise<boolean> {
    wanted += 1;
    return insist(
      'the command',
      'ana',
      () => {
        typed += 1;
        return slack.command('ana', `world v2 ${strategy}`);
      },
      async () => (await observer.rollouts()).length >= wanted,
    );
  }

  const approve = (gate: number) =>
    insist(
      `approving gate ${gate + 1}`,
      'bo',
      async () => {
        const label = (message: Parameters<typeof slack.buttons>[0]) =>
          slack.buttons(message).find((one) => /^(approve|promote)/i.test(one));
        const rollout = await newest();
        const message = slack.thread().findLast((one) => label(one) !== undefined);
        const shown = label(message);
        if (rollout?.gates.at(-1)?.decision !== null || rollout.gates.length !== gate + 1 || !message || !shown)
          return null;
        const clicked = await slack.click('bo', message, shown);
        if (!/anyway/i.test(shown) || clicked.error !== null) return clicked;
        await slack.until(() => slack.form('bo'), { what: 'the form for the reason', timeoutMs: 2_000 });
        return slack.submit('bo', { reason: 'seen and accepted' });
      },
      async () => isOver(await newest()) || ((await newest())?.gates[gate]?.decision ?? null) !== null,
    );

  const abort = () =>
    insist(
      'the abort',
      'bo',
      async () => {
        const root = slack.root();
        if (!slack.buttons(root).includes('Abort')) return null;
        onAbort();
        return slack.click('bo', root, 'Abort');
      },
      async () => isOver(await newest()) || (await newest())?.phase.kind === 'aborting',
    );

  /** Until people are asked there. */
  async function gateOpens(gate: number): Promise<void> {
    for (; Date.now() < end; await sleep(EVERY_MS)) {
      const rollout = await newest();
      if (rollout?.gates.length === gate + 1 && rollout.messages[`gate:${gate + 1}`] !== undefined) return;
    }
    problems.push(`I12 gate ${gate + 1} never opened`);
  }

  /** The first so many gates; false: it did not come to that. */
  async function approveUpTo(gates: number): Promise<boolean> {
    for (let gate = 0; gate < gates; gate += 1) if (!(await approve(gate))) return false;
    return true;
  }

  return {
    deploy,
    approve,
    approveUpTo,
    gateOpens,
    abort,
    /** Waits until nothing is left to do. A command that was thought lost may have begun another rollout: that is aborted. */
    async settle(): Promise<void> {
      let left = await observer.unfinished();
      for (; left.length > 0 && Date.now() < end; left = await observer.unfinished()) {
        const all = await observer.rollouts();
        const late = all.at(-1);
        if (all.length > wanted && late && !isOver(late))
          await slack.command('ana', 'abort world').catch(() => undefined);
        await sleep(2 * EVERY_MS);
      }
      problems.push(...left);
    },
    result: (): Driven => ({ typed, problems }),
  };
}

const isOver = (rollout: Rollout | undefined) => rollout !== undefined && isTerminal(rollout);
