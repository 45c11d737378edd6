/**
 * Every sentence that is said to one person, in Slack's mrkdwn: what happened, to what, and what to do next. Nobody is
 * notified by them, so groups and people may stand there as mentions.
 */
import type { Answer } from '../../app/answers.ts';
import type { Rejection } from '../../core/event.ts';
import { gateDeadline } from '../../core/gate.ts';
import type { Actor } from '../../core/plan.ts';
import { isAbortable, openGate, type Rollout } from '../../core/rollout.ts';
import { commandError, dryRun, help, history, meant, names } from './command-words.ts';
import { code, codeBlock, count, date, either, ended, mention, plain, utc, who } from './mrkdwn.ts';
import { doingNow, MAX, nameOf, serviceOf, stableOf, standstillOf, stateNow, stepCount, versionOf } from './words.ts';

type Of<K extends Answer['kind']> = Extract<Answer, { kind: K }>;

/** The request was not recorded in time, so nobody knows yet whether it counts. */
export const LATE = 'No answer from Sluice in time. Look at the thread whether it happened; if not, try again.';
export const OLD_BUTTON =
  'This button is of no use any more. Nothing happened; look at the newest message of the thread.';
export const FORM_FAILED = 'The form could not be opened. Nothing happened; press the button again.';

export function say(answer: Answer): string {
  switch (answer.kind) {
    case 'help':
      return help(answer);
    case 'command error':
      return commandError(answer.error);
    case 'unknown service':
      return `There is no service ${code(answer.given, 63)}.${meant(answer.near)} Services: ${names(answer.known)}.`;
    case 'bad version':
      return `${code(answer.given, 128)} is not a version of ${plain(answer.service, 63)}: versions match ${code(answer.pattern, 200)}.${meant(answer.near)} Nothing was started.`;
    case 'unknown strategy':
      return `There is no strategy ${code(answer.given, 63)} here.${meant(answer.near)} Strategies: ${names(answer.known)}.`;
    case 'already live':
      return `${plain(answer.service, 63)} ${plain(answer.version, 60)} is live already. To roll it out again, add ${code('--redeploy', 20)}.`;
    case 'busy':
      return busy(answer);
    case 'refused':
      return refused(answer);
    case 'not allowed':
      return notAllowed(answer);
    case 'membership unknown':
      return `Slack did not say who may ${answer.verb} ${plain(answer.service, 63)} (${plain(answer.error, 200)}), so the answer is no for now. Try again in a minute.${answer.verb === 'abort' ? '' : ' An abort still works.'}`;
    case 'not a member':
      return 'Only full members of this workspace can use Sluice, so nothing happened. Ask a colleague who is one.';
    case 'dry run':
      return dryRun(answer);
    case 'history':
      return history(answer);
    case 'started':
      return started(answer);
    case 'status':
      return status(answer);
    case 'no rollout':
      return `No rollout is known as ${code(answer.given, 128)}. ${code('/deploy list', 20)} shows what runs.`;
    case 'unreadable':
      return `Nothing happened, since Sluice cannot read what its database holds: ${ended(plain(answer.problem, MAX.message))} Show this to whoever runs Sluice. An abort is taken all the same.`;
    case 'nothing to roll back to':
      return nothingToRollBackTo(answer);
    case 'rejected':
      return rejected(answer.rejection, answer.rollout, answer.verb);
    case 'approved': {
      const { gate } = answer;
      const missing = gate.plan.approvals - gate.approvals.length;
      return missing > 0
        ? `Your approval counts: ${gate.approvals.length} of ${gate.plan.approvals}. ${count(missing, 'more person', 'more people')} must approve.`
        : `Approved: ${nameOf(answer.rollout.plan)} goes on.`;
    }
    case 'held': {
      const deadline = gateDeadline(answer.gate);
      return deadline === null ? 'Held.' : `Held: the gate is now open until ${date(deadline)}. The checks go on.`;
    }
    case 'noted':
      return 'Noted.';
    case 'aborting':
      return `Aborting ${nameOf(answer.rollout.plan)}: all traffic goes back to ${stableOf(answer.rollout.plan)} now. The thread shows when it is done.`;
    case 'aborted blind':
      return `The route of ${plain(answer.service, 63)} is back on the stable version, written straight to the cluster because Sluice's database is away, has lost this rollout or cannot be read. Rollout ${plain(answer.id, 80)} is cleaned up when the database is back.`;
    case 'demoted blind':
      return `${plain(answer.service, 63)} gets its version of before back, written straight to the cluster because Sluice's database is away or has lost rollout ${plain(answer.id, 80)}. Traffic is on it once its pods are Ready: press Abort again in a moment, or Sluice sees to it when the database is back.`;
    case 'promoted blind':
      return `${plain(answer.service, 63)} is promoted already, so there is nothing to abort. To go back, use ${code(`/deploy rollback ${answer.service}`, 120)} as soon as Sluice's database is back.`;
    case 'blind abort failed':
      return `*The abort of ${plain(answer.service, 63)} did not get through*: ${plain(answer.error, MAX.message)}. Take the traffic back by hand:\n${codeBlock(answer.command, 1000)}`;
    case 'not recorded':
      return 'Not recorded, so nothing happened: Sluice could not write it down. Try again in a minute.';
    case 'inbox full':
      return 'Not recorded, so nothing happened: too many requests wait to be carried out. Try again in a minute. An abort is taken all the same.';
    case 'kept':
      return "Written down, but not carried out yet: Sluice's database went away. It is carried out when the database is back within 5 minutes; look at the thread.";
    case 'replayed':
      return 'This request came twice, or is older than 5 minutes, or carries a time in the future: it has no effect. If you meant it, send it anew.';
    case 'copied button': {
      const own = answer.link === null ? 'its own message' : `<${answer.link}|its own message>`;
      return `This button is a copy, so nothing happened. Press the one in ${own}.`;
    }
    case 'altered button':
      return OLD_BUTTON;
    case "another installation's button":
      return `This button belongs to another Sluice (${plain(answer.given, 40)}; this one is ${plain(answer.own, 40)}), so nothing happened. Do they use the same Slack app? Give each its own.`;
    case 'too many':
      return `Too many requests: this one and the next have no effect. Go on in ${count(answer.seconds, 'second', 'seconds')}. An abort is taken all the same.`;
    case 'fault':
      return `Something broke on Sluice's side. Look at the thread before you try again; the log has it under ${code(answer.reference, 80)}.`;
    default:
      // A newer one decided it, and died before it was told.
      answer satisfies never;
      return 'Only a newer Sluice has words for the answer. Look at the thread whether it happened.';
  }
}

