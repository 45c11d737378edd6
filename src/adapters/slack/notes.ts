/** What is told once in the thread and never edited. */

import type { Note } from '../../core/event.ts';
import type { Plan } from '../../core/plan.ts';
import { isAbortable, openGate, type Rollout } from '../../core/rollout.ts';
import { byHand } from '../../core/traffic.ts';
import { type Message, type Show, section } from './block-kit.ts';
import { codeBlock, date, duration, ended, mention, plain, quote, utc } from './mrkdwn.ts';
import { noWordsFor } from './unknown.ts';
import { beforeOf, disputeWords, doingOf, MAX, nameOf, serviceOf, stableOf, stepCount, versionOf } from './words.ts';

export function noteMessage(rollout: Rollout, note: Note, show: Show): Message {
  switch (note.kind) {
    case 'reminder':
      return reminder(rollout, note, show);
    case 'unconfirmed':
      return {
        text: `${nameOf(rollout.plan)}: the route is written, but not confirmed. ${plain(note.message, MAX.message)}`,
        blocks: [
          section('*The route is written, but not confirmed*'),
          section(quote(note.message, MAX.message)),
          section('The rollout goes on; look at the numbers at the next gate with care.'),
        ],
      };
    case 'abort stalled':
      if (note.rolling) return stillServing(rollout, note.message);
      return rollout.phase.kind === 'aborting' && rollout.phase.stage !== 'route'
        ? leftOver(rollout, note.message)
        : abortStalled(rollout, note.message);
    case 'stalled':
      return stalled(rollout, note);
    case 'resumed':
      return resumed(rollout, note, show);
    case 'disputed':
      return disputed(rollout, note.message);
    default:
      return noWordsFor(note satisfies never);
  }
}

function reminder(rollout: Rollout, note: Extract<Note, { kind: 'reminder' }>, show: Show): Message {
  const gate = rollout.gates.find((other) => other.id === note.gate);
  const step = stepCount(rollout, gate?.step ?? rollout.step);
  const who = note.count > 1 ? 'Last reminder: gate' : 'Gate';
  const waits = `${who} ${step} of ${nameOf(rollout.plan)} still waits for a decision`;
  const then = gate?.plan.onTimeout === 'hold' ? 'then it goes on waiting' : 'then the rollout aborts by itself';
  const deadline = gate ? (gate.deliveredAt ?? gate.openedAt) + gate.plan.timeoutMs + gate.heldMs : null;
  const words = (time: (ms: number) => string) =>
    deadline === null ? `${waits}.` : `${waits} until ${time(deadline)}, ${then}.`;
  return { text: words(utc), blocks: [section(`${words(date)}${linkOf(show)}`)] };
}

const linkOf = ({ gateLink }: Show) => (gateLink ? ` <${gateLink}|Open gate>` : '');

/** The traffic is safe; what Sluice made cannot be taken away yet. */
function leftOver({ plan }: Rollout, why: string): Message {
  const safe = `All traffic of ${serviceOf(plan)} is on ${stableOf(plan)}, but the clean-up of ${versionOf(plan)} does not get through yet.`;
  return {
    text: `${safe} Sluice keeps trying; nothing else of this service can be rolled out until then.`,
    blocks: [
      section(`*${safe}* Sluice keeps trying; nothing else of this service can be rolled out until then.`),
      section(quote(why, MAX.message)),
    ],
  };
}

/** Sluice cannot reach the route: somebody who can takes the traffic back by hand. */
function abortStalled(rollout: Rollout, why: string): Message {
  const name = nameOf(rollout.plan);
  return {
    text: `${name}: the abort does not get through. Sluice keeps trying. By hand: ${plain(abortCommand(rollout), 200)}`,
    blocks: [
      section(`*The abort of ${name} does not get through yet.* Sluice keeps trying.`),
      section(quote(why, MAX.message)),
      ...handWork(rollout, 'To take the traffic back by hand, run'),
    ],
    broadcast: true,
  };
}

