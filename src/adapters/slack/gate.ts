/** The gate message: the question, the evidence, and the buttons; after the decision who decided, and the values then. */
import type { Button, KnownBlock } from '@slack/types';
import { type Gate, looksGood } from '../../core/gate.ts';
import type { Rollout } from '../../core/rollout.ts';
import { previewRequest } from '../../core/traffic.ts';
import { actions, button, confirm, context, type Message, type Show, section } from './block-kit.ts';
import { bar, code, count, date, duration, either, ended, mention, plain, quote, utc, who } from './mrkdwn.ts';
import { snapshotBlocks, testLine, verdictLine } from './snapshot.ts';
import { noWordsFor } from './unknown.ts';
import { achievedAt, MAX, nameOf, serviceOf, stableOf, stepCount, versionOf, weightAt } from './words.ts';

export function gateMessage(rollout: Rollout, gate: Gate, show: Show): Message {
  switch (gate.kind) {
    case 'step':
      return stepGate(rollout, gate, show);
    case 'drift':
      return driftGate(rollout, gate);
    case 'halted':
      return haltedGate(rollout, gate);
    default:
      return noWordsFor(gate.kind satisfies never);
  }
}

// ---- the gate of a step ------------------------------------------------------------------------------------------

function stepGate(rollout: Rollout, gate: Gate, show: Show): Message {
  const { plan } = rollout;
  const title = `Gate ${stepCount(rollout, gate.step)}`;
  const { question, approve } = questionOf(rollout, gate);
  const share = achievedAt(plan.steps, plan.steps[gate.step]?.route.weight ?? 0);
  const evidence = [
    ...(share === null ? [] : [`${versionOf(plan)} now has about ${share}.`]),
    verdictLine(plan, gate),
    testLine(gate.tests),
  ].filter((text) => text !== null);
  const snapshot = snapshotBlocks(plan, gate.results, show.tables);
  if (gate.decision) {
    const decided = decisionLine(rollout, gate, date);
    return {
      text: `${nameOf(plan)}: ${title.toLowerCase()}. ${decisionLine(rollout, gate, utc)}`,
      blocks: [
        section(`*${title}: ${question}*\n${decided}`),
        ...approvalReasons(gate),
        ...(snapshot.length > 0 ? [context('Values at the decision:')] : []),
        ...snapshot,
        section(evidence.join('\n')),
      ],
    };
  }
  const until = deadline(gate, show.now);
  const asked = either(plan.access.approve.map(mention));
  return {
    text: `${title}: ${question} ${evidence.join(' ')} Approve or abort in Slack until ${utc(until)}.`,
    blocks: [
      section(`*${title}: ${question}*\n${asked}, please decide.`),
      ...snapshot,
      section(evidence.join('\n')),
      ...previewHint(rollout, gate),
      actions([approveButton(rollout, gate, approve), ...abortAndHold(rollout, gate)]),
      context(rules(rollout, gate, until)),
    ],
  };
}

/** What the approval does, as a question and on its button. */
function questionOf(rollout: Rollout, gate: Gate): { readonly question: string; readonly approve: string } {
  const { plan } = rollout;
  const now = weightAt(rollout, gate);
  const following = plan.steps[gate.step + 1];
  if (!following) return { question: `promote ${nameOf(plan)}?`, approve: 'Promote' };
  const { weight } = following.route;
  if (weight === now) return { question: `go on with ${nameOf(plan)} to step ${gate.step + 2}?`, approve: 'Approve' };
  return { question: `move ${nameOf(plan)} from ${now}% to ${weight}%?`, approve: `Approve ${weight}%` };
}

function approveButton(rollout: Rollout, gate: Gate, label: string): Button {
  const value = { rollout: rollout.id, gate: gate.id };
  return looksGood(gate)
    ? button('approve', label, value, { style: 'primary' })
    : button('approve_anyway', 'Approve anyway…', value);
}

/** Carries what an abort needs when Redis is away. */
export function abortButton(rollout: Rollout): Button {
  const { plan } = rollout;
  const value = { rollout: rollout.id, env: plan.env, service: plan.target.service };
  const effect = `All traffic goes back to ${stableOf(plan)} now. The pods of ${versionOf(plan)} are removed.`;
  return button('abort', 'Abort', value, {
    style: 'danger',
    confirm: confirm(`Abort ${nameOf(plan)}?`, effect, 'Abort now', 'Not yet'),
  });
}

