/** Runs one effect through the ports and says what came of it. Every effect may run again: the fence makes repeats harmless. */
import { judge, type Measured } from '../core/analysis.ts';
import type { Plan } from '../core/plan.ts';
import { type Event, type Rollout, type TestResult, wantedRoute } from '../core/rollout.ts';
import { ABORT_STALLED_MS, type Effect } from '../core/schedule.ts';
import type {
  CanaryState,
  Fence,
  Loaded,
  Log,
  Marks,
  Metrics,
  Prober,
  Release,
  Store,
  TrafficRouter,
  Workload,
  Written,
} from './ports.ts';

export type EffectDeps = {
  readonly store: Store;
  readonly router: (rollout: Rollout) => TrafficRouter;
  readonly workload: (rollout: Rollout) => Workload;
  readonly metrics: Metrics;
  readonly prober: Prober;
  readonly log: Log;
  /** Local clock, ms: only for budgets and back-off, never for decisions. */
  readonly clock: () => number;
};

export type Outcome =
  | { readonly kind: 'event'; readonly event: Event; readonly extra?: { readonly releases: readonly Release[] } }
  /** Not there yet; looked at again soon. */
  | { readonly kind: 'pending' }
  | { readonly kind: 'fenced'; readonly by: Marks };

/** A pod's failing reason must hold this long before the rollout gives up (design section 7.8). */
const FAILING_MS = 20_000;
/** How long a route's controller may take before the gate says that nobody confirmed it. */
const CONFIRM_MS = 10_000;
const PROBE_TRIES = 3;

const PENDING: Outcome = { kind: 'pending' };
const happened = (event: Event): Outcome => ({ kind: 'event', event });

export async function runEffect(deps: EffectDeps, loaded: Loaded, effect: Effect): Promise<Outcome> {
  const { rollout, now } = loaded;
  const { plan, seq } = rollout;
  const { target } = plan;
  const router = deps.router(rollout);
  const workload = deps.workload(rollout);
  const fence: Fence = { rollout: rollout.id, epoch: rollout.epoch, seq };

  switch (effect.kind) {
    case 'claim': {
      const route = await router.claim(target, fence);
      if (route.kind !== 'done') return written(route, seq, 'starting');
      const stable = await workload.claim(target, fence);
      if (stable.kind !== 'done') return written(stable, seq, 'starting');
      return {
        kind: 'event',
        event: { type: 'claimed', seq, journal: route.journal ?? {} },
        extra: { releases: await releaseBefore(deps, rollout, now) },
      };
    }
    case 'create canary':
      return written(await workload.createCanary(plan, fence), seq, 'starting', { type: 'created', seq });
    case 'scale canary':
      return written(await workload.scaleCanary(target, effect.weight, fence), seq, 'starting', {
        type: 'scaled',
        seq,
      });
    case 'await canary': {
      const { weight } = wantedRoute(rollout);
      // Costs nothing where the size is right; stable may have grown while the pods started.
      const scaled = await workload.scaleCanary(target, weight, fence);
      if (scaled.kind !== 'done') return written(scaled, seq, 'starting');
      const state = await workload.canaryState(target, weight, fence);
      if (state.kind === 'ready') return happened({ type: 'canary_ready', seq });
      const message = whyNotReady(deps, state, now - effect.since, plan.readyTimeoutMs);
      return message === null ? PENDING : happened({ type: 'start_failed', seq, message });
    }
    case 'set route':
      return written(await router.setRoute(target, effect.route, fence, effect.overwrite), seq, 'moving', {
        type: 'routed',
        seq,
      });
    case 'confirm route': {
      const answer = await router.confirmed(target);
      if (answer.kind === 'confirmed') return happened({ type: 'confirmed', seq, warning: null });
      if (now - effect.since < CONFIRM_MS) return PENDING;
      if (answer.kind === 'pending') {
        return happened({
          type: 'confirmed',
          seq,
          warning: `No controller confirmed the route within ${CONFIRM_MS / 1000} s.`,
        });
      }
      return rollout.phase.kind === 'promoting'
        ? happened({ type: 'confirmed', seq, warning: `The route's controller refuses it: ${answer.message}` })
        : happened({ type: 'write_refused', seq, message: `the route's controller refuses it: ${answer.message}` });
    }
    case 'test canary':
      return happened({ type: 'tested', seq, results: await test(deps, rollout) });
    case 'sample':
      return sample(deps, loaded, effect);
    case 'promote':
      return written(await workload.promote(plan, fence, effect.overwrite), seq, 'moving', {
        type: 'template_set',
        seq,
      });
    case 'await stable': {
      const state = await workload.stableState(plan, fence);
      if (state.kind === 'ready') return happened({ type: 'stable_ready', seq });
      if (now - effect.since < plan.promoteTimeoutMs) return PENDING;
      return happened({ type: 'promotion_late', seq, message: state.reason });
    }
    case 'end route': {
      // Overwriting is what the abort does too: it does not test the weights that it replaces.
      const reset = await router.reset(target, fence, rollout.journal, effect.overwrite);
      // Another rollout has the route already: ours has ended there.
      if (reset.kind === 'fenced' && reset.by.rollout !== rollout.id) return happened({ type: 'routed', seq });
      const outcome = written(reset, seq, 'moving', { type: 'routed', seq });
      if (reset.kind !== 'done' || outcome.kind !== 'event') return outcome;
      return { ...outcome, extra: { releases: await releaseNow(deps, rollout, now) } };
    }
    case 'clean up':
      return orStalled(deps, loaded, () => cleanUp(deps, loaded));
    case 'revert':
      return orStalled(deps, loaded, () => revert(deps, loaded, effect.demote));
    case 'raise epoch':
      return orStalled(deps, loaded, async () => {
        const raised = await workload.raise(target, fence);
        if (raised.kind === 'refused') throw new Error(`raise the epoch of ${rollout.id}: ${raised.message}`);
        return happened({ type: 'refenced', seq });
      });
    default:
      return effect satisfies never;
  }
}

