/** Connections to Redis: bounded calls, reconnecting for ever, one log line when the state changes. */
import { Cluster, type ClusterOptions, type Command, Redis, type RedisOptions, ReplyError } from 'ioredis';
import type { Log } from '../../app/ports/log.ts';
import { redisAddress } from './address.ts';

export type RedisClient = Redis | Cluster;
type Options = Omit<RedisOptions, 'replyMapping' | 'scripts' | 'retryStrategy' | 'reconnectOnError'>;
type Scripts = NonNullable<ClusterOptions['scripts']>;

const SENTINEL_TIMEOUT_MS = 1_000;
/** A replica that took over is found at once by its first refusal; this is for what nobody asks. */
const SLOTS_EVERY_MS = 5_000;
/** BullMQ waits for 10 s at most for an answer; who is silent for longer is gone. */
const SILENT_MS = 12_000;
const OLDEST = 'redis_version:6.2.0';
/** ioredis: connect again, with or without sending the command once more. */
const RECONNECT = { andFail: 1, andRepeat: 2 } as const;

const retryStrategy = (times: number) => Math.min(50 * 2 ** Math.min(times, 6), 2_000);

/**
 * Every call ends within `timeoutMs`. While disconnected calls fail at once, and none is sent again after a reconnect: what
 * failed must not happen later behind the caller's back.
 */
export function connectBounded(
  url: string,
  name: string,
  log: Log,
  timeoutMs: number,
  scripts: Scripts = {},
): RedisClient {
  const options: Options = {
    commandTimeout: timeoutMs,
    // A peer that vanished without a FIN leaves a connection that looks alive for minutes.
    socketTimeout: 2 * timeoutMs,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
  };
  const redis = open(url, options, RECONNECT.andFail, scripts, {
    // A refused command is told to the caller, who decides again; only one that was sent to the wrong node goes on.
    retryDelayOnFailover: 0,
    retryDelayOnClusterDown: 0,
    retryDelayOnTryAgain: 20,
    maxRedirections: 8,
  });
  bound(redis, timeoutMs);
  observe(redis, name, log);
  // Only the first calls may wait for the connection (within their time), so that a start needs no waiting of its own.
  redis.once('ready', () => {
    void nodesReady(redis).then(() => {
      redis.options.enableOfflineQueue = false;
    });
  });
  return redis;
}

/** For blocking reads: calls wait through any outage. `close` also ends the connections that were copied from it. */
export function connectPatient(
  url: string,
  name: string,
  log: Log,
): { readonly connection: RedisClient; close(): void } {
  const connection = open(url, { maxRetriesPerRequest: null, socketTimeout: SILENT_MS }, RECONNECT.andRepeat);
  observe(connection, name, log);
  tellVersion(connection);
  const all: RedisClient[] = [connection];
  const keep = <T extends RedisClient>(copy: T): T => {
    tellVersion(copy);
    all.push(copy);
    return copy;
  };
  if (connection instanceof Cluster) {
    const duplicate = connection.duplicate.bind(connection);
    connection.duplicate = (...given) => keep(duplicate(...given));
  } else {
    const duplicate = connection.duplicate.bind(connection);
    connection.duplicate = (override) => keep(duplicate(override));
  }
  return {
    connection,
    close() {
      for (const one of all) one.disconnect();
    },
  };
}

/** A worker of BullMQ begins with INFO and never works where that is refused: there it is told the oldest that will do. */
function tellVersion(redis: RedisClient): void {
  const info: (...given: never[]) => Promise<string> = redis.info.bind(redis);
  const forgiving = (...given: never[]) => {
    const answer = info(...given);
    // ioredis itself asks with a callback.
    if (given.length > 0) return answer;
    return answer.catch((error: unknown) => {
      if (error instanceof ReplyError) return OLDEST;
      throw error;
    });
  };
  Object.assign(redis, { info: forgiving });
}

function open(
  url: string,
  options: Options,
  onReplica: 1 | 2,
  scripts: Scripts = {},
  cluster: ClusterOptions = {},
): RedisClient {
  const address = redisAddress(url);
  const common = { ...options, connectTimeout: 2_000 };
  const single = {
    ...common,
    scripts,
    retryStrategy,
    // The server became a replica while this connection lived: another one is the primary now.
    reconnectOnError: (error: Error) => (error.message.startsWith('READONLY') ? onReplica : false),
  };
  if (address.kind === 'server') return new Redis(address.url, single);
  const { username, password, tls } = address;
  const access = {
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    ...(tls && { tls: {} }),
  };
  if (address.kind === 'sentinel') {
    const { sentinels, master, db, sentinelUsername, sentinelPassword } = address;
    return new Redis({
      ...single,
      ...access,
      sentinels: [...sentinels],
      name: master,
      db,
      sentinelRetryStrategy: retryStrategy,
      sentinelCommandTimeout: SENTINEL_TIMEOUT_MS,
      ...(sentinelUsername !== undefined && { sentinelUsername }),
      ...(sentinelPassword !== undefined && { sentinelPassword }),
      ...(tls && { enableTLSForSentinelMode: true, sentinelTLS: {} }),
      // An old primary that only the Sentinels cannot reach would go on taking writes that are lost.
      failoverDetector: true,
    });
  }
  return new Cluster([...address.nodes], {
    ...cluster,
    scripts,
    clusterRetryStrategy: retryStrategy,
    slotsRefreshInterval: SLOTS_EVERY_MS,
    // Connected before they are needed: a call may not wait for it.
    redisOptions: { ...common, ...access, lazyConnect: false },
    // Certificates name hosts, not addresses.
    ...(tls && { dnsLookup: (host: string, callback: (error: null, address: string) => void) => callback(null, host) }),
  });
}

/** From the call on, wherever it waits; what was given up is not sent any more. */
function bound(redis: RedisClient, timeoutMs: number): void {
  const send: (command: Command, ...more: never[]) => unknown = redis.sendCommand.bind(redis);
  redis.sendCommand = (command: Command, ...more: never[]) => {
    if (command.isSettled) return command.promise;
    command.setTimeout(timeoutMs);
    return send(command, ...more);
  };
}

async function nodesReady(redis: RedisClient): Promise<void> {
  if (!(redis instanceof Cluster)) return;
  await Promise.allSettled(redis.nodes('master').map((node) => node.ping()));
}

/** `name` says in the log which connection it is. */
function observe(redis: RedisClient, name: string, log: Log): void {
  let last = '';
  onTrouble(redis, (error) => {
    // One outage brings the same error again with every try.
    if (error.message !== last) log.warn({ err: error, connection: name }, 'Redis connection failed');
    last = error.message;
  });
  redis.on('ready', () => {
    last = '';
    log.info({ connection: name }, 'Redis connected');
  });
}

/** Told of each connection that fails, also of single nodes of a Redis Cluster. */
export function onTrouble(redis: RedisClient, tell: (error: Error) => void): void {
  if (redis instanceof Cluster) {
    redis.on('node error', tell);
    // Says only that no node could be asked.
    redis.on('error', () => undefined);
    return;
  }
  let unknown = false;
  redis.on('sentinelError', (error: Error) => {
    unknown = error.message.includes('invalid reply');
  });
  redis.on('error', (error: Error) => {
    const nameless = unknown && error.message.startsWith('All sentinels');
    tell(nameless ? new Error('the Sentinels watch no server of this name') : error);
  });
}

/** Lets pending calls end, within their own timeout. */
export async function disconnect(redis: RedisClient): Promise<void> {
  await redis.quit().catch(() => redis.disconnect());
}
