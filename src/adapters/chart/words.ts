/** Numbers and times as they stand in the picture and in its text. */
import type { Check } from '../../core/plan.ts';

const compact = new Intl.NumberFormat('en', { notation: 'compact', maximumSignificantDigits: 6 });
const precise = new Intl.NumberFormat('en', { notation: 'compact', maximumSignificantDigits: 4 });

/** `99.95%`, `512 ms`, `1.25K` */
export function valueWords(value: number, unit: Check['unit']): string {
  if (unit === '%') return `${Number(value.toFixed(2))}%`;
  if (unit === 'ms' && Math.abs(value) >= 100 && Math.abs(value) < 10_000) return `${Math.round(value)} ms`;
  if (unit === 'ms' && Math.abs(value) >= 10_000) return `${precise.format(value / 1000)} s`;
  if (unit === 'ms' && Math.abs(value) >= 1) return `${Number(value.toFixed(1))} ms`;
  return `${precise.format(value)}${unit === '' ? '' : ` ${unit}`}`;
}

/** For an axis whose title has the unit. */
export const tickWords = (value: number) =>
  value !== 0 && Math.abs(value) < 0.001 ? value.toExponential() : compact.format(value);

/** `min 99%`, or both ends. */
export function limitWords({ min, max, unit }: Check): string {
  const ends = [
    min === null ? null : `min ${valueWords(min, unit)}`,
    max === null ? null : `max ${valueWords(max, unit)}`,
  ];
  return ends.filter((end) => end !== null).join(', ');
}

/** `10:41:03`, UTC. */
export const clock = (at: number) => new Date(at).toISOString().slice(11, 19);

/** Cut to what fits. Inter's letters are 0.6 of their size wide on average, capitals and digits a little more. */
export function cutTo(text: string, size: number, width: number): string {
  const room = Math.max(1, Math.floor(width / (size * 0.6)));
  return text.length <= room ? text : `${text.slice(0, room - 1).trimEnd()}…`;
}

export const escapeXml = (text: string) =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
