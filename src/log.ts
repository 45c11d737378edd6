/** Structured log lines on standard output. No token ever reaches it. */
import { type DestinationStream, destination, type Logger, pino, stdTimeFunctions } from 'pino';
import type { Log } from './app/ports.ts';

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
];

/** Secrets that are known by their shape, wherever they stand: in an error's message, a URL, a stack. */
const SECRETS: readonly (readonly [RegExp, string])[] = [
  [/\b(xox[a-z](?:\.xox[a-z])?-|xapp-)[\w-]+/g, '$1…'],
  [/\b(Bearer|Basic)(\s+)[\w.~+/=-]{16,}/gi, '$1$2…'],
  [/\beyJ[\w-]+\.[\w-]+\.[\w-]+/g, '…'],
  [/:\/\/[^\s/@"]*:[^\s/@"]+@/g, '://…@'],
  [/(hooks\.slack\.com\/)[^\s"\\]+/g, '$1…'],
];

export function maskSecrets(line: string): string {
  return SECRETS.reduce((masked, [pattern, mask]) => masked.replace(pattern, mask), line);
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
