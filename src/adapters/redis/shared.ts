/** What the replicas share besides rollouts: leases, rates, the due index, last known group members. */
import { randomUUID } from 'node:crypto';
import type { Store } from '../../app/ports/store.ts';
import type { RedisClient } from './connect.ts';
import { scoreOf } from './hints.ts';
import type { Keys } from './keys.ts';
import { millis, type Time } from './scripts.ts';

type SharedStore = Pick<
  Store,
  'now' | 'lease' | 'throttle' | 'holdBack' | 'schedule' | 'takeOverdue' | 'saveMembers' | 'loadMembers'
>;

/** Holders that die or fail one after the other do so within seconds. */
const LEFT_KEPT_MS = 600_000;
/** Slack asks for less as a rule; who calls again too early is asked again. */
const HELD_BACK_MS = 60_000;
/** What fails is tried again within seconds, and by a bot that starts anew within a minute or two. */
const UNTRIED_MS = 120_000;

export function createSharedStore(redis: RedisClient, keys: Keys): SharedStore {
  return {
    async now() {
      return millis(timeOf(await redis.time()));
    },

    async lease(name, ms, uncountedFrom) {
      const key = keys.lease(name);
      const token = randomUUID();
      const left = `${key}:left`;
      const counted = uncountedFrom ?? '';
      const taken = await redis.sluiceLease(key, left, token, ms, LEFT_KEPT_MS, UNTRIED_MS, counted);
      const [abandoned, failing, lasting] = taken;
      if (abandoned < 0) return null;
      return {
        abandoned,
        failingSince: failing === null ? null : Number(failing),
        lastingSince: lasting === null ? null : Number(lasting),
        async begin() {
          await redis.sluiceBegin(key, left, token);
        },
        async renew() {
          await redis.sluiceRenew(key, token, ms);
        },
        async release(work = 'done') {
          return (await redis.sluiceRelease(key, left, token, work, LEFT_KEPT_MS)) === 1;
        },
      };
    },

    throttle: (bucket, perMinute, burst) =>
      redis.sluiceThrottle(keys.bucket(bucket), 60_000 / perMinute, burst, HELD_BACK_MS),

    async holdBack(bucket, perMinute, burst, ms) {
      const interval = 60_000 / perMinute;
      const held = Math.min(ms, HELD_BACK_MS);
      const full = millis(timeOf(await redis.time())) + held + (burst - 1) * interval;
      await redis.set(keys.bucket(bucket), full.toFixed(3), 'PX', Math.ceil(held + burst * interval));
    },

    async schedule(id, at) {
      await (at === null ? redis.zrem(keys.due, id) : redis.zadd(keys.due, scoreOf(at), id));
    },

    takeOverdue: (lateMs, claimMs, limit) => redis.sluiceClaim(keys.due, lateMs, claimMs, limit, ''),

    async saveMembers(group, members) {
      await redis.hset(keys.members, group, JSON.stringify(members));
    },

    async loadMembers() {
      const groups = Object.entries(await redis.hgetall(keys.members));
      return Object.fromEntries(groups.map(([group, members]) => [group, JSON.parse(members)]));
    },
  };
}

function timeOf([seconds, microseconds]: readonly (string | number)[]): Time {
  return [String(seconds), String(microseconds)];
}
