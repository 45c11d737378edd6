/** What is told once in the thread and never edited. */
import { isAbortable, type Note, type Rollout } from '../../core/rollout.ts';
import { byHand } from '../../core/traffic.ts';
import { type Message, type Show, section } from './block-kit.ts';
import { codeBlock, date, duration, plain, quote, utc } from './mrkdwn.ts';
import { doingOf, MAX, nameOf, serviceOf, stableOf, stepCount, versionOf } from './words.ts';

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
      return rollout.phase.kind === 'aborting' && rollout.phase.stage !== 'route'
        ? leftOver(rollout, note.message)
        : abortStalled(rollout, note.message);
    case 'stalled':
      return stalled(rollout, note);
    case 'resumed': {
      const words = `${nameOf(rollout.plan)} goes on again; it stood still for ${duration(note.ms)}.`;
      return { text: words, blocks: [section(words)] };
    }
    default:
      return note satisfies never;
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
  const link = show.gateLink ? ` <${show.gateLink}|Open gate>` : '';
  return { text: words(utc), blocks: [section(`${words(date)}${link}`)] };
}

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
      ...handWork(rollout),
    ],
    broadcast: true,
  };
}

/** Nobody has to do anything yet; whoever wants to knows what still works. */
function stalled(rollout: Rollout, { since, message }: Extract<Note, { kind: 'stalled' }>): Message {
  const name = nameOf(rollout.plan);
  const abortable = isAbortable(rollout);
  const meanwhile = [
    'The traffic stays as it is, and what people decide is kept.',
    'Sluice keeps trying, and says here when it goes on.',
    ...(abortable ? ['*Abort* is tried at once all the same.'] : []),
  ];
  return {
    text: `${name} has stood still since ${utc(since)} (${doingOf(rollout)}): nothing gets through. Sluice keeps trying.`,
    blocks: [
      section(`*${name} has stood still since ${date(since)}* (${doingOf(rollout)}): nothing gets through.`),
      section(quote(message, MAX.message)),
      section(meanwhile.join(' ')),
      ...(abortable && rollout.routeSeq > 0 ? handWork(rollout) : []),
    ],
  };
}

const abortCommand = ({ id }: Rollout) => `npm run sluice -- abort ${id}`;

function handWork(rollout: Rollout) {
  const hand = byHand(rollout.plan.target, rollout.journal);
  return [
    section(
      `To take the traffic back by hand, run the first of these where the cluster can be reached; or the others, and ${plain(hand.edit, 500)}.`,
    ),
    section(codeBlock([abortCommand(rollout), ...hand.commands].join('\n'), 1500)),
  ];
}
