/** The Lua scripts as typed commands. Each touches the keys of one service only; each file says why it is a script. */
import { readFileSync } from 'node:fs';
import type { ClusterOptions, Result } from 'ioredis';

/** Redis TIME. */
export type Time = readonly [seconds: string | Buffer, microseconds: string | Buffer];
/** What `load.lua` and `abort.lua` read: the hash, then the time. Binary, because state and plan may be packed. */
export type StateReply = readonly [
  schema: Buffer | null,
  plan: Buffer | null,
  state: Buffer | null,
  head: Buffer | null,
  abort: Buffer | null,
  epoch: Buffer | null,
  seconds: Buffer,
  microseconds: Buffer,
];

type Argument = string | number | Buffer;
declare module 'ioredis' {
  interface RedisCommander<Context> {
    sluiceLoadBuffer(state: string): Result<StateReply, Context>;
    sluiceCreate(...keysAndArguments: readonly Argument[]): Result<readonly [kind: string, detail: string], Context>;
    sluiceSave(...keysAndArguments: readonly Argument[]): Result<readonly [kind: string, ...time: string[]], Context>;
    sluiceAbortBuffer(
      state: string,
      epoch: string,
      schema: number,
      abort: string | Buffer,
    ): Result<readonly [number, ...StateReply], Context>;
    sluiceTake(
      seen: string,
      inbox: string,
      body: string,
      seenMs: number,
      inboxLength: number,
    ): Result<readonly ['new' | 'duplicate', string] | readonly ['full'], Context>;
    sluiceUntake(seen: string, inbox: string, seenMs: number): Result<null, Context>;
    sluiceSent(outbox: string, ...entries: readonly string[]): Result<number, Context>;
    sluiceClaim(
      index: string,
      lateMs: number,
      claimMs: number,
      limit: number,
      boundMs: number | '',
    ): Result<string[], Context>;
    sluiceLease(
      lease: string,
      left: string,
      token: string,
      ms: number,
      keptMs: number,
      untriedMs: number,
      uncountedFrom: number | '',
    ): Result<readonly [abandoned: number, failing: string | null, lasting: string | null], Context>;
    sluiceBegin(lease: string, left: string, token: string): Result<null, Context>;
    sluiceRelease(
      lease: string,
      left: string,
      token: string,
      work: 'done' | 'failed' | 'lasting' | 'undone' | 'untried',
      keptMs: number,
    ): Result<number, Context>;
    sluiceRenew(lease: string, token: string, ms: number): Result<number, Context>;
    sluiceThrottle(bucket: string, intervalMs: number, burst: number, heldBackMs: number): Result<number, Context>;
  }
}

const lua = (name: string) => readFileSync(new URL(`./${name}.lua`, import.meta.url), 'utf8');

export const scripts: NonNullable<ClusterOptions['scripts']> = {
  sluiceLoad: { numberOfKeys: 1, lua: lua('load') },
  sluiceCreate: { numberOfKeys: 6, lua: lua('create') },
  sluiceSave: { numberOfKeys: 7, lua: lua('save') },
  sluiceAbort: { numberOfKeys: 2, lua: lua('abort') },
  sluiceTake: { numberOfKeys: 2, lua: lua('take') },
  sluiceUntake: { numberOfKeys: 2, lua: lua('untake') },
  sluiceSent: { numberOfKeys: 1, lua: lua('sent') },
  sluiceClaim: { numberOfKeys: 1, lua: lua('claim') },
  sluiceLease: { numberOfKeys: 2, lua: lua('lease') },
  sluiceBegin: { numberOfKeys: 2, lua: lua('begin') },
  sluiceRelease: { numberOfKeys: 2, lua: lua('release') },
  sluiceRenew: { numberOfKeys: 1, lua: lua('renew') },
  sluiceThrottle: { numberOfKeys: 1, lua: lua('throttle') },
};

export function millis([seconds, microseconds]: Time): number {
  return Number(`${seconds}`) * 1000 + Math.floor(Number(`${microseconds}`) / 1000);
}
