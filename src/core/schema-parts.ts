/** What grammars of `sluice.yaml` are made of. Each part's message says what to write instead. */
import { z } from 'zod';
import { type RawIssue, wanted } from './config-errors.ts';

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
const LONGEST_MS = 30 * 24 * 3_600_000;

function toMs(duration: string): number {
  const [, amount = '', unit = ''] = /^(\d+)(ms|s|m|h)$/.exec(duration) ?? [];
  return Number(amount) * (UNIT_MS[unit] ?? Number.NaN);
}

export const object = <Shape extends z.ZodRawShape>(what: string, shape: Shape) =>
  z.strictObject(shape, {
    // For an unknown key the message is the list of known ones: `describe` makes one line of each key.
    error: (issue: RawIssue) =>
      issue.code === 'unrecognized_keys' ? Object.keys(shape).join(' ') : wanted(what)(issue),
  });

export const text = (what: string, pattern: RegExp) => {
  const error = wanted(what);
  return z.string({ error }).regex(pattern, { error }).describe(what);
};

export const integer = (what: string, min: number, max: number) => {
  const error = wanted(`${what} from ${min} to ${max}`);
  return z.int({ error }).min(min, { error }).max(max, { error }).describe(what);
};

export const flag = () => z.boolean({ error: wanted('true or false') });

export const duration = (what: string, min = 0) => {
  const error = wanted(what);
  const known = z
    .string({ error })
    .regex(/^\d+(ms|s|m|h)$/, { error })
    .describe(what);
  return known.transform(toMs).refine((ms) => ms >= min && ms <= LONGEST_MS, {
    error: `write ${what}, at least ${min / 1000}s and at most 720h`,
  });
};

export const list = <Item extends z.ZodType>(what: string, item: Item) =>
  z.array(item, { error: wanted(`a list of ${what}`) });

export function isRegex(source: string): boolean {
  try {
    new RegExp(source);
    return true;
  } catch {
    return false;
  }
}