/** Ephemeral, so it notifies nobody; it shows the name that each reader knows. */
const person = (actor: Actor) => (actor.kind === 'person' ? mention(actor.user) : who(actor));

// ---- refusals before a rollout ---------------------------------------------------------------------------------------

function refused({ service, version, refusals, isRollback }: Of<'refused'>): string {
  const [name, asked] = [plain(service, 63), plain(version, 60)];
  const shown = refusals.slice(0, 6).map((refusal) => `• ${plain(refusal, 500)}`);
  const more = refusals.length > 6 ? [`… and ${refusals.length - 6} more`] : [];
  return [
    `*${isRollback ? `${name} was not rolled back to ${asked}` : `${name} ${asked} was not started`}*, nothing was touched:`,
    ...shown,
    ...more,
  ].join('\n');
}

function busy({ holder, link }: Of<'busy'>): string {
  const { plan } = holder;
  const where = link === null ? plain(holder.id, 80) : `<${link}|${plain(holder.id, 80)}>`;
  return `${serviceOf(plan)} is busy: ${person(plan.requester)} is rolling out ${versionOf(plan)}, step ${stepCount(holder)}, ${stateNow(holder)} (${where}). Wait until it ends, or abort it with ${code(`/deploy abort ${plan.target.service}`, 100)}.`;
}

function notAllowed({ verb, service, groups }: Of<'not allowed'>): string {
  if (groups.length === 0) return `Nobody may ${verb} ${plain(service, 63)}: its access list in sluice.yaml is empty.`;
  const also = verb === 'approve' || verb === 'hold' ? ' If you asked for this rollout, you can still abort it.' : '';
  return `Only ${either(groups.map(mention), 5)} can ${verb} ${plain(service, 63)}; ${groups.length === 1 && !isGroup(groups[0]) ? 'ask them' : 'ask one of them'}.${also}`;
}

function nothingToRollBackTo({ service, given, known }: Of<'nothing to roll back to'>): string {
  const name = plain(service, 63);
  const choices = known.length > 0 ? ` Known: ${names(known)}.` : '';
  return given === null
    ? `Sluice knows no version of ${name} before the live one, so there is nothing to roll back to.${choices} Deploy the version you want.`
    : `Sluice has not rolled out ${code(given, 60)} of ${name}, or it is live now.${choices} Deploy it with ${code(`/deploy ${service} ${given}`, 200)}.`;
}

