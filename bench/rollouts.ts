/** Rollouts that stand at an open gate, as the store would have them after all that comes before it. */

import { randomBytes } from 'node:crypto';
import type { Store } from '../src/app/ports/store.ts';
import { begin, decide } from '../src/core/decide.ts';
import type { Event } from '../src/core/event.ts';
import { newId } from '../src/core/id.ts';
import type { Plan } from '../src/core/plan.ts';
import { openGate, type Rollout } from '../src/core/rollout.ts';
import { next, nextLook } from '../src/core/schedule.ts';
import { aPlan, aStep, goodAnswer, person } from '../test/core/support.ts';

/** Without checks, so that nothing is due for hours. */
export const quietPlan = (env: string, namespace: string): Plan => {
  const plan = aPlan({
    env,
    checks: [],
    tests: [],
    steps: [aStep(0, { bakeMs: 0 }), aStep(10, { bakeMs: 0 }), aStep(100, { bakeMs: 0 })],
    access: { deploy: ['S_DEVS'], approve: ['S_APPROVERS'], abort: [], onCall: [], approvals: 1, fourEyes: true },
    requester: person('ana'),
    channel: 'C0DEPLOYS',
    coolDownMs: 0,
  });
  return {
    ...plan,
    target: { ...plan.target, namespace, traffic: { router: 'gateway-api', routes: [`${namespace}/world`] } },
  };
};

/** The rollout at the gate of the step with this weight, everything before approved, told and answered. */
export function atGate(plan: Plan, weight: number, epoch: number, now: number): Rollout {
  const id = newId(plan.target.service, randomBytes);
  let { rollout } = begin({ type: 'requested', id, plan, epoch }, now);
  for (;;) {
    const event = onTheWay(rollout, weight, now);
    if (event === 'there') return rollout;
    if (event === 'later') now = nextLook(rollout) ?? now + 1;
    else rollout = decided(rollout, event, now).rollout;
  }
}

/** What happens next to a rollout on its way to the gate of the step with this weight, where all goes well. */
export function onTheWay(rollout: Rollout, weight: number, now: number): Event | 'there' | 'later' {
  const deliver = (key: string): Event => ({
    type: 'message_delivered',
    key,
    ts: `1700000000.${String(rollout.version).padStart(6, '0')}`,
  });
  const gate = openGate(rollout);
  const gateKey = `gate:${rollout.gates.length}`;
  if (rollout.messages.root === undefined) return deliver('root');
  if (gate && rollout.messages[gateKey] === undefined) return deliver(gateKey);
  if (gate && rollout.plan.steps[rollout.step]?.route.weight === weight) return 'there';
  if (gate) return { type: 'approved', gate: gate.id, actor: person('cy'), reason: 'seen' };
  const wish = next(rollout, now);
  if (wish.kind === 'wait') return 'later';
  return wish.kind === 'event' ? wish.event : goodAnswer(wish.effect, rollout);
}

export function decided(rollout: Rollout, event: Event, now: number) {
  const made = decide(rollout, event, now);
  if (!made.ok) throw new Error(`${event.type}: ${made.rejection.kind}`);
  return made;
}

/** Writes it down as if it had been made so; it takes the service's lock. */
export async function record(store: Store, made: Rollout): Promise<Rollout> {
  const rollout = { ...made, version: 1 };
  const { id, plan, epoch } = rollout;
  const created = await store.create({ rollout, messages: [] }, { type: 'requested', id, plan, epoch }, null);
  if (created.kind === 'busy') throw new Error(`${created.by} still holds ${plan.target.service}`);
  return rollout;
}
