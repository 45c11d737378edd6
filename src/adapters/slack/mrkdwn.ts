/**
 * Small pieces of Slack text. Whatever a person, the cluster or the configuration wrote goes through `plain` (in mrkdwn)
 * or `line` (where Slack takes it literally): it can neither ping nor link, nor push a button out of the message.
 */
import type { Actor } from '../../core/plan.ts';

/** Cut text ends in an ellipsis, so that readers see it is cut. */
export function cut(text: string, max: number): string {
  if (text.length <= max) return text;
  const head = text.slice(0, max - 1);
  // Half a surrogate pair would make the whole message invalid JSON for Slack.
  return `${/[\uD800-\uDBFF]$/.test(head) ? head.slice(0, -1) : head}…`;
}

/** Invisible characters and those that turn the direction of writing: they could turn a sentence around. */
const HIDDEN = /[\u061C\u200B-\u200F\u202A-\u202E\u2060\u2066-\u2069\uFEFF]/g;

/** One line of what somebody else wrote. */
export function line(text: string, max: number): string {
  return cut(
    text
      .replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ')
      .replace(HIDDEN, '')
      .trim(),
    max,
  );
}

const ESCAPES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;' };

/** Slack's three escapes, and nothing else: https://docs.slack.dev/messaging/formatting-message-text */
function escaped(text: string): string {
  return text.replace(/[&<>]/g, (found) => ESCAPES[found] ?? found);
}

/** Foreign text inside mrkdwn. `max` counts characters as typed; escaping makes each at most five. */
export function plain(text: string, max: number): string {
  return escaped(line(text, max));
}

/** Foreign text as inline code; a backtick inside would end it. */
export function code(text: string, max: number): string {
  return `\`${plain(text.replaceAll('`', "'"), max) || ' '}\``;
}

/** Somebody's own words, set apart. */
export function quote(text: string, max: number): string {
  return `>${plain(text, max)}`;
}

/** A block to copy from. */
export function codeBlock(text: string, max: number): string {
  const safe = text
    .replaceAll('```', "'''")
    .replace(/[\p{Cc}--[\n]]/gv, ' ')
    .replace(HIDDEN, '');
  return `\`\`\`${escaped(cut(safe, max))}\`\`\``;
}

/** How messages are posted: nothing a person typed is linked, and no link is unfolded. */
export const LITERAL = { parse: 'none', link_names: false, unfurl_links: false, unfurl_media: false } as const;

/** Shown in each reader's own time zone. */
export function date(ms: number): string {
  return `<!date^${Math.floor(ms / 1000)}^{date_short_pretty} at {time}|${utc(ms)}>`;
}

/** `14:05 UTC`, for text that Slack does not format. */
export function utc(ms: number): string {
  return `${new Date(ms).toISOString().slice(11, 16)} UTC`;
}

const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1000],
] as const;

/** The two largest units: `1 h 5 min`, `40 s`. */
export function duration(ms: number): string {
  let rest = Math.max(0, Math.round(ms / 1000) * 1000);
  const parts: string[] = [];
  for (const [name, size] of UNITS) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count > 0) parts.push(`${count} ${name}`);
  }
  return parts.slice(0, 2).join(' ') || '0 s';
}

/** Ends with a full stop; what has an end keeps it. */
export function ended(text: string): string {
  return /[.!?…]$/.test(text) ? text : `${text}.`;
}

export function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** Decoration only: the number always stands beside it. */
export function bar(percent: number): string {
  const filled = Math.max(0, Math.min(10, Math.round(percent / 10)));
  return '▓'.repeat(filled) + '░'.repeat(10 - filled);
}

/** A name without a ping. */
export function who(actor: Actor): string {
  if (actor.kind === 'system') return 'Sluice';
  return actor.kind === 'person' ? `@${plain(actor.name, 80)}` : plain(actor.name, 80);
}

/** User and group ids as Slack mentions; posted where everybody reads, this notifies. */
export function mention(id: string): string {
  if (/^S[A-Z0-9_]+$/.test(id)) return `<!subteam^${id}>`;
  return /^[UW][A-Z0-9_]+$/.test(id) ? `<@${id}>` : plain(id, 80);
}

/** `a`, `a or b`, `a, b or c`; a long list ends in a count. */
export function either(items: readonly string[], max = 3): string {
  const shown = items.length > max ? [...items.slice(0, max), `${items.length - max} more`] : [...items];
  const last = shown.pop();
  if (last === undefined) return 'nobody';
  return shown.length > 0 ? `${shown.join(', ')} or ${last}` : last;
}

export function count(n: number, one: string, many = `${one}s`): string {
  return `${n.toLocaleString('en-US')} ${n === 1 ? one : many}`;
}
