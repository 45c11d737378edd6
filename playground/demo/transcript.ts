/** A channel as text: what each message says now, threads under their first message. */
import { type Block, type Button, CHANNEL, type Message, type Text } from './local-slack.ts';

export function transcript(messages: readonly Message[], nameOf: (user: string) => string): string {
  const words = (text: string) =>
    text.replace(/<@(\w+)>/g, (_, user: string) => `@${nameOf(user)}`).replace(/<#(\w+)>/g, `#${CHANNEL}`);
  return messages
    .filter(({ thread_ts }) => thread_ts === undefined)
    .flatMap((root) => [root, ...messages.filter(({ thread_ts }) => thread_ts === root.ts)])
    .map((message) => words(shown(message, nameOf)))
    .join('\n\n');
}

function shown(message: Message, nameOf: (user: string) => string): string {
  const { user, ephemeral_to, thread_ts, blocks, text, files = [] } = message;
  const whom = ephemeral_to === undefined ? '' : ` (only @${nameOf(ephemeral_to)} sees this)`;
  const lines = [
    `${nameOf(user)}${whom}`,
    ...(blocks ? blocks.map(block) : [text]).flatMap((part) => part.split('\n')).filter((line) => line !== ''),
    ...files.map(({ name }) => `(picture ${name})`),
  ];
  const margin = thread_ts === undefined ? '' : '    │ ';
  return lines.map((line, index) => margin + (index === 0 ? '' : '  ') + plain(line)).join('\n');
}

function block({ text, fields = [], elements = [] }: Block): string {
  const pairs = fields.map((field) => field.text.replaceAll('\n', ': '));
  const row = elements.map((element) => (isButton(element) ? `[${element.text.text}]` : element.text));
  return [...(text ? [text.text] : []), ...pairs, row.join(' ')].join('\n');
}

export const buttonsOf = ({ blocks = [] }: Message): readonly Button[] =>
  blocks.flatMap(({ elements = [] }) => elements.filter(isButton));

const isButton = (element: Text | Button): element is Button => element.type === 'button';

/** Slack's marks are for the page. */
function plain(line: string): string {
  return line
    .replace(/<(?:https?:[^|>]*)\|([^>]*)>/g, '$1')
    .replace(/\*([^*]+)\*/g, '$1')
    .replace(/&lt;/g, '<')
    .replace(/&gt;/g, '>')
    .replace(/&amp;/g, '&');
}