function abortAndHold(rollout: Rollout, gate: Gate): Button[] {
  return [abortButton(rollout), button('hold', 'Hold 15 min', { rollout: rollout.id, gate: gate.id })];
}

/** Until Slack has the message its clock has not started: the earliest moment is shown. */
function deadline(gate: Gate, now: number): number {
  return (gate.deliveredAt ?? Math.max(gate.openedAt, now)) + gate.plan.timeoutMs + gate.heldMs;
}

function rules(rollout: Rollout, gate: Gate, until: number): string {
  const { access, requester } = rollout.plan;
  const needed = gate.plan.approvals;
  const parts = [`Needs ${count(needed, 'approval')}${access.fourEyes ? `, not from ${who(requester)}` : ''}`];
  if (gate.approvals.length > 0) {
    parts.push(
      `${gate.approvals.length} of ${needed} given: ${gate.approvals.map(({ actor }) => who(actor)).join(', ')}`,
    );
  }
  parts.push(
    gate.plan.onTimeout === 'abort'
      ? `open until ${date(until)}, then it aborts by itself`
      : `open until ${date(until)}, then it goes on waiting`,
  );
  if (gate.heldMs > 0) parts.push(`held for ${duration(gate.heldMs)}`);
  return parts.join(' · ');
}

/** At weight 0 people try the canary themselves. */
function previewHint(rollout: Rollout, gate: Gate): KnownBlock[] {
  const preview = rollout.plan.steps[gate.step]?.route.preview;
  if (!preview) return [];
  const reaches = `always reaches ${versionOf(rollout.plan)}.`;
  const sent = previewRequest(rollout.plan.target, preview);
  if ('pattern' in sent)
    return [section(`Try it: a request whose ${code(sent.header, 80)} matches ${code(sent.pattern, 200)} ${reaches}`)];
  const [flag, text] =
    'cookie' in sent ? ['-b', `${sent.cookie}=${sent.value}`] : ['-H', `${sent.header}: ${sent.value}`];
  return [section(`Try it: ${code(`curl ${flag} '${text.replaceAll("'", '')}' …`, 200)} ${reaches}`)];
}

/** `time` writes the moment: notifications do not know Slack's dates. */
function decisionLine(rollout: Rollout, gate: Gate, time: (ms: number) => string): string {
  const { decision } = gate;
  if (!decision) return '';
  const at = time(decision.at);
  switch (decision.kind) {
    case 'approved': {
      const names = gate.approvals.map(({ actor }) => who(actor)).join(', ');
      return `Approved by ${names} (${at}, ${gate.approvals.length} of ${gate.plan.approvals}).`;
    }
    case 'aborted':
      return abortLine(rollout, gate, at);
    case 'expired':
      return `Expired (${at}): nobody decided in time, so the rollout is aborted.`;
    case 'superseded':
      return `Closed (${at}): something happened that needs another decision first, see below.`;
    case 're-applied':
      return `Re-applied by ${who(decision.actor)} (${at}).`;
    case 'accepted':
      return `Accepted by ${who(decision.actor)} (${at}).`;
    case 'retried':
      return `Tried again by ${who(decision.actor)} (${at}).`;
    default:
      return noWordsFor(decision.kind satisfies never);
  }
}

function abortLine({ phase }: Rollout, gate: Gate, at: string): string {
  const cause = phase.kind === 'aborting' || phase.kind === 'aborted' ? phase.cause : null;
  if (cause?.kind === 'check') return `Aborted because check ${plain(cause.check, MAX.name)} failed (${at}).`;
  const by = gate.decision ? who(gate.decision.actor) : 'Sluice';
  return cause?.kind === 'person' && cause.reason
    ? `Aborted by ${by} (${at}): ${ended(plain(cause.reason, MAX.reason))}`
    : `Aborted by ${by} (${at}).`;
}

function approvalReasons(gate: Gate): KnownBlock[] {
  const reasons = gate.approvals.flatMap(({ actor, reason }) =>
    reason ? [`${who(actor)}:\n${quote(reason, MAX.reason)}`] : [],
  );
  return reasons.length > 0 ? [section(reasons.slice(0, 4).join('\n'))] : [];
}

// ---- somebody else changed the route or the Deployment ------------------------------------------------------------

function driftGate(rollout: Rollout, gate: Gate): Message {
  const { plan, phase } = rollout;
  if (gate.decision || phase.kind !== 'drifted') {
    const decided = decisionLine(rollout, gate, date);
    return {
      text: `${nameOf(plan)}: outside change. ${decisionLine(rollout, gate, utc)}`,
      blocks: [section(`*${nameOf(plan)} was stopped by an outside change*\n${decided}`)],
    };
  }
  const { drift } = phase;
  const isOfStable = drift.object.startsWith('Deployment ');
  const value = { rollout: rollout.id, gate: gate.id };
  const weight = acceptable(rollout);
  const buttons = [
    button('reapply', 'Re-apply', value, { style: 'primary' }),
    ...(weight === null ? [] : [button('accept', `Accept ${weight}%`, value)]),
    abortButton(rollout),
  ];
  const choices = [
    `*Re-apply* puts back what Sluice had there.`,
    ...(weight === null ? [] : [`*Accept ${weight}%* goes on from the weight that was found.`]),
    `*Abort* sends all traffic back to ${isOfStable ? 'the Deployment as it is now' : stableOf(plan)}.`,
  ];
  return {
    text: `${nameOf(plan)} is stopped: somebody else changed ${plain(drift.object, 130)}. ${ended(plain(drift.difference, MAX.message))} Re-apply, accept or abort in Slack.`,
    blocks: [
      section(
        `*${nameOf(plan)} is stopped: somebody else changed ${plain(drift.object, 130)}*\n${either(plan.access.approve.map(mention))}, please decide. Nothing moves until then; the checks go on.`,
      ),
      section(quote(drift.difference, MAX.message)),
      section(choices.join('\n')),
      actions(buttons),
    ],
  };
}

/** The found weight, when it lies between the steps before and after: what the decision allows too. */
function acceptable(rollout: Rollout): number | null {
  const { phase, plan, step } = rollout;
  if (phase.kind !== 'drifted' || phase.resume === 'promotion') return null;
  const found = phase.drift.weight;
  const low = plan.steps[step - 1]?.route.weight ?? 0;
  const high = plan.steps[step + 1]?.route.weight ?? 100;
  return found === null || found < low || found > high ? null : found;
}

// ---- the promotion failed half-way --------------------------------------------------------------------------------

function haltedGate(rollout: Rollout, gate: Gate): Message {
  const { plan, phase } = rollout;
  if (gate.decision || phase.kind !== 'halted') {
    const decided = decisionLine(rollout, gate, date);
    return {
      text: `${nameOf(plan)}: halted promotion. ${decisionLine(rollout, gate, utc)}`,
      blocks: [section(`*The promotion of ${nameOf(plan)} was halted*\n${decided}`)],
    };
  }
  const value = { rollout: rollout.id, gate: gate.id };
  const asked = plan.access.onCall.length > 0 ? plan.access.onCall : plan.access.approve;
  const traffic = `${bar(rollout.route.weight)} ${rollout.route.weight}% of the traffic is on the canary of ${versionOf(plan)} and stays there.`;
  const kept = `*Kept*: the canary goes on serving. Retry or abort when you are ready.`;
  return {
    text: `${nameOf(plan)}: promotion halted. ${ended(plain(phase.why, MAX.message))} ${phase.kept ? 'Kept on the canary.' : 'Retry, abort or keep in Slack.'}`,
    blocks: [
      section(`*The promotion of ${nameOf(plan)} is halted*\n${either(asked.map(mention))}, please decide.`),
      section(quote(phase.why, MAX.message)),
      section(traffic),
      section(
        phase.kept
          ? kept
          : `*Retry* gives ${serviceOf(plan)} the new pods again.\n*Abort* sends all traffic back to ${stableOf(plan)}.\n*Keep* leaves everything as it is for now.`,
      ),
      actions([
        button('retry', 'Retry', value, { style: 'primary' }),
        abortButton(rollout),
        ...(phase.kept ? [] : [button('keep', 'Keep on the canary', value)]),
      ]),
    ],
    broadcast: true,
  };
}