// ---- rollouts --------------------------------------------------------------------------------------------------------

function started({ rollout, link }: Of<'started'>): string {
  const { plan } = rollout;
  const what =
    plan.kind === 'rollback' ? `Rolling ${serviceOf(plan)} back to ${versionOf(plan)}` : `Started ${nameOf(plan)}`;
  const where = link === null ? `see <#${plain(plan.channel, 40)}>` : `<${link}|see the channel>`;
  return `${what} as ${plain(rollout.id, 80)}: ${where}.`;
}

function status({ rollouts, unreadable, more, service, live }: Of<'status'>): string {
  const lines = [
    ...rollouts.map(({ rollout, link }) => statusLine(rollout, link)),
    ...unreadable.map((problem) => `• ${plain(problem, MAX.message)}`),
  ];
  const rest = more > 0 ? [`… and ${more} more`] : [];
  if (service === null) return lines.length > 0 ? [...lines, ...rest].join('\n') : 'Nothing is being rolled out.';
  const serves =
    live === null
      ? `The version of ${plain(service, 63)} that is live could not be read.`
      : `${plain(service, 63)} ${plain(live, 60)} is live.`;
  return lines.length > 0 ? [serves, ...lines].join('\n') : `${serves} Nothing is being rolled out.`;
}

function statusLine(rollout: Rollout, link: string | null): string {
  const { plan, route } = rollout;
  const gate = openGate(rollout);
  const deadline = gate && gateDeadline(gate);
  const step = isAbortable(rollout) ? `step ${stepCount(rollout)}, ${route.weight}%, ` : '';
  const until = deadline ? ` until ${date(deadline)}` : '';
  const id = plain(rollout.id, 80);
  return `• *${nameOf(plan)}*: ${step}${doingNow(rollout)}${until}${standstillOf(rollout)}; by ${person(plan.requester)} (${link === null ? id : `<${link}|${id}>`})`;
}

function rejected(rejection: Rejection, rollout: Rollout, verb: Of<'rejected'>['verb']): string {
  const name = nameOf(rollout.plan);
  switch (rejection.kind) {
    case 'ended':
      return `The rollout of ${name} has ended (${stateNow(rollout)}), so there is nothing to ${verb}.`;
    case 'stale':
      return verb === 'roll back'
        ? `This button is out of date: another rollout changed ${serviceOf(rollout.plan)} since. Use ${code(`/deploy rollback ${rollout.plan.target.service}`, 120)}.`
        : `Too late: ${name} has moved on (${stateNow(rollout)}). Look at the newest message of its thread.`;
    case 'gate closed':
      return gateClosed(rejection, rollout);
    case 'four eyes':
      return 'You asked for this rollout, so somebody else must approve it. You can still abort it.';
    case 'already approved':
      return `You approved this at ${utc(rejection.at)} already; another person must approve too.`;
    case 'needs reason':
      return `A check or test does not pass, so an approval needs a reason: press *Approve anyway…*, or say ${code('@sluice approve --reason "…"', 60)} in the thread.`;
    case 'hold limit':
      return 'This gate was held for as long as it can be (4 hours in all). Approve or abort it.';
    case 'not acceptable':
      return rejection.found === null
        ? 'The change cannot be accepted, since it is not one of weights. Re-apply or abort.'
        : `${rejection.found}% cannot be accepted: only ${rejection.low}% to ${rejection.high}% lies between the steps before and after. Re-apply or abort.`;
    case 'already aborting':
      return `${name} is aborting already: ${stateNow(rollout)}.`;
    case 'already promoted':
      return `${name} is promoted already, so there is nothing to abort. To go back, use ${code(`/deploy rollback ${rollout.plan.target.service}`, 120)}.`;
    default:
      rejection satisfies never;
      return `Nothing happened. Only a newer Sluice has words for why. ${name}: ${stateNow(rollout)}.`;
  }
}

function gateClosed({ gate }: Extract<Rejection, { kind: 'gate closed' }>, rollout: Rollout): string {
  const now = `${nameOf(rollout.plan)}: ${stateNow(rollout)}.`;
  if (!gate) return `No such gate is open. ${now}`;
  const { decision } = gate;
  if (!decision) return `This gate asks for another decision. ${now}`;
  const names =
    decision.kind === 'approved' ? gate.approvals.map(({ actor }) => person(actor)).join(', ') : person(decision.actor);
  return `This gate was decided at ${utc(decision.at)}: ${decision.kind} by ${names}. ${now}`;
}

const isGroup = (id: string | undefined) => id?.startsWith('S') ?? false;
