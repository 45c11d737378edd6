/** The root message: one per rollout, edited in place, at most six blocks. */
import type { Button, KnownBlock } from '@slack/types';
import type { Plan } from '../../core/plan.ts';
import { type AbortCause, isAbortable, openGate, type Rollout } from '../../core/rollout.ts';
import { actions, button, context, header, type Message, type Show, section } from './block-kit.ts';
import { abortButton } from './gate.ts';
import { bar, capital, date, plain, utc, who } from './mrkdwn.ts';
import { failure } from './snapshot.ts';
import { noWordsFor } from './unknown.ts';
import {
  achievedAt,
  endWords,
  MAX,
  nameOf,
  percentAt,
  routeWords,
  serviceOf,
  stateOf,
  stepCount,
  versionOf,
} from './words.ts';

export function rootMessage(rollout: Rollout, show: Show): Message {
  const blocks: KnownBlock[] = [header(title(rollout)), section(progress(rollout)), context(facts(rollout))];
  const notice = noticeOf(rollout);
  if (notice) blocks.push(context(notice));
  const buttons = rootButtons(rollout, show);
  if (buttons.length > 0) blocks.push(actions(buttons));
  return { text: fallback(rollout), blocks };
}

/** What the traffic decides: the rest is tidying up. */
function outcomeOf({ phase }: Rollout): 'live' | AbortCause | null {
  if (phase.kind === 'succeeded') return 'live';
  if (phase.kind === 'promoting' && (phase.stage === 'cool' || phase.stage === 'clean')) return 'live';
  if (phase.kind === 'aborted' || (phase.kind === 'aborting' && phase.stage !== 'route')) return phase.cause;
  return null;
}

function title(rollout: Rollout): string {
  const { plan, phase } = rollout;
  const outcome = outcomeOf(rollout);
  if (outcome === 'live') {
    const doubt = phase.kind === 'succeeded' && phase.disputed !== undefined;
    const end =
      plan.kind === 'rollback'
        ? `${serviceOf(plan)} is rolled back to ${shortVersion(plan.version)}`
        : `${shortName(plan)} is ${doubt ? 'promoted' : 'live'}`;
    return doubt
      ? `${end}, ${plan.from === null ? 'the version before' : shortVersion(plan.from)} may still have traffic`
      : end;
  }
  if (outcome !== null) return `${shortName(plan)} ${titleOf(outcome)}`;
  const from = plan.from === null ? '' : `${shortVersion(plan.from)} → `;
  return `${serviceOf(plan)} ${from}${shortVersion(plan.version)} · ${plain(plan.strategy, 30)}${envOf(plan)}`;
}

/** A header takes 150 characters: a commit's hash may be cut, the words after it not. */
const shortVersion = (version: string) => plain(version, 24);
const shortName = (plan: Plan) => `${serviceOf(plan)} ${shortVersion(plan.version)}`;
const envOf = (plan: Plan) => (plan.env === 'default' || plan.env === '' ? '' : ` · ${plain(plan.env, 30)}`);

function titleOf(cause: AbortCause): string {
  switch (cause.kind) {
    case 'person':
      return 'aborted';
    case 'check':
      return 'aborted: a check failed';
    case 'not started':
      return 'did not start';
    case 'expired':
      return 'expired';
    case 'refused by the cluster':
      return 'refused by the cluster';
    case 'given up':
      return 'given up by Sluice';
    case 'lost':
      return 'aborted: an outside change';
    case 'fenced':
      return 'stopped';
    default:
      return noWordsFor(cause satisfies never);
  }
}

function progress(rollout: Rollout): string {
  const state = `${capital(stateOf(rollout))}.`;
  if (outcomeOf(rollout) !== null) return state;
  const { phase, plan, route } = rollout;
  // From the promotion on v2 is in both: the route says 0% again while every request reaches it.
  const traffic =
    phase.kind === 'promoting'
      ? `${bar(100)} 100% on ${versionOf(plan)}`
      : `${bar(percentAt(plan.steps, route.weight))} ${routeWords(route, plan)}`;
  return `*Step ${stepCount(rollout)}* · ${traffic}\n${state}`;
}

function facts(rollout: Rollout): string {
  const { plan } = rollout;
  const parts = [`by ${who(plan.requester)}`, `started ${date(rollout.requestedAt)}`, plain(rollout.id, 80)];
  if (plan.reason) parts.push(`reason: ${plain(plan.reason, MAX.reason)}`);
  return parts.join(' · ');
}

/** One line for what a reader must know besides the state. */
function noticeOf(rollout: Rollout): string | null {
  const { plan, guard, phase } = rollout;
  if (phase.kind === 'aborting' && phase.stage === 'route') return `${capital(endWords(phase.cause, phase.from))}.`;
  const failing = outcomeOf(rollout) === null ? guard?.last.find((result) => result.verdict === 'fail') : undefined;
  if (failing) return `Check fails: ${failure(plan, failing)}.`;
  const warning = rollout.warnings[0];
  if (!warning) return null;
  const more = rollout.warnings.length > 1 ? ` (and ${rollout.warnings.length - 1} more)` : '';
  return `Warning: ${plain(warning, MAX.reason)}${more}`;
}

function rootButtons(rollout: Rollout, show: Show): Button[] {
  const buttons: Button[] = [];
  if (openGate(rollout) && show.gateLink) {
    buttons.push(button('open_gate', 'Open gate', { rollout: rollout.id }, { url: show.gateLink }));
  }
  if (isAbortable(rollout)) buttons.push(abortButton(rollout));
  return buttons;
}

/** The first 40 characters tell the story on a lock screen. */
function fallback(rollout: Rollout): string {
  const { phase, plan, route } = rollout;
  const parts = [`${nameOf(plan)}: ${stateOf(rollout, utc)}.`];
  if (outcomeOf(rollout) === null) {
    const weight = phase.kind === 'promoting' ? 100 : route.weight;
    const share = achievedAt(plan.steps, weight);
    const version = versionOf(plan);
    parts.push(
      share === null ? `${weight}% of the traffic is on ${version}.` : `Traffic on ${version}: about ${share}.`,
    );
  }
  if (openGate(rollout)) parts.push('Open the gate in the thread to decide.');
  parts.push(`Started by ${who(plan.requester)}.`);
  return parts.join(' ');
}
