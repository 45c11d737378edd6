/** Looks at the canary: checks by metrics, smoke tests by requests. */
import { judge, type Measured } from '../core/analysis.ts';
import type { TestResult } from '../core/gate.ts';
import type { Rollout } from '../core/rollout.ts';
import type { Effect } from '../core/schedule.ts';
import { type EffectDeps, happened, type Outcome } from './outcome.ts';
import { pause } from './pause.ts';
import type { Loaded } from './ports/store.ts';

const PROBE_TRIES = 3;
const PROBE_PAUSE_MS = 1_000;

export async function sample(
  deps: EffectDeps,
  { rollout, now }: Loaded,
  effect: Extract<Effect, { kind: 'sample' }>,
): Promise<Outcome> {
  const { plan, seq, epoch } = rollout;
  const checks = plan.checks.filter((check) => effect.checks.includes(check.name));
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

export async function test(deps: EffectDeps, rollout: Rollout): Promise<readonly TestResult[]> {
  const { target, tests } = rollout.plan;
  return Promise.all(
    tests.map(async ({ name, get, port, status }) => {
      const addresses = await deps.workload(rollout).canaryAddresses(target, port);
      const none = `no canary pod is Ready${typeof port === 'string' ? ` at a port named ${port}` : ''}`;
      const failures = await Promise.all(addresses.map((address) => probe(deps, `${address}${get}`, status)));
      const failure = addresses.length === 0 ? none : failures.find((one) => one !== null);
      const detail = failure ?? `${status} from ${addresses.length} of ${addresses.length} pods`;
      return { test: name, passed: failure === undefined, detail };
    }),
  );
}

/** null: it answered as it must. */
async function probe(deps: EffectDeps, url: string, status: number): Promise<string | null> {
  let failure = '';
  for (let tries = 0; tries < PROBE_TRIES; tries++) {
    // A pod that only warms up has a moment.
    if (tries > 0) await pause(PROBE_PAUSE_MS);
    const answer = await deps.prober.probe(url);
    if ('failed' in answer) failure = answer.failed;
    else if (answer.status === status) return null;
    else failure = `answered ${answer.status}, not ${status}`;
  }
  return failure;
}
