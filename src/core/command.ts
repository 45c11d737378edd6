/**
 * What people type after `/deploy` or `@sluice`. The grammar is strict: what is not understood is an error that names the
 * word and what was probably meant, and nothing is run on a guess.
 */
import { nearest } from './suggest.ts';
import { splitWords, type Word, type WordsError } from './words.ts';

export type Command =
  | {
      readonly kind: 'deploy';
      readonly service: string;
      readonly version: string;
      readonly strategy: string | null;
      readonly reason: string | null;
      readonly dryRun: boolean;
      readonly redeploy: boolean;
    }
  /** `target`: a service or a rollout's id; null: the thread's rollout. */
  | { readonly kind: 'abort'; readonly target: string | null; readonly reason: string | null }
  /** `version` null: the last successful one before the live one. */
  | {
      readonly kind: 'rollback';
      readonly service: string | null;
      readonly version: string | null;
      readonly reason: string | null;
    }
  | { readonly kind: 'status'; readonly target: string | null }
  /** `service` null: the thread's. */
  | { readonly kind: 'history'; readonly service: string | null }
  | { readonly kind: 'approve'; readonly reason: string | null }
  | { readonly kind: 'list' }
  | { readonly kind: 'help' };

/** `usage` is the line of the command that was understood; `near` what was probably meant. */
export type CommandError =
  | { readonly kind: 'missing service'; readonly usage: string }
  /** `near`: the command that `service` resembles (`abrot`). */
  | {
      readonly kind: 'missing version';
      readonly service: string | null;
      readonly near: string | null;
      readonly usage: string;
    }
  | { readonly kind: 'extra word'; readonly given: string; readonly near: string | null; readonly usage: string }
  /** `--reason fix login`: the value needs quotes. */
  | { readonly kind: 'unquoted value'; readonly flag: string; readonly given: string }
  | {
      readonly kind: 'unknown flag';
      readonly given: string;
      readonly near: string | null;
      readonly known: readonly string[];
    }
  | { readonly kind: 'duplicate flag'; readonly flag: string }
  | { readonly kind: 'missing value'; readonly flag: string }
  /** `--dry-run=yes` */
  | { readonly kind: 'unexpected value'; readonly flag: string; readonly given: string }
  | WordsError;

export type Parsed =
  | { readonly ok: true; readonly command: Command }
  | { readonly ok: false; readonly error: CommandError };

/** True: the flag takes a value. */
const FLAGS = { '--reason': true, '--dry-run': false, '--redeploy': false } as const;
type Flag = keyof typeof FLAGS;
type Flags = { readonly [flag in Flag]?: string };

type Row = {
  readonly name: string;
  /** What is typed after `/deploy`. */
  readonly usage: string;
  readonly summary: string;
  /** Said in a rollout's thread only, by `@sluice`. */
  readonly threadOnly?: boolean;
  readonly flags: readonly Flag[];
  readonly maxWords: number;
  build(words: readonly string[], flags: Flags): Command | Failed;
};

type Failed = Extract<Parsed, { ok: false }>;

const DEPLOY: Row = {
  name: 'deploy',
  usage: '<service> <version> [strategy] [--reason "…"] [--dry-run] [--redeploy]',
  summary: 'start a rollout',
  flags: ['--reason', '--dry-run', '--redeploy'],
  maxWords: 3,
  build([service, version, strategy], flags) {
    const usage = usageOf('deploy');
    if (service === undefined) return fail({ kind: 'missing service', usage });
    if (version === undefined) return fail({ kind: 'missing version', service, near: nearest(service, NAMES), usage });
    const dryRun = flags['--dry-run'] !== undefined;
    const redeploy = flags['--redeploy'] !== undefined;
    return {
      kind: 'deploy',
      service,
      version,
      strategy: strategy ?? null,
      reason: reasonOf(flags),
      dryRun,
      redeploy,
    };
  },
};

