/**
 * Names of all keys. What one script touches shares the hash tag `{env/service}`, so that every script also runs on a Redis
 * Cluster; the shared indexes live in other slots, are written apart, and are only hints.
 */
import { serviceOf } from '../../core/id.ts';

export function createKeys(env: string) {
  const service = (name: string) => {
    const tag = `sluice:{${env}/${name}}`;
    return {
      lock: `${tag}:lock`,
      epoch: `${tag}:epoch`,
      inbox: `${tag}:inbox`,
      releases: `${tag}:releases`,
      /** Followed by an id: the hash of that rollout. */
      rollouts: `${tag}:ro:`,
      seen: (key: string) => `${tag}:seen:${key}`,
      /** What the person of an inbox entry is told. */
      answer: (id: string) => `${tag}:answer:${id}`,
    };
  };
  return {
    service,
    /** Throws for what is no rollout id. */
    rollout(id: string) {
      const name = serviceOf(id);
      if (name === null) throw new Error(`"${id}" is not the id of a rollout (<service>-<6 characters>)`);
      const keys = service(name);
      const state = `${keys.rollouts}${id}`;
      return { ...keys, state, events: `${state}:ev`, outbox: `${state}:ob`, sending: `${state}:sending` };
    },
    /** A pattern, for looking through all keys: state and events of every rollout. */
    everyRollout: `sluice:{${env}/*}:ro:*`,
    due: `sluice:${env}:due`,
    unsent: `sluice:${env}:unsent`,
    /** Ids of those that run, by `channel/ts` of their first message. */
    threads: `sluice:${env}:threads`,
    members: `sluice:${env}:members`,
    /** Tagged, so that what its holders left (`:left`) is in the same slot. */
    lease: (name: string) => `sluice:${env}:lease:{${name}}`,
    bucket: (name: string) => `sluice:${env}:bucket:${name}`,
  };
}

export type Keys = ReturnType<typeof createKeys>;
export type RolloutKeys = ReturnType<Keys['rollout']>;