/**
 * All traffic back to stable. During a promotion stable gets its old template back as well, and traffic waits only where no
 * old pod could answer it.
 */
export async function revert(deps: EffectDeps, { rollout }: Loaded, demote: boolean): Promise<Outcome> {
  const { target } = rollout.plan;
  const { seq } = rollout;
  const fence: Fence = { rollout: rollout.id, epoch: rollout.epoch, seq };
  if (demote) {
    const demoted = await deps.workload(rollout).demote(target, fence);
    if (demoted.kind === 'refused')
      throw new Error(`give ${target.deployment} its old template back: ${demoted.message}`);
    if (demoted.kind === 'done' && demoted.mayRoute === false)
      throw new Error('waiting for one Ready pod of the old version');
  }
  const reset = await deps.router(rollout).reset(target, fence, rollout.journal, true);
  if (reset.kind === 'drifted') throw new Error(reset.drift.difference);
  if (reset.kind === 'fenced' && reset.by.rollout === rollout.id && reset.by.epoch > rollout.epoch) {
    return { kind: 'fenced', by: reset.by };
  }
  // Else gone, or another rollout's: nothing of ours routes there any more.
  return happened({ type: 'reverted', seq });
}

/** The canary goes last, and not before the route's controller has taken the write that leaves it without traffic. */
async function cleanUp(deps: EffectDeps, { rollout, now }: Loaded): Promise<Outcome> {
  const { target } = rollout.plan;
  const fence: Fence = { rollout: rollout.id, epoch: rollout.epoch, seq: rollout.seq };
  const router = deps.router(rollout);
  if (rollout.confirmed && (await router.confirmed(target)).kind === 'pending') {
    if (now - rollout.phase.since < ABORT_STALLED_MS) return PENDING;
    throw new Error(
      `the controller of ${target.traffic.routes.join(', ')} has not taken the last route; the canary stays until it has`,
    );
  }
  const cleaned = await deps.workload(rollout).cleanUp(target, fence);
  // Another rollout's objects are not ours to clean; a newer epoch of our own is.
  if (cleaned.kind === 'fenced' && cleaned.by.rollout === rollout.id) return { kind: 'fenced', by: cleaned.by };
  if (cleaned.kind === 'drifted') throw new Error(`clean up ${rollout.id}: ${cleaned.drift.difference}`);
  if (cleaned.kind === 'refused') throw new Error(`clean up ${rollout.id}: ${cleaned.message}`);
  const released = await router.release(target, fence);
  if (released.kind === 'fenced' && released.by.rollout === rollout.id) return { kind: 'fenced', by: released.by };
  if (released.kind === 'drifted') throw new Error(`release the route of ${rollout.id}: ${released.drift.difference}`);
  return happened({ type: 'cleaned', seq: rollout.seq });
}

/** A fault is repeated for ever; of an abort people hear once, with what to run by hand. */
async function orStalled(deps: EffectDeps, { rollout, now }: Loaded, work: () => Promise<Outcome>): Promise<Outcome> {
  try {
    return await work();
  } catch (error) {
    const { phase, seq } = rollout;
    const late = phase.kind === 'aborting' && !phase.stalled && now - phase.since >= ABORT_STALLED_MS;
    if (!late) throw error;
    deps.log.error({ rollout: rollout.id, err: error }, 'abort does not get through');
    return happened({ type: 'abort_stalled', seq, message: reasonOf(error) });
  }
}

