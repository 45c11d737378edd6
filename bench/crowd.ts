/**
 * Thousands of rollouts that wait at their first gate: preview and test are over, no weight was moved, so no check watches.
 * Each is written through the store event by event, as its bot would have: events, marks of sent messages, hints.
 */
import { randomBytes } from 'node:crypto';
import type { RedisStore } from '../src/adapters/redis/store.ts';
import type { Loaded } from '../src/app/ports/store.ts';
import { begin } from '../src/core/decide.ts';
import { newId } from '../src/core/id.ts';
import { aCheck, aPlan, aStep, person, previewStep } from '../test/core/support.ts';
import { decided, onTheWay } from './rollouts.ts';

const AT_ONCE = 100;
const PREVIEW = 0;

const nameOf = (n: number) => `crowd-${String(n).padStart(5, '0')}`;
export const crowdNames = (count: number): readonly string[] => Array.from({ length: count }, (_, n) => nameOf(n));

/** Their entries of `sluice.yaml`. */
export function crowdServices(count: number, namespace: string): Record<string, object> {
  const access = { deploy: ['S_DEVS'], approve: ['S_APPROVERS'] };
  const entry = (name: string) => ({
    namespace,
    deployment: name,
    image: `registry.example/${name}:{version}`,
    traffic: { router: 'gateway-api', route: name },
    access,
  });
  return Object.fromEntries(crowdNames(count).map((name) => [name, entry(name)]));
}

/** Lets services number `from` up to `to` (without it) wait; answers with the ids of their rollouts. */
export async function gather(
  store: RedisStore,
  { env, namespace, from = 0, to }: { env: string; namespace: string; from?: number; to: number },
): Promise<readonly string[]> {
  const ids: string[] = [];
  for (let at = from; at < to; at += AT_ONCE) {
    const now = await store.now();
    const names = Array.from({ length: Math.min(AT_ONCE, to - at) }, (_, n) => nameOf(at + n));
    ids.push(...(await Promise.all(names.map((name) => stand(store, planOf(env, namespace, name), now)))));
  }
  return ids;
}

async function stand(store: RedisStore, plan: ReturnType<typeof aPlan>, now: number): Promise<string> {
  const id = newId(plan.target.service, randomBytes);
  const event = { type: 'requested', id, plan, epoch: 1 } as const;
  const { rollout } = begin(event, now);
  const created = await store.create({ rollout, messages: [] }, event, null);
  if (created.kind !== 'created') throw new Error(`${id}: ${created.kind}`);
  let loaded: Loaded | null = await store.load(id);
  for (;;) {
    if (!loaded) throw new Error(`${id} was written just now`);
    const happens = onTheWay(loaded.rollout, PREVIEW, loaded.now);
    if (happens === 'there') return id;
    if (happens === 'later') throw new Error(`${id} has nothing to wait for before its preview`);
    if (happens.type === 'message_delivered') await store.markSending(id, happens.key);
    const made = decided(loaded.rollout, happens, loaded.now);
    // Their routes are not in the cluster: nobody shall look for them.
    const saved = await store.save(loaded, happens, { rollout: { ...made.rollout, routeSeq: 0 }, messages: [] });
    if (typeof saved === 'string') throw new Error(`${id}: ${saved}`);
    loaded = saved;
  }
}

const planOf = (env: string, namespace: string, name: string) => {
  const plan = aPlan({
    env,
    image: `registry.example/${name}:v2`,
    steps: [previewStep, aStep(10), aStep(50), aStep(100)],
    checks: [aCheck('success rate'), aCheck('p99 latency', { min: null, max: 500, unit: 'ms' })],
    access: { deploy: ['S_DEVS'], approve: ['S_APPROVERS'], abort: [], onCall: [], approvals: 1, fourEyes: true },
    requester: person('ana'),
    channel: 'C0DEPLOYS',
  });
  const traffic = { router: 'gateway-api', routes: [`${namespace}/${name}`] } as const;
  return { ...plan, target: { ...plan.target, service: name, namespace, deployment: name, container: name, traffic } };
};
