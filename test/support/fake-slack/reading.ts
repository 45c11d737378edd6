/** Messages as readers see them: words, buttons, and what would hurt. */
import type { Block } from './workspace.ts';

type Fields = Readonly<Record<string, unknown>>;

/** Slack cuts notifications somewhere below. */
const TEXT_LONG = 4000;

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** What Slack takes, but readers suffer from. */
export function hurts(args: Fields): string[] {
  const found: string[] = [];
  if (!args.text) found.push('no text: notifications and screen readers get nothing');
  if (typeof args.text === 'string' && args.text.length > TEXT_LONG) found.push('text over 4,000 characters');
  const ping = /<!(?:channel|here|everyone)(?:\|[^>]*)?>/.exec(
    formatted({ text: args.text, blocks: args.blocks }).join('\n'),
  );
  if (ping) found.push(`live ping ${ping[0]}`);
  return found;
}

/** Every string that Slack formats: literal texts neither ping nor link. */
function formatted(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  if (Array.isArray(value)) return value.flatMap(formatted);
  if (!isFields(value) || value.type === 'plain_text' || value.type === 'raw_text') return [];
  return Object.entries(value).flatMap(([name, item]) => (name === 'value' ? [] : formatted(item)));
}

type Button = {
  readonly action_id: string;
  readonly text: { readonly text: string };
  readonly value?: string;
  readonly url?: string;
  readonly confirm?: unknown;
};

const isButton = (element: unknown): element is Button => isFields(element) && element.type === 'button';

export function buttonsOf(blocks: readonly Block[]): Button[] {
  return blocks.flatMap((block) =>
    block.type === 'actions' && Array.isArray(block.elements) ? block.elements.filter(isButton) : [],
  );
}

/** All words a reader sees in the blocks, in order. */
export function wordsOf(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(wordsOf);
  if (!isFields(value)) return [];
  return Object.entries(value).flatMap(([name, item]) => {
    if (name === 'confirm' || name === 'value') return [];
    return name === 'text' && typeof item === 'string' ? [item] : wordsOf(item);
  });
}
