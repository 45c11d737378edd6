/** What a rollout is called and what it is doing, as words: for messages, notifications and answers alike. */

import type { Gate } from '../../core/gate.ts';
import type { Plan, Preview, Route, Step, Target } from '../../core/plan.ts';
import { type AbortCause, openGate, type Rollout } from '../../core/rollout.ts';
import { previewRequest } from '../../core/traffic.ts';
import { capital, code, date, duration, ended, plain, who } from './mrkdwn.ts';
import { noWordsFor, wordsOr } from './unknown.ts';

/** Budgets of foreign text, in characters as typed. */
export const MAX = { name: 63, version: 60, reason: 300, message: 600 } as const;

export const serviceOf = (plan: Plan) => plain(plan.target.service, MAX.name);
export const versionOf = (plan: Plan) => plain(plan.version, MAX.version);
/** What serves besides the canary; its image may not match the configured pattern. */
export const stableOf = (plan: Plan) => (plan.from === null ? 'the stable version' : plain(plan.from, MAX.version));

/** What served before, where that has to be told from what serves now. */
export const beforeOf = (plan: Plan) => (plan.from === null ? 'the version before' : stableOf(plan));

/** `world v2` */
export const nameOf = (plan: Plan) => `${serviceOf(plan)} ${versionOf(plan)}`;

/** `gate:3` of gate `r1.3`. */
export const gateKey = (gate: Gate) => `gate:${gateNumber(gate)}`;
export const gateNumber = (gate: Gate) => Number(gate.id.slice(gate.id.lastIndexOf('.') + 1));

/** `2 of 4`: gates are numbered as their steps are. */
export const stepCount = (rollout: Rollout, step = rollout.step) => `${step + 1} of ${rollout.plan.steps.length}`;

/** The weight a gate stands at, an accepted one included. */
export function weightAt(rollout: Rollout, gate: Gate): number {
  const planned = rollout.plan.steps[gate.step]?.route.weight ?? 0;
  return gate.step === rollout.step ? (rollout.acceptedWeight ?? planned) : planned;
}

/** What a route gives the canary: `0% to the canary, plus requests with x-canary: always`. */
export function routeWords(route: Route, { steps, target }: Pick<Plan, 'steps' | 'target'>): string {
  const share = achievedAt(steps, route.weight);
  const parts = [`${share === null ? `${route.weight}%` : `about ${share}`} to the canary`];
  if (route.preview) parts.push(`requests with ${previewWords(previewRequest(target, route.preview))}`);
  if (route.mirror) parts.push(`copies of ${route.mirror}% of the requests`);
  return parts.join(', plus ');
}

/** What a request carries to reach the canary. */
function previewWords(preview: Preview): string {
  if ('cookie' in preview) return `the cookie ${code(`${preview.cookie}=${preview.value}`, 160)}`;
  return 'pattern' in preview
    ? `${code(preview.header, 80)} matching ${code(preview.pattern, 200)}`
    : code(`${preview.header}: ${preview.value}`, 160);
}

/** `20% (1 of 5 pods; 10% was asked)` where a weight gets another share than it says; null: just that. */
export function achievedAt(steps: readonly Step[], weight: number): string | null {
  const achieved = steps.find(({ route }) => route.weight === weight)?.achieved;
  return achieved === undefined ? null : plain(achieved, MAX.name);
}

/** The percent of it, for a bar. */
export const percentAt = (steps: readonly Step[], weight: number): number =>
  Number.parseInt(achievedAt(steps, weight) ?? '', 10) || weight;

/** One step of a plan in a line: what a dry run prints. */
export function stepWords(step: Step, target: Target): string {
  const parts = [routeWords(step.route, { steps: [step], target })];
  if (step.test) parts.push('tests');
  if (step.bakeMs > 0) parts.push(`checks watched for ${duration(step.bakeMs)}`);
  if (step.gate) parts.push(step.gate.approvals > 1 ? `gate with ${step.gate.approvals} approvals` : 'gate');
  return parts.join(' · ');
}

/** What it is doing now, as a clause without a full stop. */
export const stateOf = (rollout: Rollout, time?: (ms: number) => string): string =>
  `${doingOf(rollout)}${standstillOf(rollout, time)}`;

/** A clause to go on with when it stands still, else nothing. `time` writes the moment: notifications do not know Slack's dates. */
export const standstillOf = ({ stalledSince }: Rollout, time: (ms: number) => string = date): string =>
  stalledSince ? `, but Sluice has not been able to go on since ${time(stalledSince)}; see the thread` : '';

