/**
 * The crash matrix: a rollout is recorded once, and then played again for every place that it went through, with the bot
 * killed or frozen exactly there. Another bot goes on, people press again what was not taken, and observers look.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Pair } from '../scenarios/support/pairs.ts';
import { optionsFor } from '../scenarios/support/pairs.ts';
import { setStage } from '../scenarios/support/stage.ts';
import { observe, type Path } from './observer.ts';
import { createPerson } from './person.ts';

export const PATHS: readonly Path[] = ['approved', 'aborted'];
/** BLOCK: its event loop is kept busy, while its connections and timers stay. */
export const MODES = ['SIGKILL', 'SIGSTOP', 'BLOCK'] as const;
export type Mode = (typeof MODES)[number];
/** `hit`: which time the place is reached. */
export type Point = { readonly pair: Pair; readonly path: Path; readonly place: string; readonly hit: number };
export type Tried = Point & {
  readonly mode: Mode;
  /** false: this time the rollout did not come there so often. */
  readonly reached: boolean;
  readonly violations: readonly string[];
  /** From the stop to the end of the rollout, with all cleaned up. */
  readonly ms: number;
  /** For people who look for the reason of a violation. */
  readonly seen: string;
};

/**
 * Longer than every lease: ticks 3 s, outbox 4 s, requests 5 s, a job of the queue 10 s. What was loaded before may be saved
 * for 5 s, and Slack waits 3 s for an acknowledgement.
 */
const FROZEN_MS = 11_000;
/** For what the thawed one still wants to do. */
const THAWED_MS = 1_500;
const LOOK_MS = 20;
/** From the start of another bot until it has what the stopped one held. */
const TAKEN_OVER_MS = 6_000;

const check = { interval: '1s', window: '10s', min: 1 };
const SERVICE = { checks: [{ name: 'always', query: '1', ...check }], coolDown: '1s' };

/** Every place that the rollout went through; of the aborted one, those that the approved one has not. */
export async function listPoints(pair: Pair, path: Path): Promise<readonly Point[]> {
  return play(pair, async ({ stage, observer, folder }) => {
    const log = join(folder, 'places');
    const bot = stage.launchBot({ SLUICE_FAILPOINT_LOG: log });
    await bot.ready;
    let from = 0;
    const onAbort = () => {
      from ||= places(log).length;
    };
    const person = createPerson(stage, observer, { strategy: pair.strategy, onAbort });
    await drive(person, pair, path);
    await person.settle();
    const { typed, problems } = person.result();
    const violations = [...problems, ...(await observer.violations([path], typed, []))];
    if (violations.length > 0)
      throw new Error(`undisturbed: ${violations.join('; ')}\n${stage.slack.transcript()}\n${stage.log()}`);
    const hits = new Map<string, number>();
    const points = places(log).map((place): Point => {
      const hit = (hits.get(place) ?? 0) + 1;
      hits.set(place, hit);
      return { pair, path, place, hit };
    });
    return points.slice(from);
  });
}

/**
 * Once more where the first bot never came up, as on a busy machine: nothing was tried then. Whatever happens after the stop
 * counts, a bot that does not start again too.
 */
export async function tryPoint(point: Point, mode: Mode): Promise<Tried> {
  return playPoint(point, mode).catch((error: unknown) => {
    if (error instanceof Error && error.cause === NEVER_UP) return playPoint(point, mode);
    throw error;
  });
}
const NEVER_UP = 'the first bot never came up';

function playPoint(point: Point, mode: Mode): Promise<Tried> {
  const { pair, path } = point;
  return play(pair, async ({ stage, observer, folder }) => {
    const log = join(folder, 'places');
    const setting = {
      SLUICE_FAILPOINT: `${point.place}#${point.hit}:${mode === 'BLOCK' ? `BLOCK:${FROZEN_MS}` : mode}`,
      SLUICE_FAILPOINT_LOG: log,
    };
    const bot = stage.launchBot(setting);
    let isUp = false;
    let over = false;
    let stopped = 0;
    let takenOver = 0;
    const problems: string[] = [];

    const hasStopped = () =>
      places(log).filter((place) => place === point.place).length >= point.hit &&
      (mode !== 'SIGKILL' || !bot.isAlive());
    const notThere = () =>
      new Error(`the bot did not come to ${point.place}`, { cause: isUp ? 'it ended by itself' : NEVER_UP });

    async function disturb(): Promise<void> {
      while (!hasStopped()) {
        if (over) return;
        // Looked at once more: what it wrote at its end is there by now.
        if (!bot.isAlive() && !hasStopped()) throw notThere();
        await sleep(LOOK_MS);
      }
      stopped = Date.now();
      await stage.launchBot().ready;
      takenOver = Date.now() + TAKEN_OVER_MS;
      if (mode === 'SIGKILL') return;
      await sleep(Math.max(0, stopped + FROZEN_MS - Date.now()));
      if (mode === 'SIGSTOP') bot.signal('SIGCONT');
      await sleep(THAWED_MS);
      if (!bot.isAlive()) problems.push('the thawed bot has ended');
    }

    const disturbed = disturb();
    // A bot that is stopped before it is ready never will be; the other one takes its place.
    const ready = bot.ready.then(
      () => {
        isUp = true;
      },
      () => {
        if (stopped > 0 || hasStopped()) return disturbed;
        over = true;
        throw notThere();
      },
    );
    await Promise.race([ready, disturbed]);
    const person = createPerson(stage, observer, { strategy: pair.strategy });
    await drive(person, pair, path);
    await person.settle();
    over = true;
    const ended = Date.now();
    await disturbed;
    await person.settle();
    const { typed, problems: met } = person.result();
    const violations = [...problems, ...met, ...(await observer.violations([path], typed, [[stopped, takenOver]]))];
    return {
      ...point,
      mode,
      reached: stopped > 0,
      violations: [...new Set(violations)],
      ms: stopped > 0 ? ended - stopped : 0,
      seen: `${stage.slack.transcript()}\n${observer.show()}\n${stage.log()}`,
    };
  });
}

/** Up to the end, or to the first gate with a share of the traffic and back. */
async function drive(person: ReturnType<typeof createPerson>, { weights }: Pair, path: Path): Promise<void> {
  if (!(await person.deploy())) return;
  if (path === 'approved') await person.approveUpTo(weights.length);
  else {
    const at = weights.findIndex((weight) => weight > 0);
    if (!(await person.approveUpTo(at))) return;
    await person.gateOpens(at);
    await person.abort();
  }
}

type Play = {
  readonly stage: Awaited<ReturnType<typeof setStage>>;
  readonly observer: ReturnType<typeof observe>;
  /** For files of this play alone. */
  readonly folder: string;
};

export async function play<T>(pair: Pair, act: (play: Play) => Promise<T>, service: object = SERVICE): Promise<T> {
  const ground = await pair.system.open();
  const stage = await setStage(optionsFor(ground, service));
  const observer = observe(stage, ground, pair);
  const folder = mkdtempSync(join(tmpdir(), 'sluice-chaos-'));
  try {
    return await act({ stage, observer, folder });
  } finally {
    await observer.stop();
    await stage.stop();
    await ground.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

function places(log: string): readonly string[] {
  try {
    return readFileSync(log, 'utf8').split('\n').slice(0, -1);
  } catch {
    return [];
  }
}
