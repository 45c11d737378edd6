/** What the cluster knows and Redis does not: another holder of the route, or a later state of the rollout itself. */
import type { Actor } from '../core/plan.ts';
import { type AbortCause, isAbortable, isTerminal, type Rollout } from '../core/rollout.ts';
import type { EffectDeps } from './outcome.ts';
import type { Marks } from './ports/cluster.ts';
import type { Recorded, Recording } from './record.ts';

type Deps = Pick<EffectDeps, 'store' | 'router' | 'log'> & Pick<Recording, 'record'>;

export function createOvertaken({ store, router, log, record }: Deps) {
  /** A newer epoch or another rollout on the route, as the watched copy shows it: nothing may be concluded from the rest. */
  async function otherHolder(rollout: Rollout): Promise<Marks | null> {
    // From the abort and the last stage of a promotion on, the writes themselves find out.
    if (rollout.routeSeq === 0 || !isAbortable(rollout)) return null;
    const marks = (await router(rollout).getRoute(rollout.plan.target))?.marks ?? null;
    return marks && isAhead(marks, rollout) ? marks : null;
  }

  /**
   * The cluster knows a newer holder. If Redis knows it too, this replica was late and does nothing. If not, Redis went back
   * in time or an abort was made without it: the safe side wins, the rollout aborts above the epoch that was found.
   */
  async function fenced(rollout: Rollout, by: Marks): Promise<Recorded | null> {
    const loaded = await store.load(rollout.id);
    if (!loaded || isTerminal(loaded.rollout)) return null;
    const ours = by.rollout === rollout.id;
    if (ours && (loaded.abort?.epoch ?? 0) >= by.epoch) return null;
    // What was read before may have been older than what Redis knows by now.
    if (ours && !isAhead(by, loaded.rollout) && by.seq <= loaded.rollout.version) return null;
    const epoch = by.epoch + 1;
    log.warn({ rollout: rollout.id, by }, 'the cluster is ahead of Redis');
    if (!isAbortable(loaded.rollout) && loaded.rollout.phase.kind !== 'aborting' && ours) {
      return record(rollout.id, { type: 'overtaken', epoch });
    }
    return record(rollout.id, { type: 'abort_requested', cause: overtakenBy(rollout.id, by), epoch });
  }

  return { otherHolder, fenced };
}

/**
 * Whether the route was written by somebody who knew more than this state: a higher epoch, or, since Redis may have gone back
 * in time, a later write of the same epoch while this state is not writing itself.
 */
function isAhead(marks: Marks, rollout: Rollout): boolean {
  if (marks.epoch !== rollout.epoch) return marks.epoch > rollout.epoch;
  const { phase } = rollout;
  const settled = phase.kind === 'waiting' || (phase.kind === 'stepping' && phase.stage !== 'route');
  return settled && marks.rollout === rollout.id && (marks.seq > rollout.routeSeq || marks.phase === 'done');
}

function overtakenBy(id: string, by: Marks): AbortCause {
  if (by.rollout !== id) return { kind: 'fenced', message: `rollout ${by.rollout} has taken over its objects` };
  if (by.abort !== null) return { kind: 'person', actor: blindActor(by.abort), reason: null };
  return { kind: 'fenced', message: 'the cluster carries a newer state of this rollout than Redis does' };
}

/** `U0BO(bo)@2026-11-20T10:00:00Z`, or `cli:ops@host@…`, as the route carries it after an abort without Redis. */
function blindActor(mark: string): Actor {
  const who = mark.slice(0, mark.lastIndexOf('@'));
  if (who.startsWith('cli:')) return { kind: 'cli', user: who.slice('cli:'.length), name: who };
  const { user = who, name = user } = /^(?<user>[^(]+)\((?<name>.*)\)$/.exec(who)?.groups ?? {};
  return { kind: 'person', user, name };
}