/** `start`: nothing routed yet, so a refusal ends the start with its words. */
function written(result: Written, seq: number, when: 'starting' | 'moving', done?: Event): Outcome {
  switch (result.kind) {
    case 'done':
      return done ? happened(done) : PENDING;
    case 'fenced':
      return { kind: 'fenced', by: result.by };
    case 'drifted':
      return when === 'starting'
        ? happened({
            type: 'start_failed',
            seq,
            message: `${result.drift.object} was changed by somebody else: ${result.drift.difference}`,
          })
        : happened({ type: 'drifted', seq, drift: result.drift });
    case 'refused':
      return happened(
        when === 'starting'
          ? { type: 'start_failed', seq, message: result.message }
          : { type: 'write_refused', seq, message: result.message },
      );
    default:
      return result satisfies never;
  }
}

function whyNotReady(
  deps: EffectDeps,
  state: Exclude<CanaryState, { kind: 'ready' }>,
  waitedMs: number,
  limitMs: number,
): string | null {
  if (state.kind === 'failing' && deps.clock() - state.since >= FAILING_MS) return state.reason;
  return waitedMs >= limitMs ? `not Ready within ${Math.round(limitMs / 1000)} s: ${state.reason}` : null;
}

async function sample(
  deps: EffectDeps,
  { rollout, now }: Loaded,
  effect: Extract<Effect, { kind: 'sample' }>,
): Promise<Outcome> {
  const { plan, seq, epoch } = rollout;
  const checks = plan.checks.filter((check) => effect.checks.includes(check.name));
  if (!effect.judge && rollout.route.weight > 0) {
    // Stable may have grown since: the canary follows, upwards only.
    const fence = { rollout: rollout.id, epoch, seq };
    const scaled = await deps.workload(rollout).scaleCanary(plan.target, rollout.route.weight, fence);
    if (scaled.kind === 'fenced') return { kind: 'fenced', by: scaled.by };
    // A canary that somebody deleted takes its share of the traffic down with it.
    if (scaled.kind === 'refused') return happened({ type: 'write_refused', seq, message: scaled.message });
  }
  const measured = checks.length > 0 ? await deps.metrics.measure(plan.target, checks, effect.since, now) : [];
  const results = checks.map((check) => {
    // Every check gets an answer, or it would stay due for ever.
    const one = measured.find((candidate) => candidate.check === check.name) ?? unmeasured(check.name);
    return { ...one, verdict: judge(check, one) };
  });
  return happened(effect.judge ? { type: 'judged', seq, results } : { type: 'sampled', epoch, results });
}

function unmeasured(check: string): Measured {
  return { check, canary: { missing: 'not measured' }, stable: { missing: 'not measured' }, requests: null };
}

async function test(deps: EffectDeps, rollout: Rollout): Promise<readonly TestResult[]> {
  const addresses = await deps.workload(rollout).canaryAddresses(rollout.plan.target);
  return Promise.all(
    rollout.plan.tests.map(async ({ name, get, status }) => {
      const failures = await Promise.all(addresses.map((address) => probe(deps, `${address}${get}`, status)));
      const failure = addresses.length === 0 ? 'no canary pod is Ready' : failures.find((one) => one !== null);
      const detail = failure ?? `${status} from ${addresses.length} of ${addresses.length} pods`;
      return { test: name, passed: failure === undefined, detail };
    }),
  );
}

/** null: it answered as it must. */
async function probe(deps: EffectDeps, url: string, status: number): Promise<string | null> {
  let failure = '';
  for (let tries = 0; tries < PROBE_TRIES; tries++) {
    const answer = await deps.prober.probe(url);
    if ('failed' in answer) failure = answer.failed;
    else if (answer.status === status) return null;
    else failure = `answered ${answer.status}, not ${status}`;
  }
  return failure;
}

/** What served before: kept so that a rollback can bring the whole template back. */
async function releaseBefore(deps: EffectDeps, rollout: Rollout, now: number): Promise<readonly Release[]> {
  const { plan } = rollout;
  if (plan.from === null) return [];
  const [newest] = await deps.store.releases(plan.target.service);
  const [serving] = await release(deps, rollout, plan.from, '', now);
  // Somebody may have changed its resources or environment since it was promoted: the rollback brings back what served.
  const known = newest?.version === plan.from && JSON.stringify(newest.template) === JSON.stringify(serving?.template);
  return known || !serving ? [] : [serving];
}

async function releaseNow(deps: EffectDeps, rollout: Rollout, now: number): Promise<readonly Release[]> {
  const { kind, version } = rollout.plan;
  const releases = await release(deps, rollout, version, rollout.id, now);
  return kind === 'rollback' ? releases.map((one) => ({ ...one, rolledBack: true })) : releases;
}

async function release(
  deps: EffectDeps,
  rollout: Rollout,
  version: Plan['version'],
  id: string,
  at: number,
): Promise<readonly Release[]> {
  const serving = await deps.workload(rollout).stableTemplate(rollout.plan.target);
  return serving ? [{ version, image: serving.image, template: serving.template, rollout: id, at }] : [];
}

export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const why = error.cause instanceof Error ? error.cause.message : '';
  return error.message.includes(why) ? error.message : `${error.message}: ${why}`;
}
