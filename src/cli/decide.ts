/** `approve` and `abort`: the same events as a button causes. */
import { say as answerWords } from '../adapters/slack/answers.ts';
import { stateNow } from '../adapters/slack/words.ts';
import { createBlindAbort } from '../app/blind.ts';
import { reasonOf } from '../app/outcome.ts';
import { Unreadable } from '../app/unreadable.ts';
import { compose, type Parts } from '../compose.ts';
import type { Rejection } from '../core/event.ts';
import { serviceOf } from '../core/id.ts';
import type { Target } from '../core/plan.ts';
import { isTerminal, openGate, type Rollout } from '../core/rollout.ts';
import { actor, DONE, FAILED, type Flags, pause, readSurroundings, say, type Words } from './io.ts';
import { findRollout, rolloutText, unknownTarget } from './status.ts';
import { plainText } from './text.ts';

const ABORT_WAIT_MS = 60_000;
/** A bot that runs takes a decision up at once. */
const TAKEN_UP_MS = 3_000;
const LOOK_MS = 200;

async function withParts(work: (parts: Parts) => Promise<number>): Promise<number> {
  const parts = compose(await readSurroundings());
  try {
    return await work(parts);
  } finally {
    await parts.queue.close();
    await parts.cluster.close();
    await parts.store.close();
  }
}

export function approve([target = '']: Words, { reason }: Flags): Promise<number> {
  return withParts(async (parts) => {
    const { store, rollouts, queue } = parts;
    await store.reach();
    const id = await findRollout(parts, target);
    const loaded = id === null ? null : await store.load(id);
    if (!loaded) return say(unknownTarget(parts.config, target), FAILED);
    const gate = openGate(loaded.rollout);
    if (gate?.kind !== 'step') return say(`no gate to approve is open\n${rolloutText(loaded.rollout)}`, FAILED);
    const recorded = await rollouts.record(loaded.rollout.id, {
      type: 'approved',
      gate: gate.id,
      actor: actor(),
      reason,
    });
    if (!recorded) return say(unknownTarget(parts.config, target), FAILED);
    const { rollout } = recorded.loaded;
    if (!recorded.ok && recorded.rejection === null) return say(nowText(rollout), DONE);
    if (!recorded.ok) return say(refusalText(recorded.rejection, rollout), FAILED);
    const counted = rollout.gates.find((one) => one.id === gate.id);
    const missing = gate.plan.approvals - (counted?.approvals.length ?? 0);
    if (missing > 0) return say(`your approval counts; ${missing} more are needed\n${rolloutText(rollout)}`, DONE);
    await queue.wake(rollout.id);
    if (await takenUp(parts, rollout)) return say(`approved: ${nowText(rollout)}`, DONE);
    return say(`approved: ${nowText(rollout)}. No bot has taken it up yet: is one running?`, DONE);
  });
}

/** Whether a bot went on: this process decides only, it does not move traffic up. */
async function takenUp({ store }: Parts, { id, version }: Rollout): Promise<boolean> {
  for (const end = performance.now() + TAKEN_UP_MS; performance.now() < end; await pause(LOOK_MS)) {
    const loaded = await store.load(id);
    if (loaded && loaded.rollout.version > version) return true;
  }
  return false;
}

export function abort([target = '']: Words, { reason }: Flags): Promise<number> {
  return withParts(async (parts) => {
    let id: string | null;
    let started: Awaited<ReturnType<Parts['abort']>>;
    try {
      id = await findRollout(parts, target);
      if (id === null) return say(unknownTarget(parts.config, target), FAILED);
      started = await parts.abort(id, actor(), reason);
    } catch (error) {
      const why = reasonOf(error);
      return blindAbort(parts, target, error instanceof Unreadable ? why : `Redis does not answer (${why})`);
    }
    if (started.kind === 'unknown') return say(unknownTarget(parts.config, target), FAILED);
    if (started.kind === 'rejected') {
      const words = answerWords({ ...started, verb: 'abort' });
      // It is on its way already: what was wanted happens.
      return say(plainText(words), started.rejection.kind === 'already aborting' ? DONE : FAILED);
    }
    await started.done;
    return followAbort(parts, id);
  });
}

/** A running bot goes on with it; without one this process does, until stable has all traffic. */
async function followAbort({ store, rollouts, config }: Parts, id: string): Promise<number> {
  for (const end = performance.now() + ABORT_WAIT_MS; performance.now() < end; await pause(LOOK_MS)) {
    await rollouts.tick(id);
    const loaded = await store.load(id);
    if (!loaded) return say(unknownTarget(config, id), FAILED);
    if (isSafe(loaded.rollout)) return say(`${nowText(loaded.rollout)}`, DONE);
  }
  return say(`${id} is aborting, but the route is not back yet; it is being repeated`, FAILED);
}

const isSafe = (rollout: Rollout) =>
  isTerminal(rollout) || (rollout.phase.kind === 'aborting' && rollout.phase.stage !== 'route');

/** Without Redis: straight to the route, as the marks on it allow. */
async function blindAbort(parts: Parts, target: string, why: string): Promise<number> {
  const { config } = parts;
  const name = Object.hasOwn(config.services, target) ? target : serviceOf(target);
  const service = name === null || !Object.hasOwn(config.services, name) ? undefined : config.services[name];
  if (!service) return say(unknownTarget(config, target), FAILED);
  const own: Target = { ...service.target, container: service.target.container ?? '' };
  const marks = (await parts.routerOf(own).getRoute(own))?.marks;
  const id = marks?.phase === 'active' && (target === name || target === marks.rollout) ? marks.rollout : null;
  if (id === null) return say(`${why}, and no such rollout holds the route`, FAILED);
  const { name: full } = actor();
  const by = `${full}@${new Date().toISOString()}`;
  const aborted = await createBlindAbort(parts)(own, id, by);
  switch (aborted.kind) {
    case 'done': {
      const done = `all traffic of ${service.name} is on the stable version, written straight to the cluster`;
      return say(`${done}: ${why}. ${id} is cleaned up when Redis has it again.`, DONE);
    }
    case 'waiting':
      return say(plainText(answerWords({ kind: 'demoted blind', service: service.name, id })), FAILED);
    case 'promoted':
      return say(plainText(answerWords({ kind: 'promoted blind', service: service.name })), FAILED);
    default:
      return say(`the route could not be written: ${'error' in aborted ? aborted.error : aborted.kind}`, FAILED);
  }
}

const nowText = (rollout: Rollout) =>
  `${rollout.plan.target.service} ${rollout.plan.version}: ${plainText(stateNow(rollout))}`;

function refusalText(rejection: Rejection, rollout: Rollout): string {
  if (rejection.kind === 'needs reason') return 'a check or test does not pass: say why with --reason "…"';
  return plainText(answerWords({ kind: 'rejected', verb: 'approve', rejection, rollout }));
}
