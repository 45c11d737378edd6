/** Structured log lines on standard output. No token ever reaches it. */
import process from 'node:process';
import { type DestinationStream, destination, type Logger, pino, stdTimeFunctions } from 'pino';
import type { Log } from './app/ports/log.ts';

/** Secrets that only their field's name gives away. */
const SECRET_FIELDS = [
  'token',
  'password',
  'secret',
  'authorization',
  'Authorization',
  'botToken',
  'appToken',
  'signingSecret',
  'responseUrl',
  'response_url',
  // Of an error of Redis: what it was asked, passwords included.
  'command',
];

/** Secrets that are known by their shape, wherever they stand: in an error's message, a URL, a stack. */
const SECRETS: readonly (readonly [RegExp, string])[] = [
  [/\b(xox[a-z](?:\.xox[a-z])?-|xapp-)[\w-]+/g, '$1…'],
  [/\b(Bearer|Basic)(\s+)[\w.~+/=-]{16,}/gi, '$1$2…'],
  [/\beyJ[\w-]+\.[\w-]+\.[\w-]+/g, '…'],
  [/:\/\/[^\s/@"]*:[^\s/@"]+@/g, '://…@'],
  [/(hooks\.slack\.com\/)[^\s"\\]+/g, '$1…'],
];

/** A shorter one may be any word. */
const SECRET_LENGTH = 8;

/** The values of what the environment keeps secret, each also as it is written in JSON. */
export function secretsIn(variables: Readonly<Record<string, string | undefined>>): readonly string[] {
  const { SLACK_BOT_TOKEN, SLACK_APP_TOKEN, SLACK_SIGNING_SECRET, REDIS_URL = '' } = variables;
  const passwords = [...REDIS_URL.matchAll(/:\/\/[^/?@:]*:([^/?@]+)@|[?&]sentinelPassword=([^&]+)/g)].flatMap(
    ([, password = '', sentinel = '']) => [password, sentinel].flatMap((text) => [text, decoded(text)]),
  );
  const values = [SLACK_BOT_TOKEN, SLACK_APP_TOKEN, SLACK_SIGNING_SECRET, ...passwords];
  const secrets = values.flatMap((value) => (value ? [value, JSON.stringify(value).slice(1, -1)] : []));
  return [...new Set(secrets)].filter(({ length }) => length >= SECRET_LENGTH);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** This process's own. */
const OWN = secretsIn(process.env);

export function maskSecrets(line: string, known: readonly string[] = OWN): string {
  const shaped = SECRETS.reduce((masked, [pattern, mask]) => masked.replace(pattern, mask), line);
  return known.reduce((masked, secret) => masked.replaceAll(secret, '…'), shaped);
}

/** `to`: where the lines go, standard output by default. */
export function createLog({
  level,
  to = destination(1),
}: {
  readonly level: string;
  readonly to?: DestinationStream;
}): Log {
  const logger = pino(
    {
      level,
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: SECRET_FIELDS.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]), censor: '…' },
    },
    { write: (line) => to.write(maskSecrets(line)) },
  );
  return logOf(logger);
}

function logOf(logger: Logger): Log {
  return {
    child: (fields) => logOf(logger.child(fields)),
    debug: (fields, message) => logger.debug(fields, message),
    info: (fields, message) => logger.info(fields, message),
    warn: (fields, message) => logger.warn(fields, message),
    error: (fields, message) => logger.error(fields, message),
  };
}
