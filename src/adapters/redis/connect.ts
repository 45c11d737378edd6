/** Connections to Redis: bounded calls, reconnecting for ever, one log line when the state changes. */
import { Redis, type RedisOptions } from 'ioredis';
import type { Log } from '../../app/ports.ts';

type Options = Omit<RedisOptions, 'replyMapping'>;

const RECONNECT: Options = {
  retryStrategy: (times) => Math.min(50 * 2 ** Math.min(times, 6), 2_000),
  connectTimeout: 2_000,
};

/** For blocking reads: calls wait through any outage. */
export const PATIENT: Options = { ...RECONNECT, maxRetriesPerRequest: null, socketTimeout: 20_000 };

/**
 * Every call ends within `timeoutMs`. While disconnected calls fail at once, and none is sent again after a reconnect: what
 * failed must not happen later behind the caller's back.
 */
export function connectBounded(
  url: string,
  name: string,
  log: Log,
  timeoutMs: number,
  scripts: Options['scripts'] = {},
): Redis {
  const redis = connect(url, name, log, {
    ...RECONNECT,
    scripts,
    commandTimeout: timeoutMs,
    // A peer that vanished without a FIN leaves a connection that looks alive for minutes.
    socketTimeout: 2 * timeoutMs,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
  });
  // Only the first calls may wait for the connection (within their time), so that a start needs no waiting of its own.
  redis.once('ready', () => {
    redis.options.enableOfflineQueue = false;
  });
  return redis;
}

/** `name` says in the log which connection it is. */
export function connect(url: string, name: string, log: Log, options: Options): Redis {
  const redis = new Redis(url, options);
  let last = '';
  redis.on('error', (error: Error) => {
    // One outage brings the same error again with every try.
    if (error.message !== last) log.warn({ err: error, connection: name }, 'Redis connection failed');
    last = error.message;
  });
  redis.on('ready', () => {
    last = '';
    log.info({ connection: name }, 'Redis connected');
  });
  return redis;
}

/** Lets pending calls end, within their own timeout. */
export async function disconnect(redis: Redis): Promise<void> {
  await redis.quit().catch(() => redis.disconnect());
}
