/** What the operator sets: environment variables, and the file `sluice.yaml`. */
import { readFile } from 'node:fs/promises';
import { isMap, isScalar, isSeq, LineCounter, parseDocument } from 'yaml';
import { z } from 'zod';
import { readRedisUrl } from './adapters/redis/address.ts';
import { FORBIDDEN_HOST, isForbiddenHost } from './core/address.ts';
import { type ParsedConfig, parseConfig } from './core/parse-config.ts';

export type ReadEnv<T> =
  | { readonly ok: true; readonly env: T }
  /** One line each: variable and remedy. Never a value, which may be a secret. */
  | { readonly ok: false; readonly errors: readonly string[] };

const remedy = (text: string) => ({ error: text });
const matching = (pattern: RegExp, text: string) => z.string(remedy(text)).regex(pattern, remedy(text));
const url = (protocols: RegExp, text: string) =>
  z.string(remedy(text)).refine((value) => protocols.test(URL.parse(value)?.protocol ?? ''), remedy(text));

function problemOfRedis(url: string): string | null {
  const read = readRedisUrl(url);
  return read.ok ? null : read.problem;
}

/** What the command line needs: no Slack. */
const ToolEnv = z.object({
  REDIS_URL: z.string(remedy(problemOfRedis('') ?? '')).superRefine((value, context) => {
    const message = problemOfRedis(value);
    if (message !== null) context.addIssue({ code: 'custom', message });
  }),
  KUBECONFIG: z.string().optional(),
  SLUICE_CONFIG: z.string().default('sluice.yaml'),
  LOG_LEVEL: z
    .enum(
      ['trace', 'debug', 'info', 'warn', 'error', 'silent'],
      remedy('set it to trace, debug, info, warn, error or silent'),
    )
    .default('info'),
});

const BotEnv = ToolEnv.extend({
  SLACK_BOT_TOKEN: matching(
    /^(xoxe\.)?xoxb-[\w-]+$/,
    'set it to the bot token (xoxb-…) from "OAuth & Permissions" on the app\'s pages at api.slack.com',
  ),
  SLACK_SIGNING_SECRET: matching(/^\S+$/, 'set it to the signing secret from "Basic Information"').optional(),
  SLACK_APP_TOKEN: matching(
    /^xapp-[\w-]+$/,
    'set it to an app-level token (xapp-…) with connections:write, or leave it out to use signed HTTP',
  ).optional(),
  SLACK_API_URL: url(/^https?:$/, 'set it to the address of a local Slack, or leave it out')
    .refine((address) => !isForbiddenHost(address), remedy(FORBIDDEN_HOST))
    .optional(),
  PORT: z
    .string()
    .regex(/^\d{1,5}$/, remedy('set it to a port from 0 to 65535'))
    .transform(Number)
    .refine((port) => port <= 65_535, remedy('set it to a port from 0 to 65535'))
    .default(3000),
}).refine((env) => env.SLACK_APP_TOKEN !== undefined || env.SLACK_SIGNING_SECRET !== undefined, {
  path: ['SLACK_APP_TOKEN'],
  error: 'set it (Socket Mode), or SLACK_SIGNING_SECRET (signed HTTP): Slack cannot reach Sluice without one of them',
  // Told together with everything else that is missing.
  when: () => true,
});

export type ToolEnv = z.output<typeof ToolEnv>;
export type BotEnv = z.output<typeof BotEnv>;

type Variables = Readonly<Record<string, string | undefined>>;

export const readToolEnv = (variables: Variables): ReadEnv<ToolEnv> => read(ToolEnv, variables);
export const readBotEnv = (variables: Variables): ReadEnv<BotEnv> => read(BotEnv, variables);

function read<T>(schema: z.ZodType<T>, variables: Variables): ReadEnv<T> {
  // `NAME=` in .env means that it is not set.
  const set = Object.entries(variables).filter(([, value]) => value !== undefined && value.trim() !== '');
  const parsed = schema.safeParse(Object.fromEntries(set));
  if (parsed.success) return { ok: true, env: parsed.data };
  const errors = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
  return { ok: false, errors: [...new Set(errors)] };
}

/** Reads and checks `sluice.yaml`. Each error names the file, and the line and column where the YAML itself is wrong. */
export async function loadConfig(path: string): Promise<ParsedConfig> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    const why =
      error instanceof Error && 'code' in error && error.code === 'ENOENT' ? 'there is no such file' : String(error);
    return { ok: false, errors: [`${path}: ${why}; write it, or set SLUICE_CONFIG to where it is`] };
  }
  const parsed = parseYaml(text);
  const result = parsed.ok ? parseConfig(parsed.value) : parsed;
  return result.ok ? result : { ok: false, errors: result.errors.map((error) => `${path}: ${error}`) };
}

function parseYaml(
  text: string,
): { readonly ok: true; readonly value: unknown } | Extract<ParsedConfig, { ok: false }> {
  const lines = new LineCounter();
  // Its own look for keys that come twice compares each with each: minutes, with tens of thousands of services.
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: false });
  const wrong = [
    ...document.errors.map(({ message, pos }) => ({ message, at: pos[0] })),
    ...repeatedKeys(document.contents),
  ];
  const errors = wrong.map(({ message, at }) => {
    const { line, col } = lines.linePos(at);
    return `line ${line}, column ${col}: ${message}`;
  });
  if (errors.length > 0) return { ok: false, errors };
  try {
    return { ok: true, value: document.toJS() };
  } catch (error) {
    // Aliases that name nothing, or too many of them.
    return { ok: false, errors: [error instanceof Error ? error.message : String(error)] };
  }
}

function repeatedKeys(node: unknown): readonly { readonly message: string; readonly at: number }[] {
  if (isSeq(node)) return node.items.flatMap(repeatedKeys);
  if (!isMap(node)) return [];
  const seen = new Set<unknown>();
  return node.items.flatMap(({ key, value }) => {
    const name = isScalar(key) ? key.value : key;
    const own =
      seen.has(name) && isScalar(key) ? [{ message: 'Map keys must be unique', at: key.range?.[0] ?? 0 }] : [];
    seen.add(name);
    return [...own, ...repeatedKeys(value)];
  });
}

type Settled<T> = Extract<T, { readonly ok: true }>;

/** What the operator set, or one error that lists everything that is wrong with it. */
export function settled<T extends { readonly ok: true } | { readonly ok: false; readonly errors: readonly string[] }>(
  read: T,
  what: string,
): Settled<T> {
  if (read.ok) return read as Settled<T>;
  throw new Error(
    `Sluice cannot start, nothing was touched (${what}):\n${read.errors.map((error) => `  ${error}`).join('\n')}`,
  );
}
