/**
 * Named places before and after everything that leaves the process, where a test stops it: `before store.save`,
 * `after cluster.patch DestinationRule`, `before ack`, `after slack upload`. Off, and free, unless one of these is set:
 *
 * - `SLUICE_FAILPOINT="before store.save#2:SIGKILL"`: the second time, this signal for the process itself. `:BLOCK:60000`
 *   keeps the event loop busy for so many ms instead. Without `#2` the first time, with `#*` every time. `cluster.patch` alone
 *   is that of any kind of object.
 * - `SLUICE_FAILPOINT_LOG=<file>`: every place that is reached, a line each, written before anything else happens.
 */
import { appendFileSync } from 'node:fs';
import process from 'node:process';
import type { Cluster } from './adapters/kubernetes/cluster.ts';
import type { Chat } from './app/ports/chat.ts';
import type { Queue } from './app/ports/queue.ts';
import type { TrafficRouter } from './app/ports/router.ts';
import type { Lease, Store } from './app/ports/store.ts';
import type { Workload } from './app/ports/workload.ts';
import type { Bot } from './app/requests.ts';

/** What writes, and every call to Slack. What only reads leaves nothing behind that a stop could leave half done. */
const METHODS = {
  store: [
    ...([
      'create',
      'save',
      'requestAbort',
      'take',
      'untake',
      'noteAnswer',
      'drop',
      'markSending',
      'unmarkSending',
    ] as const),
    ...(['sent', 'holdBack', 'schedule', 'takeOverdue', 'lease'] as const),
  ],
  lease: ['begin', 'renew', 'release'],
  router: ['claim', 'setRoute', 'settle', 'reset', 'release', 'blindAbort'],
  workload: ['claim', 'createCanary', 'scaleCanary', 'reapply', 'promote', 'demote', 'raise', 'cleanUp'],
  cluster: ['create', 'patch', 'remove'],
  queue: ['wake', 'wakeAt', 'onTick'],
  chat: ['show', 'find', 'tell', 'channel', 'groupMembers', 'isFullMember'],
} as const satisfies { [Port in keyof Ports]: readonly (keyof Ports[Port])[] };

type Ports = {
  readonly store: Store;
  readonly lease: Lease;
  readonly router: TrafficRouter;
  readonly workload: Workload;
  readonly cluster: Cluster;
  readonly queue: Queue;
  readonly chat: Chat;
};

export type Failpoints = {
  /** The port with a place before and after each call that counts; the same one each time it is asked for. */
  around<Name extends keyof Ports, Port extends Ports[Name]>(name: Name, port: Port): Port;
  /** Each of the calls that an upload consists of. */
  aroundUpload(fetch: Fetch): Fetch;
  /** Between what is recorded and its acknowledgement to Slack, by HTTP and by socket, and right after that. */
  aroundAck(bot: Bot): Bot;
};

type Fetch = typeof globalThis.fetch;

type Settings = { readonly SLUICE_FAILPOINT?: string; readonly SLUICE_FAILPOINT_LOG?: string };

const SETTING = /^(?<place>[^:#]+)(?:#(?<hit>\d+|\*))?:(?:(?<signal>SIG[A-Z0-9]+)|BLOCK:(?<blockMs>\d+))$/;
const NONE: Failpoints = { around: (_, port) => port, aroundUpload: (fetch) => fetch, aroundAck: (bot) => bot };

export function createFailpoints({ SLUICE_FAILPOINT: setting, SLUICE_FAILPOINT_LOG: log }: Settings): Failpoints {
  if (!setting && !log) return NONE;
  const stop = setting ? stopAt(setting) : () => undefined;
  const wrapped = new WeakMap<object, object>();
  const reach = (place: string) => {
    if (log) appendFileSync(log, `${place}\n`);
    stop(place);
  };

  return {
    around(name, port) {
      const known = wrapped.get(port) ?? watched(name, port, reach);
      wrapped.set(port, known);
      // To whoever uses it, the proxy of a port is that port; the map only forgets its type.
      return known as typeof port;
    },
    aroundUpload: (fetch) => async (input, init) => {
      const { pathname } = new URL(input instanceof Request ? input.url : input);
      const [, method] = /\/api\/([\w.]+)$/.exec(pathname) ?? [];
      if (method !== undefined && !method.startsWith('files.')) return fetch(input, init);
      const place = `slack ${method ?? 'upload'}`;
      reach(`before ${place}`);
      const answer = await fetch(input, init);
      reach(`after ${place}`);
      return answer;
    },
    aroundAck: (bot) => ({
      async receive(request) {
        reach('before bot.receive');
        const { after } = await bot.receive(request);
        reach('before ack');
        return {
          after() {
            reach('after ack');
            return after();
          },
        };
      },
    }),
  };
}

type Reach = (place: string) => void;

const watched = <Port extends object>(name: keyof Ports, port: Port, reach: Reach): Port =>
  new Proxy(port, { get: (target, key) => member(name, target, key, reach) });

function member(name: keyof Ports, port: object, key: string | symbol, reach: Reach): unknown {
  const found: unknown = Reflect.get(port, key);
  const isPlace = METHODS[name].some((method) => method === key);
  if (!isPlace || typeof found !== 'function') return found;
  if (key === 'onTick') return (handler: Handler) => Reflect.apply(found, port, [handing(handler, reach)]);
  return async (...given: readonly unknown[]) => {
    const place = [`${name}.${String(key)}`, ...(name === 'cluster' ? kindOf(given[0]) : [])].join(' ');
    reach(`before ${place}`);
    const answer: unknown = await Reflect.apply(found, port, given);
    reach(`after ${place}`);
    // What was lent is called too.
    return key === 'lease' && typeof answer === 'object' && answer !== null ? watched('lease', answer, reach) : answer;
  };
}

type Handler = Parameters<Queue['onTick']>[0];

/** The queue acknowledges when the handler has come to its end. */
const handing =
  (handler: Handler, reach: Reach): Handler =>
  async (id) => {
    reach('before queue.handled');
    await handler(id);
    reach('before queue.ack');
  };

/** What a request to the cluster is about, by its first argument. */
const kindOf = (first: unknown): readonly string[] =>
  typeof first === 'object' && first !== null && 'kind' in first ? [String(first.kind)] : [];

function stopAt(setting: string): (place: string) => void {
  const { place, hit = '1', signal, blockMs } = SETTING.exec(setting)?.groups ?? {};
  if (place === undefined)
    throw new Error(`SLUICE_FAILPOINT="${setting}": expected "<place>#<hit>:<SIGNAL>" or "<place>:BLOCK:<ms>"`);
  let hits = 0;
  return (reached) => {
    const isHere = reached === place || reached.startsWith(`${place} `);
    if (!isHere || (++hits !== Number(hit) && hit !== '*')) return;
    if (signal) process.kill(process.pid, signal);
    // Nothing else runs meanwhile: that is the point.
    for (const end = performance.now() + Number(blockMs ?? 0); performance.now() < end; );
  };
}
