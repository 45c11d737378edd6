/** From a rollout to the message of one key: pure, so that it can be rendered again from the newest state at any time. */
import type { Outgoing } from '../../core/event.ts';
import type { Rollout } from '../../core/rollout.ts';
import { type Message, type Show, section } from './block-kit.ts';
import { gateMessage } from './gate.ts';
import { cut } from './mrkdwn.ts';
import { noteMessage } from './notes.ts';
import { resultMessage } from './result.ts';
import { rootMessage } from './root.ts';
import { noWordsFor } from './unknown.ts';
import { gateNumber } from './words.ts';

/** chat.update takes no more. */
const TEXT_MAX = 4000;

/** null: nothing to say under this key (charts are pictures, and an unknown gate has no words). */
export function render(rollout: Rollout, { key, note }: Outgoing, show: Show): Message | null {
  const message = choose(rollout, key, note, show);
  return message && { ...message, text: cut(message.text, TEXT_MAX) };
}

function choose(rollout: Rollout, key: string, note: Outgoing['note'], show: Show): Message | null {
  if (key === 'root') return rootMessage(rollout, show);
  if (key === 'result') return resultMessage(rollout);
  if (note) return noteMessage(rollout, note, show);
  if (!/^(gate|note):/.test(key)) return noWordsFor(key);
  const gate = rollout.gates.find((other) => key === `gate:${gateNumber(other)}`);
  return gate ? gateMessage(rollout, gate, show) : null;
}

/** The same without anything a workspace may refuse: words and buttons. */
export function simplest({ text, blocks, ...rest }: Message): Message {
  return { text, blocks: [section(text), ...blocks.filter((block) => block.type === 'actions')], ...rest };
}
