/** The commands there are; help is rendered from them. */
import process from 'node:process';
import { parseArgs } from 'node:util';
import { loadConfig, settled } from '../config.ts';
import { nearest } from '../core/suggest.ts';
import { DONE, type Flags, MISUSED, say, type Words } from './io.ts';
import { columns } from './text.ts';

type Row = {
  readonly name: string;
  readonly usage: string;
  readonly summary: string;
  readonly words: { readonly least: number; readonly most: number };
  readonly takesReason?: true;
  readonly takesLog?: true;
  readonly run: (words: Words, flags: Flags) => Promise<number>;
};

// Loaded when asked for: the client of Kubernetes takes longer than most commands do.
const COMMANDS: readonly Row[] = [
  {
    name: 'validate',
    usage: 'validate [file]',
    summary: 'checks sluice.yaml',
    words: { least: 0, most: 1 },
    run: validate,
  },
  {
    name: 'plan',
    usage: 'plan <service> <version> [strategy]',
    summary: 'every step and write of a rollout; touches nothing',
    words: { least: 2, most: 3 },
    run: async (words) => (await import('./plan.ts')).plan(words),
  },
  {
    name: 'status',
    usage: 'status [service|id]',
    summary: 'what runs, at which step',
    words: { least: 0, most: 1 },
    run: async (words) => (await import('./status.ts')).status(words),
  },
  {
    name: 'approve',
    usage: 'approve <service|id> [--reason "…"]',
    summary: 'approves the open gate',
    words: { least: 1, most: 1 },
    takesReason: true,
    run: async (words, flags) => (await import('./decide.ts')).approve(words, flags),
  },
  {
    name: 'abort',
    usage: 'abort <service|id> [--reason "…"]',
    summary: 'all traffic to stable now; works while Slack or Redis is down',
    words: { least: 1, most: 1 },
    takesReason: true,
    run: async (words, flags) => (await import('./decide.ts')).abort(words, flags),
  },
  {
    name: 'audit',
    usage: 'audit verify [id] [--log <file>] | audit export <id>',
    summary: 'whether what was recorded is whole and unchanged; the events of a rollout as JSON lines',
    words: { least: 1, most: 2 },
    takesLog: true,
    run: async (words, flags) => (await import('./audit.ts')).audit(words, flags),
  },
  {
    name: 'doctor',
    usage: 'doctor',
    summary: 'looks at all that a rollout needs, and says what is wrong; touches nothing',
    words: { least: 0, most: 0 },
    run: async () => (await import('./doctor.ts')).doctor(),
  },
];

/** Answers with the exit code: 0 done, 1 refused or failed, 2 not understood. */
export async function run(args: readonly string[]): Promise<number> {
  let parsed: ReturnType<typeof parse>;
  try {
    parsed = parse(args);
  } catch (error) {
    return misused(error instanceof Error ? (error.message.split('. ')[0] ?? '') : String(error));
  }
  const { positionals, values } = parsed;
  const [name, ...words] = positionals;
  if (name === undefined || name === 'help') return say(usage(), DONE);
  const row = COMMANDS.find((one) => one.name === name);
  if (!row) {
    const near = nearest(
      name,
      COMMANDS.map((one) => one.name),
    );
    return misused(`there is no command ${name}${near === null ? '' : `; did you mean ${near}?`}`);
  }
  if (values.help) return say(usage([row]), DONE);
  if (words.length < row.words.least) return misused(`${name}: something is missing`, row);
  if (words.length > row.words.most) return misused(`${name}: ${words[row.words.most]} is one word too many`, row);
  if (values.reason !== undefined && !row.takesReason) return misused(`${name} takes no --reason`, row);
  if (values.log !== undefined && !row.takesLog) return misused(`${name} takes no --log`, row);
  return row.run(words, { log: values.log ?? null, reason: values.reason?.trim() || null });
}

function parse(args: readonly string[]) {
  const options = {
    help: { type: 'boolean', short: 'h' },
    reason: { type: 'string' },
    log: { type: 'string' },
  } as const;
  return parseArgs({ args: [...args], options, allowPositionals: true });
}

const misused = (what: string, row?: Row) => say(`${what}\n\n${usage(row ? [row] : COMMANDS)}`, MISUSED);

function usage(rows: readonly Row[] = COMMANDS): string {
  const lines = columns(rows.map((row) => [row.usage, row.summary]));
  return ['npm run sluice -- <command>', ...lines].join('\n');
}

async function validate([file]: Words): Promise<number> {
  const path = file ?? (process.env.SLUICE_CONFIG || 'sluice.yaml');
  const { config } = settled(await loadConfig(path), path);
  return say(`${path} is valid: ${Object.keys(config.services).join(', ')}`, DONE);
}
