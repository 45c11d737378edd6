/** `status`: what runs, at which step, and who is waited for. */
import { utc, who } from '../adapters/slack/mrkdwn.ts';
import { testLine, verdictLine } from '../adapters/slack/snapshot.ts';
import { stateNow, stepCount } from '../adapters/slack/words.ts';
import type { Store } from '../app/ports/store.ts';
import { orUnreadable } from '../app/unreadable.ts';
import type { Config } from '../core/config.ts';
import { gateDeadline } from '../core/gate.ts';
import { serviceOf } from '../core/id.ts';
import { isTerminal, openGate, type Rollout } from '../core/rollout.ts';
import { nearest } from '../core/suggest.ts';
import { DONE, FAILED, openStore, say, type Words } from './io.ts';
import { plainText } from './text.ts';

export async function status([target]: Words): Promise<number> {
  const office = await openStore();
  try {
    await office.store.reach();
    return target === undefined ? await all(office) : await one(office, target);
  } finally {
    await office.store.close();
  }
}

type Office = { readonly config: Config; readonly store: Store };

async function all({ store, config }: Office): Promise<number> {
  const ids = await store.active(Object.keys(config.services));
  const found = await Promise.all(ids.map((id) => orUnreadable(() => store.load(id))));
  const running = found.flatMap((one) => {
    if (!one) return [];
    return 'problem' in one ? [one.problem] : [rolloutText(one.rollout)];
  });
  return say(running.length > 0 ? running.join('\n') : 'no rollout runs', DONE);
}

async function one({ store, config }: Office, target: string): Promise<number> {
  const id = await findRollout({ store, config }, target);
  const loaded = id === null ? null : await store.load(id);
  if (loaded) return say(rolloutText(loaded.rollout), DONE);
  if (!Object.hasOwn(config.services, target)) return say(unknownTarget(config, target), FAILED);
  const [newest] = await store.releases(target);
  const live = newest ? `${target} ${newest.version} is live; ` : '';
  return say(`${live}no rollout of ${target} runs`, DONE);
}

/** Id of the rollout that is meant: the one that holds a service, or the one of this id. */
export async function findRollout({ store, config }: Office, target: string): Promise<string | null> {
  if (Object.hasOwn(config.services, target)) return store.holder(target);
  return serviceOf(target) === null ? null : target;
}

export function unknownTarget({ services }: Config, target: string): string {
  const known = Object.keys(services);
  if (Object.hasOwn(services, target)) return `no rollout of ${target} runs`;
  const near = nearest(target, known);
  const meant = near === null ? `services: ${known.join(', ')}` : `did you mean ${near}?`;
  return `${target} is neither a service nor the id of a rollout; ${meant}`;
}

export function rolloutText(rollout: Rollout): string {
  const { id, plan, route, requestedAt } = rollout;
  const gate = openGate(rollout);
  const deadline = gate && gateDeadline(gate);
  const step = isTerminal(rollout) ? '' : `step ${stepCount(rollout)}, ${route.weight}%, `;
  const reason = plan.reason === null ? '' : `: ${plan.reason}`;
  const tests = gate && testLine(gate.tests);
  return [
    `${id}  ${plan.target.service} ${plan.from ?? '?'} -> ${plan.version}  ${step}${plainText(stateNow(rollout))}`,
    `  asked for by ${plainText(who(plan.requester))} at ${utc(requestedAt)}${reason}`,
    ...(gate ? [`  ${plainText(verdictLine(plan, gate))}`] : []),
    ...(tests ? [`  ${plainText(tests)}`] : []),
    ...(gate
      ? [
          `  ${gate.approvals.length} of ${gate.plan.approvals} approvals, by ${plan.access.approve.join(' or ')}${deadline === null ? '' : `, until ${utc(deadline)}`}`,
        ]
      : []),
  ].join('\n');
}
