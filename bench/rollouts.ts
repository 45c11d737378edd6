/** Rollouts that stand at an open gate, as the store would have them after all that comes before it. */

import { randomBytes } from 'node:crypto';
import type { Store } from '../src/app/ports.ts';
import { begin, decide } from '../src/core/decide.ts';
import { newId } from '../src/core/id.ts';
import type { Plan } from '../src/core/plan.ts';
import { type Event, openGate, type Rollout } from '../src/core/rollout.ts';
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
    target: { ...plan.target, namespace, traffic: { ...plan.target.traffic, routes: [`${namespace}/world`] } },
  };
};

/** The rollout at the gate of the step with this weight, everything before approved, told and answered. */
export function atGate(plan: Plan, weight: number, epoch: number, now: number): Rollout {
  const id = newId(plan.target.service, randomBytes);
  let { rollout } = begin({ type: 'requested', id, plan, epoch }, now);
  const tell = (event: Event) => {
    const decided = decide(rollout, event, now);
    if (!decided.ok) throw new Error(`${event.type}: ${decided.rejection.kind}`);
    rollout = decided.rollout;
  };
  const deliver = (key: string) => tell({ type: 'message_delivered', key, ts: `1700000000.00000${rollout.version}` });
  for (;;) {
    const gate = openGate(rollout);
    const gateKey = `gate:${rollout.gates.length}`;
    if (rollout.messages.root === undefined) deliver('root');
    else if (gate && rollout.messages[gateKey] === undefined) deliver(gateKey);
    else if (gate && rollout.plan.steps[rollout.step]?.route.weight === weight) return rollout;
    else if (gate) tell({ type: 'approved', gate: gate.id, actor: person('cy'), reason: 'seen' });
    else {
      const wish = next(rollout, now);
      if (wish.kind === 'wait') now = nextLook(rollout) ?? now + 1;
      else tell(wish.kind === 'event' ? wish.event : goodAnswer(wish.effect, rollout));
    }
  }
}

/** Writes it down as if it had been made so; it takes the service's lock. */
export async function record(store: Store, made: Rollout): Promise<Rollout> {
  const rollout = { ...made, version: 1 };
  const { id, plan, epoch } = rollout;
  const created = await store.create({ rollout, messages: [] }, { type: 'requested', id, plan, epoch }, null);
  if (created.kind === 'busy') throw new Error(`${created.by} still holds ${plan.target.service}`);
  return rollout;
}