/** The same without whether it stands still. */
export function doingOf(rollout: Rollout): string {
  const { phase, plan } = rollout;
  const version = versionOf(plan);
  const { weight: planned = 0, mirror = null } = plan.steps[rollout.step]?.route ?? {};
  const copies = planned === 0 && mirror !== null;
  const weight = copies ? `copies of ${mirror}% of the requests` : `${rollout.acceptedWeight ?? planned}%`;
  const moving = copies ? `starting ${weight}` : `moving traffic to ${weight}`;
  switch (phase.kind) {
    case 'queued':
      return 'preparing, claiming the route and the Deployment';
    case 'starting':
      if (phase.stage === 'create') return `starting, creating the canary of ${version}`;
      if (phase.stage === 'ready') return `starting, waiting until the pods of ${version} are Ready`;
      return 'ready to start, waiting until Slack shows this message';
    case 'stepping':
      switch (phase.stage) {
        case 'scale':
          return `preparing ${weight}, scaling the canary`;
        case 'ready':
          return `preparing ${weight}, waiting until the canary pods are Ready`;
        case 'route':
          return moving;
        case 'confirm':
          return `${moving}, waiting until the route takes effect`;
        case 'test':
          return 'testing the canary pods';
        case 'bake':
          return `watching the checks for ${duration(plan.steps[rollout.step]?.bakeMs ?? 0)}`;
        case 'judge':
          return 'measuring for the decision';
        default:
          return noWordsFor(phase satisfies never);
      }
    case 'waiting': {
      const gate = openGate(rollout);
      return gate ? `waiting for approval at gate ${stepCount(rollout, gate.step)}` : 'waiting for approval';
    }
    case 'drifted':
      return `stopped, somebody else changed ${plain(phase.drift.object, MAX.name * 2)}`;
    case 'promoting':
      switch (phase.stage) {
        case 'template':
          return `promoting, giving ${serviceOf(plan)} the new pods`;
        case 'ready':
          return `promoting, waiting until the new pods of ${serviceOf(plan)} are Ready`;
        case 'route':
        case 'confirm':
          return `promoting, moving the traffic from the canary to ${serviceOf(plan)}`;
        case 'cool':
        case 'clean':
          return `live, all traffic is on ${version}; the canary is removed after the cool-down`;
        default:
          return noWordsFor(phase satisfies never);
      }
    case 'halted':
      return phase.kept ? 'halted in the promotion, kept on the canary' : 'halted in the promotion, people must decide';
    case 'aborting':
      if (phase.stage !== 'route')
        return `${endWords(phase.cause, phase.from)}; all traffic is on ${stableNow(rollout)}, the canary is being removed`;
      if (phase.rolling) return `aborting; some pods of ${version} still serve, see the thread`;
      return phase.stalled
        ? 'aborting, but it does not get through yet; the thread says what to run by hand'
        : `aborting, moving all traffic back to ${stableOf(plan)}`;
    case 'succeeded':
      return phase.disputed === undefined
        ? `live, all traffic is on ${version}`
        : `promoted, but ${beforeOf(plan)} may still have traffic; see the thread`;
    case 'aborted':
      return `${endWords(phase.cause, phase.from)}; all traffic is on ${stableNow(rollout)}`;
    default:
      return noWordsFor(phase satisfies never);
  }
}

/** Both for answers, which have words for everything. */
export const doingNow = (rollout: Rollout): string =>
  wordsOr(
    `${plain(rollout.phase.kind, MAX.name)}, in a way that only a newer Sluice has words for; see the thread`,
    () => doingOf(rollout),
  );
export const stateNow = (rollout: Rollout): string => `${doingNow(rollout)}${standstillOf(rollout)}`;

/** What has the traffic after an abort: a change of stable that somebody else made is left as it is. */
export function stableNow({ plan, phase }: Rollout): string {
  const foreign = phase.kind === 'aborting' || phase.kind === 'aborted' ? phase.foreign : undefined;
  if (!foreign) return stableOf(plan);
  return `${plain(foreign.object, MAX.name * 2)} as somebody else left it (${plain(foreign.difference, MAX.reason)})`;
}

/** How an abort is called, with where it happened. */
export function endWords(cause: AbortCause, from: string): string {
  const where = plain(from, 120);
  switch (cause.kind) {
    case 'person':
      return `aborted by ${who(cause.actor)} ${where}`;
    case 'check':
      return `aborted ${where}, check ${plain(cause.check, MAX.name)} failed`;
    case 'not started':
      return 'did not start';
    case 'expired':
      return `expired without a decision ${where}`;
    case 'refused by the cluster':
      return `refused by the cluster ${where}`;
    case 'given up':
      return `given up by Sluice ${where}`;
    case 'lost':
      return `aborted ${where}, somebody else changed what it runs on`;
    case 'fenced':
      return `stopped ${where}, something else took over`;
    default:
      return noWordsFor(cause satisfies never);
  }
}

/** What was found of a promotion that may not have all of the traffic, and what stays. */
export const disputeWords = (plan: Plan, found: string): string =>
  `${ended(capital(plain(found, MAX.message)))} What the routes say stays, and so do the pods of ${beforeOf(plan)} and ${versionOf(plan)}.`;