/** Every command there is; help is rendered from it. Words without a known verb mean the first. */
export const COMMANDS: readonly Row[] = [
  DEPLOY,
  {
    name: 'plan',
    usage: 'plan <service> <version> [strategy]',
    summary: 'every step and write of a rollout, nothing is touched',
    flags: [],
    maxWords: 3,
    build([service, version, strategy = null]) {
      const usage = usageOf('plan');
      if (service === undefined) return fail({ kind: 'missing service', usage });
      if (version === undefined) return fail({ kind: 'missing version', service, near: null, usage });
      return { kind: 'deploy', service, version, strategy, reason: null, dryRun: true, redeploy: true };
    },
  },
  {
    name: 'history',
    usage: 'history <service>',
    summary: 'what served, and what can be gone back to',
    flags: [],
    maxWords: 1,
    build: ([service = null]) => ({ kind: 'history', service }),
  },
  {
    name: 'status',
    usage: 'status [service|id]',
    summary: 'what runs, at which step, and what is live',
    flags: [],
    maxWords: 1,
    build: ([target = null]) => ({ kind: 'status', target }),
  },
  {
    name: 'list',
    usage: 'list',
    summary: 'all running rollouts',
    flags: [],
    maxWords: 0,
    build: () => ({ kind: 'list' }),
  },
  {
    name: 'abort',
    usage: 'abort <service|id> [--reason "…"]',
    summary: 'stop a rollout now, all traffic to stable',
    flags: ['--reason'],
    maxWords: 1,
    build: ([target = null], flags) => ({ kind: 'abort', target, reason: reasonOf(flags) }),
  },
  {
    name: 'rollback',
    usage: 'rollback <service> [to <version>] [--reason "…"]',
    summary: 'go back to a previous version',
    flags: ['--reason'],
    maxWords: 3,
    build(words, flags) {
      const usage = usageOf('rollback');
      // In a thread the service may be left out; `to to v1` is the service named "to".
      const inThread = words[0] === 'to' && words[1] !== 'to';
      const service = inThread ? null : (words[0] ?? null);
      const [to, version = null, extra] = inThread ? words : words.slice(1);
      if (to !== undefined && to !== 'to') return fail({ kind: 'extra word', given: to, near: `to ${to}`, usage });
      if (to !== undefined && version === null) return fail({ kind: 'missing version', service, near: null, usage });
      if (extra !== undefined) return fail({ kind: 'extra word', given: extra, near: null, usage });
      return { kind: 'rollback', service, version, reason: reasonOf(flags) };
    },
  },
  {
    name: 'approve',
    usage: 'approve [--reason "…"]',
    summary: 'approve the open gate of the thread',
    threadOnly: true,
    flags: ['--reason'],
    maxWords: 0,
    build: (_, flags) => ({ kind: 'approve', reason: reasonOf(flags) }),
  },
  {
    name: 'help',
    usage: 'help',
    summary: 'this text',
    flags: [],
    maxWords: 0,
    build: () => ({ kind: 'help' }),
  },
];

const NAMES = COMMANDS.map((row) => row.name);

const usageOf = (name: string) => COMMANDS.find((row) => row.name === name)?.usage ?? '';
const reasonOf = (flags: Flags) => flags['--reason'] ?? null;

/** Never throws; nothing in a command contains a control character. Empty text asks for help. */
export function parseCommand(text: string): Parsed {
  const split = splitWords(text);
  if (!split.ok) return split;
  const [first, ...rest] = split.words;
  if (first === undefined) return { ok: true, command: { kind: 'help' } };
  if (isBare(first, '--')) return read(DEPLOY, rest);
  // Phones write the first letter as a capital; no service has one.
  const row = COMMANDS.find(({ name }) => isBare(first, name));
  return row ? read(row, rest) : read(DEPLOY, split.words);
}

const isBare = (word: Word, name: string) => !word.quoted && word.text.toLowerCase() === name;
const isFlag = (word: Word) => !word.quoted && word.text.startsWith('-');
const fail = (error: CommandError) => ({ ok: false, error }) as const;

function read(row: Row, words: readonly Word[]): Parsed {
  const operands: string[] = [];
  const flags: { [flag in Flag]?: string } = {};
  /** Flag whose value just ended without a quote: another word then belongs to it or not, so it is asked for quotes. */
  let open: Flag | null = null;
  const left = words.values();
  for (const word of left) {
    if (!isFlag(word)) {
      if (open) return fail({ kind: 'unquoted value', flag: open, given: word.text });
      operands.push(word.text);
      continue;
    }
    open = null;
    const flag = row.flags.find((known) => known === word.text);
    if (!flag) {
      return fail({ kind: 'unknown flag', given: word.text, near: nearest(word.text, row.flags), known: row.flags });
    }
    if (flags[flag] !== undefined) return fail({ kind: 'duplicate flag', flag });
    const value = word.joined || FLAGS[flag] ? left.next().value : undefined;
    if (!FLAGS[flag]) {
      if (value) return fail({ kind: 'unexpected value', flag, given: value.text });
      flags[flag] = '';
      continue;
    }
    if (!value?.text || (!word.joined && isFlag(value))) return fail({ kind: 'missing value', flag });
    flags[flag] = value.text;
    if (!value.quoted) open = flag;
  }
  const extra = operands[row.maxWords];
  if (extra !== undefined) {
    return fail({ kind: 'extra word', given: extra, near: nearest(`--${extra}`, row.flags), usage: row.usage });
  }
  const built = row.build(operands, flags);
  return 'ok' in built ? built : { ok: true, command: built };
}
