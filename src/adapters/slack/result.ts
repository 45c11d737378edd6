/** The last message of a rollout: what came of it, why, how long it took, and what can be done next. */
import type { KnownBlock } from '@slack/types';
import type { Plan } from '../../core/plan.ts';
import type { AbortCause, Rollout } from '../../core/rollout.ts';
import { actions, button, confirm, context, type Message, section } from './block-kit.ts';
import { count, duration, ended, plain, quote, who } from './mrkdwn.ts';
import { failure } from './snapshot.ts';
import { noWordsFor } from './unknown.ts';
import { beforeOf, disputeWords, MAX, nameOf, serviceOf, stableNow, stableOf, stepCount, versionOf } from './words.ts';

export function resultMessage(rollout: Rollout): Message {
  const { phase } = rollout;
  return phase.kind === 'aborting' || phase.kind === 'aborted'
    ? aborted(rollout, phase.cause, phase.from)
    : live(rollout);
}

function live(rollout: Rollout): Message {
  const { plan, phase } = rollout;
  const disputed = phase.kind === 'succeeded' ? phase.disputed : undefined;
  const done =
    plan.kind === 'rollback'
      ? `${serviceOf(plan)} is rolled back to ${versionOf(plan)} by ${who(plan.requester)}`
      : `${nameOf(plan)} is ${disputed === undefined ? 'live' : 'promoted'}`;
  const before = plan.from === null ? '' : ` It replaces ${stableOf(plan)}.`;
  const outcome = disputed === undefined ? done : `${done}, but ${beforeOf(plan)} may still have traffic`;
  const traffic =
    disputed === undefined ? `All traffic is on ${versionOf(plan)}.${before}` : disputeWords(plan, disputed);
  const blocks: KnownBlock[] = [section(`*${outcome}*\n${traffic}`)];
  const approvals = approvalLines(rollout);
  if (approvals) blocks.push(section(approvals));
  blocks.push(context(facts(rollout)));
  // Out of a rollback leads a new deploy with its gates, not a button; a redeploy has no other version to go back to.
  if (plan.from !== null && plan.from !== plan.version && plan.kind === 'deploy')
    blocks.push(actions([rollBackButton(rollout)]));
  return { text: `${outcome}. ${traffic}`, blocks };
}

function rollBackButton(rollout: Rollout) {
  const { plan } = rollout;
  const effect = `This starts a rollout without gates that brings ${stableOf(plan)} back.`;
  return button(
    'rollback',
    `Roll back to ${stableOf(plan)}`,
    { rollout: rollout.id },
    {
      confirm: confirm(`Roll ${serviceOf(plan)} back?`, effect, 'Roll back', 'Not now'),
    },
  );
}

function aborted(rollout: Rollout, cause: AbortCause, from: string): Message {
  const { outcome, why, next } = ending(rollout, cause, from);
  const traffic = `All traffic is on ${stableNow(rollout)}.`;
  const blocks: KnownBlock[] = [section(`*${outcome}*\n${traffic}`)];
  if (why) blocks.push(section(why));
  const approvals = approvalLines(rollout);
  if (approvals) blocks.push(section(approvals));
  blocks.push(context(`${facts(rollout)} · next: ${next}`));
  return {
    text: `${outcome}. ${traffic}${why ? ` ${ended(why.replace(/^>/, ''))}` : ''}`,
    blocks,
    broadcast: cause.kind !== 'person',
  };
}

type Ending = { readonly outcome: string; readonly why: string | null; readonly next: string };

/** Distinct words for each way to end: readers tell them apart without reading on. */
function ending(rollout: Rollout, cause: AbortCause, from: string): Ending {
  const { plan } = rollout;
  const name = nameOf(plan);
  const again = 'deploy again when it is fixed';
  switch (cause.kind) {
    case 'person':
      return {
        outcome: `${name} is aborted by ${who(cause.actor)} ${plain(from, 120)}`,
        why: cause.reason ? quote(cause.reason, MAX.message) : null,
        next: 'deploy again at any time',
      };
    case 'check':
      return {
        outcome: `${name} is aborted ${plain(from, 120)}: a check failed`,
        why: checkWords(plan, cause),
        next: again,
      };
    case 'not started':
      return { outcome: `${name} did not start`, why: quote(cause.message, MAX.message), next: again };
    case 'expired':
      return {
        outcome: `${name} expired`,
        why: expiredWords(rollout, cause.gate),
        next: 'deploy again when somebody can approve',
      };
    case 'refused by the cluster':
      return {
        outcome: `${name} is refused by the cluster ${plain(from, 120)}`,
        why: quote(cause.message, MAX.message),
        next: again,
      };
    case 'given up':
      return {
        outcome: `${name} is given up by Sluice ${plain(from, 120)}`,
        why: quote(cause.message, MAX.message),
        next: 'show this to whoever runs Sluice before you deploy it again',
      };
    case 'lost':
      return {
        outcome: `${name} is aborted ${plain(from, 120)}: somebody else changed what it runs on`,
        why: quote(cause.message, MAX.message),
        next: 'find out who changed it, then deploy again',
      };
    case 'fenced':
      return {
        outcome: `${name} is stopped ${plain(from, 120)}: something else took over its objects`,
        why: quote(cause.message, MAX.message),
        next: 'look at who changed them before you deploy again',
      };
    default:
      return noWordsFor(cause satisfies never);
  }
}

/** Which check, its numbers against the limit, on how many samples. */
function checkWords(plan: Plan, cause: Extract<AbortCause, { kind: 'check' }>): string {
  const result = cause.results.find((other) => other.check === cause.check);
  const check = plan.checks.find((other) => other.name === cause.check);
  const what = result ? failure(plan, result) : plain(cause.check, MAX.name);
  const samples = check ? `, in ${count(check.fails, 'sample')} in a row` : '';
  const requests = result?.requests
    ? ` Last sample: ${count(Math.round(result.requests.canary), 'canary request')}.`
    : '';
  return `${what}${samples}.${requests}`;
}

function expiredWords(rollout: Rollout, id: string): string {
  const gate = rollout.gates.find((other) => other.id === id);
  if (!gate) return 'Nobody decided in time.';
  const open = duration(gate.plan.timeoutMs + gate.heldMs);
  return `Nobody decided at gate ${stepCount(rollout, gate.step)} within ${open}.`;
}

function approvalLines(rollout: Rollout): string | null {
  const lines = rollout.gates.flatMap((gate) => {
    if (gate.kind !== 'step' || gate.approvals.length === 0) return [];
    const names = gate.approvals.map(({ actor, reason }) =>
      reason ? `${who(actor)} (anyway: ${plain(reason, 120)})` : who(actor),
    );
    return [`Gate ${stepCount(rollout, gate.step)}: approved by ${names.join(', ')}`];
  });
  return lines.length > 0 ? lines.slice(0, 12).join('\n') : null;
}

function facts(rollout: Rollout): string {
  const { plan } = rollout;
  const took = `took ${duration(rollout.phase.since - rollout.requestedAt)}`;
  return [took, `started by ${who(plan.requester)}`, plain(rollout.id, 80)].join(' · ');
}
