/** What a command gets and gives: the configuration, the person who types, an exit code with its text. */
import { hostname, userInfo } from 'node:os';
import process from 'node:process';
import { destination } from 'pino';
import { createStore } from '../adapters/redis/store.ts';
import { loadConfig, readToolEnv, settled } from '../config.ts';
import type { Actor } from '../core/plan.ts';
import { createLog, maskSecrets } from '../log.ts';

/** Exit codes: done, refused or failed, not understood. */
export const DONE = 0;
export const FAILED = 1;
export const MISUSED = 2;

export type Words = readonly string[];
export type Flags = { readonly reason: string | null; readonly log: string | null };

/** What was asked for goes to standard output, what went wrong to standard error. */
export function say(text: string, code: number): number {
  (code === DONE ? process.stdout : process.stderr).write(maskSecrets(text.endsWith('\n') ? text : `${text}\n`));
  return code;
}

/** For commands that need Redis only. */
export async function openStore() {
  const { env, config, log } = await readSurroundings();
  const store = createStore({ url: env.REDIS_URL, env: config.env, log });
  return { config, store };
}

/** Throws one error that lists everything that is wrong with what the operator set. */
export async function readSurroundings() {
  const { env } = settled(readToolEnv(process.env), 'environment');
  const { config } = settled(await loadConfig(env.SLUICE_CONFIG), env.SLUICE_CONFIG);
  return { env, config, log: quietLog() };
}

/** Commands speak for themselves: the log is for those who set LOG_LEVEL, and never in the way of the output. */
export function quietLog() {
  return createLog({ level: process.env.LOG_LEVEL || 'silent', to: destination({ dest: 2, sync: true }) });
}

/** Whoever reaches the cluster and Redis from here may; the account of the machine is who it was. */
export function actor(): Extract<Actor, { kind: 'cli' }> {
  const user = `${userInfo().username}@${hostname()}`;
  return { kind: 'cli', user, name: `cli:${user}` };
}

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