/** Everything is written, and Kubernetes has still to replace pods: slowly, or held up by a quota or full nodes. */
function stillServing({ plan }: Rollout, why: string): Message {
  const { namespace, deployment } = plan.target;
  const outcome = `${nameOf(plan)} is taken back, but some of its pods still serve`;
  const next = `Kubernetes replaces them by pods of ${stableOf(plan)}, and Sluice says here when all traffic is on ${stableOf(plan)}.`;
  return {
    text: `${outcome}. ${ended(plain(why, MAX.message))} ${next}`,
    blocks: [
      section(`*${outcome}.* ${next}`),
      section(quote(why, MAX.message)),
      section(`If the number does not fall, look at what keeps the pods of ${stableOf(plan)} away:`),
      section(codeBlock(`kubectl -n ${namespace} describe deployment ${deployment}`, 300)),
    ],
    broadcast: true,
  };
}

/**
 * What failed, with its remedy where people have one (a right that is missing), and what still works meanwhile. Before the
 * first gate nobody else follows the thread, so who asked for the rollout is called.
 */
function stalled(rollout: Rollout, { since, message }: Extract<Note, { kind: 'stalled' }>): Message {
  const { plan } = rollout;
  const name = nameOf(plan);
  const doing = doingOf(rollout);
  const safe = 'User traffic is not touched by that.';
  const abortable = isAbortable(rollout);
  const ways = [
    'Sluice keeps trying, and says here when it goes on.',
    ...(abortable
      ? [
          `No weight moves until then${unless(rollout)}; what people decide is kept.`,
          'To go back, press *Abort*; Sluice repeats it until it gets through.',
        ]
      : []),
  ];
  return {
    text: `${name} has stood still since ${utc(since)} (${doing}): Sluice's own work on it fails: ${ended(plain(message, MAX.message))} ${safe} Sluice keeps trying.`,
    blocks: [
      section(
        `${callOf(plan)}*${name} has stood still since ${date(since)}* (${doing}): Sluice's own work on it fails. ${safe}`,
      ),
      section(quote(message, MAX.message)),
      section(ways.join(' ')),
      ...(abortable && rollout.routeSeq > 0
        ? handWork(rollout, 'To take the traffic back by hand, press *Abort* first, then run')
        : []),
    ],
  };
}

const callOf = ({ requester }: Plan) => (requester.kind === 'person' ? `${mention(requester.user)} ` : '');

/** What sends the traffic back even now. */
function unless(rollout: Rollout): string {
  const gate = openGate(rollout);
  const causes = [
    ...(rollout.guard && rollout.plan.checks.length > 0 ? ['a check fails'] : []),
    ...(gate?.kind === 'step' && gate.plan.onTimeout === 'abort' ? ['the gate runs out'] : []),
  ];
  return causes.length > 0 ? `, unless ${causes.join(' or ')}` : '';
}

function resumed(rollout: Rollout, { ms }: Extract<Note, { kind: 'resumed' }>, show: Show): Message {
  const words = `${nameOf(rollout.plan)} goes on again; it stood still for ${duration(ms)}.`;
  const gate = openGate(rollout);
  if (!gate) return { text: words, blocks: [section(words)] };
  const what = gate.kind === 'step' ? `Gate ${stepCount(rollout, gate.step)}` : 'It';
  const text = `${words} ${what} still waits for a decision.`;
  return { text, blocks: [section(`${text}${linkOf(show)}`)] };
}

/** It has ended, so nobody follows the thread any more: who asked for the rollout is called. */
function disputed({ plan }: Rollout, message: string): Message {
  const { namespace, deployment } = plan.target;
  const before = beforeOf(plan);
  const outcome = `${nameOf(plan)} is promoted, but ${before} may still have traffic`;
  const words = disputeWords(plan, message);
  const next = `If ${before} is to have traffic, nothing has to be done. If not, correct the routes; when nothing sends to it any more, its pods can go:`;
  return {
    text: `${outcome}. ${words}`,
    blocks: [
      section(`${callOf(plan)}*${outcome}.* ${words}`),
      section(next),
      section(codeBlock(`kubectl -n ${namespace} scale deployment ${deployment} --replicas=0`, 300)),
    ],
  };
}

const abortCommand = ({ id }: Rollout) => `npm run sluice -- abort ${id}`;

/** `begin`: up to what is run. */
function handWork(rollout: Rollout, begin: string) {
  const hand = byHand(rollout.plan.target, rollout.journal);
  return [
    section(
      `${begin} the first of these where the cluster can be reached; or the others, and ${plain(hand.edit, 500)}.`,
    ),
    section(codeBlock([abortCommand(rollout), ...hand.commands].join('\n'), 1500)),
  ];
}
