/** What every `Store` promises. `open` gives two stores on the same data: the replicas of one bot. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Lease, Loaded, Release, Store } from '../../src/app/ports/store.ts';
import { begin, decide } from '../../src/core/decide.ts';
import type { Event } from '../../src/core/event.ts';
import { newId } from '../../src/core/id.ts';
import type { Rollout } from '../../src/core/rollout.ts';
import { ADA, BO, nextEvent, samplePlan } from '../support/played.ts';

export type OpenStores = () => Promise<{ readonly stores: readonly [Store, Store]; close(): Promise<void> }>;

const UNKNOWN = 'world-000000';
type Requested = Extract<Event, { type: 'requested' }>;
type Phase = Rollout['phase'];

let services = 0;
/** Tests share one Redis, so each takes a service of its own. */
export const aService = () => `world-${services++}`;

/** Begins a rollout the way the bot does. */
export async function start(store: Store, service: string, env = 'test', intake: string | null = null) {
  const id = newId(service, (count) => crypto.getRandomValues(new Uint8Array(count)));
  const epoch = await store.nextEpoch(service, 0);
  const event: Requested = { type: 'requested', id, plan: samplePlan(service, env), epoch };
  const begun = begin(event, await store.now());
  return { id, begun, created: await store.create(begun, event, intake) };
}

export async function loaded(store: Store, id: string): Promise<Loaded> {
  const found = await store.load(id);
  if (!found) throw new Error(`${id} is not there`);
  return found;
}

/** Decides and saves on top of `from`. */
export function record(store: Store, from: Loaded, event: Event, extra: Parameters<Store['save']>[3] = {}) {
  const decided = decide(from.rollout, event, from.now);
  if (!decided.ok) throw new Error(`${event.type}: ${JSON.stringify(decided.rejection)}`);
  return store.save(from, event, decided, extra);
}

/** Lets the rollout go on until its phase is `wanted`. */
export async function playTo(
  store: Store,
  id: string,
  wanted: (phase: Phase, rollout: Rollout) => boolean,
): Promise<Loaded> {
  for (let tries = 0; tries < 200; tries++) {
    const found = await loaded(store, id);
    if (wanted(found.rollout.phase, found.rollout)) return found;
    const event = nextEvent(found.rollout);
    if (!event) break;
    await record(store, found, event);
  }
  throw new Error(`${id} never came to the wanted phase`);
}

const abortOf = ({ abort }: Loaded): Event => {
  if (!abort) throw new Error('no abort is recorded');
  return {
    type: 'abort_requested',
    cause: { kind: 'person', actor: abort.actor, reason: abort.reason },
    epoch: abort.epoch,
  };
};

export function storeContract(name: string, open: OpenStores): void {
  describe(`store: ${name}`, () => {
    let store: Store;
    let other: Store;
    let close: () => Promise<void>;

    beforeAll(async () => {
      const opened = await open();
      [store, other] = opened.stores;
      close = opened.close;
    });
    afterAll(() => close());

    const begun = async () => {
      const { id } = await start(store, aService());
      return loaded(store, id);
    };
    /** Something that can always happen to a rollout: Slack has a note. */
    const note = (n: number): Event => ({ type: 'message_delivered', key: `note:${n}`, ts: '1' });

    describe('a rollout', () => {
      it('is found as it was begun, by any replica', async () => {
        const { id, begun, created } = await start(store, aService());
        expect(created).toEqual({ kind: 'created' });
        expect(await other.load(id)).toMatchObject({ rollout: begun.rollout, abort: null });
      });

      it.each([[UNKNOWN], ['what people type'], ['']])('is null where there is none: "%s"', async (id) => {
        expect(await store.load(id)).toBeNull();
        expect(await store.requestAbort(id, ADA, null)).toBeNull();
        expect(await store.events(id)).toEqual([]);
      });

      it('is the only one of its service until it has ended', async () => {
        const service = aService();
        const first = await start(store, service);
        expect(await other.holder(service)).toBe(first.id);
        expect((await start(other, service)).created).toEqual({ kind: 'busy', by: first.id });

        await playTo(store, first.id, (phase) => phase.kind === 'succeeded');
        expect(await other.holder(service)).toBeNull();
        expect(await other.active([service])).toEqual([]);
        const second = await start(other, service);
        expect(second.created).toEqual({ kind: 'created' });
        expect(await store.active([service])).toEqual([second.id]);
        expect((await loaded(other, first.id)).rollout.phase.kind).toBe('succeeded');
      });

      it('is found by its thread until it has ended', async () => {
        const service = aService();
        const { id, begun } = await start(store, service);
        const { channel } = begun.rollout.plan;
        const found = (where: object = {}) => other.rolloutIn({ channel, ts: id, ...where }, [service]);
        expect(await found()).toBeNull();
        await record(store, await loaded(store, id), { type: 'message_delivered', key: 'root', ts: id });
        expect(await found()).toBe(id);
        expect(await found({ channel: 'C0OTHER' })).toBeNull();
        await playTo(store, id, (phase) => phase.kind === 'succeeded');
        expect(await found()).toBeNull();
      });

      it('that is begun by many at once is begun once', async () => {
        const service = aService();
        const all = await Promise.all(Array.from({ length: 10 }, (_, n) => start(n % 2 ? store : other, service)));
        expect(all.filter(({ created }) => created.kind === 'created')).toHaveLength(1);
      });

      it('is not begun with an epoch that was used', async () => {
        const service = aService();
        const { id, begun } = await start(store, service);
        await playTo(store, id, (phase) => phase.kind === 'succeeded');
        const rollout = { ...begun.rollout, id: `${service}-abcdef` };
        const event: Requested = { type: 'requested', id: rollout.id, plan: rollout.plan, epoch: rollout.epoch };
        await expect(store.create({ rollout, messages: [] }, event, null)).rejects.toThrow('epoch');
        expect(await store.holder(service)).toBeNull();
      });

      it('can be begun aborted, so that it never runs', async () => {
        const service = aService();
        const epoch = await store.nextEpoch(service, 4);
        const event: Requested = {
          type: 'requested',
          id: `${service}-abcdef`,
          plan: samplePlan(service, 'test'),
          epoch,
        };
        const abort = { actor: { kind: 'system' }, reason: 'lost' } as const;
        const begun = begin(event, await store.now());
        expect(await store.create(begun, event, null, abort)).toEqual({ kind: 'created' });
        const found = await loaded(other, event.id);
        expect(found).toMatchObject({ rollout: begun.rollout, abort: { ...abort, epoch: epoch + 1 } });
        expect(await store.nextEpoch(service, 0)).toBe(epoch + 2);
        expect(await record(other, found, note(1))).toBe('conflict');
        expect(await record(other, found, abortOf(found))).toMatchObject({ rollout: { phase: { kind: 'aborting' } } });
      });

      it('is not begun over another of the same id', async () => {
        const { id, begun } = await start(store, aService());
        await playTo(store, id, (phase) => phase.kind === 'succeeded');
        const epoch = await store.nextEpoch(begun.rollout.plan.target.service, 0);
        const event: Requested = { type: 'requested', id, plan: begun.rollout.plan, epoch };
        await expect(store.create(begin(event, await store.now()), event, null)).rejects.toThrow(id);
      });

      it('tells its story: deciding on its events again gives its state', async () => {
        const { id } = await start(store, aService());
        const end = await playTo(store, id, (phase) => phase.kind === 'succeeded');
        const [first, ...rest] = await other.events(id);
        if (first?.event.type !== 'requested') throw new Error('the first event is the request');
        let rollout = begin(first.event, first.at).rollout;
        for (const { event, at, version } of rest) {
          const decided = decide(rollout, event, at);
          if (!decided.ok) throw new Error(`${version} ${event.type} is refused`);
          rollout = decided.rollout;
        }
        expect(rollout).toEqual(end.rollout);
      });
    });

    describe('a transition', () => {
      it('of two replicas on the same version goes to one of them', async () => {
        const { rollout } = await begun();
        const [a, b] = await Promise.all([loaded(store, rollout.id), loaded(other, rollout.id)]);
        const saved = await Promise.all([record(store, a, note(1)), record(other, b, note(2))]);
        expect(saved.filter((result) => result === 'conflict')).toHaveLength(1);
        expect((await loaded(store, rollout.id)).rollout.version).toBe(2);
      });

      it('answers with what the next one is decided on', async () => {
        const first = await record(store, await begun(), note(1));
        if (typeof first === 'string') throw new Error('nobody else was there');
        expect(first).toMatchObject({ ...(await loaded(other, first.rollout.id)), now: first.now });
        expect(await record(store, first, note(2))).toMatchObject({ rollout: { version: 3 } });
      });

      it('decided on what was loaded more than 5 s ago is refused', async () => {
        const found = await begun();
        expect(await record(store, { ...found, now: found.now - 5_100 }, note(1))).toBe('conflict');
        expect(await record(store, { ...found, now: found.now - 3_000 }, note(1))).not.toBe('conflict');
      });

      it('raises the epoch of the service with its own', async () => {
        const found = await begun();
        const { target } = found.rollout.plan;
        const saved = await record(store, found, { type: 'start_failed', seq: found.rollout.seq, message: 'no image' });
        expect(saved).toMatchObject({ rollout: { epoch: found.rollout.epoch + 1 } });
        expect(await other.nextEpoch(target.service, 0)).toBe(found.rollout.epoch + 2);
      });

      it('is refused when its epoch would fall', async () => {
        const found = await begun();
        const decided = { rollout: { ...found.rollout, version: 2, epoch: 0 }, messages: [] };
        await expect(store.save(found, note(1), decided)).rejects.toThrow('epoch');
      });
    });

    describe('an epoch', () => {
      it('is above all that Redis knows and all that the cluster shows', async () => {
        const service = aService();
        expect(await store.nextEpoch(service, 0)).toBe(1);
        expect(await store.nextEpoch(service, 7)).toBe(8);
        const { begun } = await start(store, service);
        expect(await other.nextEpoch(service, 0)).toBe(begun.rollout.epoch + 1);
      });
    });

    describe('an abort', () => {
      it('is recorded with a raised epoch and answers with the state', async () => {
        const { rollout } = await begun();
        const asked = await other.requestAbort(rollout.id, BO, 'too slow');
        const abort = { actor: BO, reason: 'too slow', epoch: rollout.epoch + 1 };
        expect(asked).toMatchObject({ recorded: true, loaded: { rollout, abort } });
        expect(await store.load(rollout.id)).toMatchObject({ rollout, abort });
        expect(await store.nextEpoch(rollout.plan.target.service, 0)).toBe(rollout.epoch + 2);
      });

      it('refuses what was decided before it, and everything but itself after it', async () => {
        const before = await begun();
        const { id } = before.rollout;
        await other.requestAbort(id, BO, null);
        expect(await record(store, before, note(1))).toBe('conflict');
        expect(await record(store, await loaded(store, id), note(1))).toBe('conflict');
        const own: Event = {
          type: 'abort_requested',
          cause: { kind: 'fenced', message: '' },
          epoch: before.rollout.epoch + 1,
        };
        expect(await record(store, before, own)).toBe('conflict');

        const after = await loaded(store, id);
        const taken = await record(store, after, abortOf(after));
        expect(taken).toMatchObject({
          rollout: { phase: { kind: 'aborting' }, epoch: before.rollout.epoch + 1 },
          abort: null,
        });
        expect(await store.load(id)).toMatchObject({ abort: null });
        if (typeof taken !== 'string') expect(await record(store, taken, note(1))).not.toBe('conflict');
      });

      it('is taken in even by a replica that was frozen', async () => {
        const { rollout } = await begun();
        await store.requestAbort(rollout.id, BO, null);
        const found = await loaded(store, rollout.id);
        expect(await record(store, { ...found, now: found.now - 60_000 }, abortOf(found))).not.toBe('conflict');
      });

      it('by 50 people at once is recorded once', async () => {
        const { rollout } = await begun();
        const asked = await Promise.all(
          Array.from({ length: 50 }, (_, n) => (n % 2 ? store : other).requestAbort(rollout.id, BO, `${n}`)),
        );
        const recorded = asked.filter((answer) => answer?.recorded);
        expect(recorded).toHaveLength(1);
        for (const answer of asked) expect(answer?.loaded.abort).toEqual(recorded[0]?.loaded.abort);
      });

      it.each<[string, (phase: Phase) => boolean]>([
        ['it has succeeded', (phase) => phase.kind === 'succeeded'],
        ['stable serves the new version', (phase) => phase.kind === 'promoting' && phase.stage === 'cool'],
      ])('has nothing to do once %s', async (_, there) => {
        const { rollout } = await begun();
        const end = await playTo(store, rollout.id, there);
        const asked = await store.requestAbort(rollout.id, BO, null);
        expect(asked).toMatchObject({ recorded: false, loaded: { rollout: end.rollout, abort: null } });
      });
    });

    describe('the inbox', () => {
      it('takes a command once', async () => {
        const service = aService();
        const taken = await store.take(service, 'trigger', { text: 'world v2' });
        expect(taken).toMatchObject({ kind: 'new' });
        expect(await other.take(service, 'trigger', { text: 'world v2' })).toMatchObject({ kind: 'duplicate' });
        expect(await other.take(service, 'another', { text: 'world v3' })).toMatchObject({ kind: 'new' });
        expect((await other.intakes(service)).map(({ body }) => body)).toEqual([
          { text: 'world v2' },
          { text: 'world v3' },
        ]);
      });

      it('loses an entry with what came of it', async () => {
        const service = aService();
        const take = async (key: string) => {
          const taken = await store.take(service, key, key);
          return taken.kind === 'new' ? taken.id : '';
        };
        const [deploy, approve, idle] = [await take('deploy'), await take('approve'), await take('idle')];
        const left = async () => (await other.intakes(service)).map(({ body }) => body);
        const { id } = await start(store, service, 'test', deploy);
        expect(await left()).toEqual(['approve', 'idle']);
        const found = await loaded(store, id);
        await record(store, found, note(1), { intake: approve });
        expect(await left()).toEqual(['idle']);
        await store.drop(service, idle);
        expect(await left()).toEqual([]);
      });

      it('starts one rollout from one entry', async () => {
        const service = aService();
        const taken = await store.take(service, 'deploy', 'deploy');
        const intake = taken.kind === 'new' ? taken.id : '';
        expect(await other.isWaiting(service, intake)).toBe(true);
        const { id } = await start(store, service, 'test', intake);
        expect(await other.isWaiting(service, intake)).toBe(false);
        await playTo(store, id, (phase) => phase.kind === 'succeeded');
        expect((await start(other, service, 'test', intake)).created).toEqual({ kind: 'gone' });
        expect(await store.holder(service)).toBeNull();
      });

      it('lets one press count once, though two replicas carry it out', async () => {
        const found = await begun();
        const { id, plan } = found.rollout;
        const { service } = plan.target;
        const taken = await store.take(service, 'hold', 'hold');
        const intake = taken.kind === 'new' ? taken.id : '';
        expect(await record(store, found, note(1), { intake })).toMatchObject({ rollout: { version: 2 } });
        // The other one had looked into the inbox before, and was slow: it decides on what there is now.
        expect(await record(other, await loaded(other, id), note(2), { intake })).toBe('gone');
        expect(await record(other, found, note(2), { intake })).toBe('gone');
        expect(await loaded(store, id)).toMatchObject({ rollout: { version: 2 } });
        expect(await store.events(id)).toHaveLength(2);
      });

      it('takes back what came through after its time', async () => {
        const service = aService();
        await store.take(service, 'late', 'late');
        await other.untake(service, 'late');
        expect(await store.intakes(service)).toEqual([]);
        expect(await store.take(service, 'late', 'late')).toMatchObject({ kind: 'duplicate' });
      });

      it('takes back what has not come through yet', async () => {
        const service = aService();
        await other.untake(service, 'late');
        await other.untake(service, 'late');
        expect(await store.take(service, 'late', 'late')).toMatchObject({ kind: 'duplicate' });
        expect(await store.intakes(service)).toEqual([]);
      });

      it('keeps an entry whose transition was refused', async () => {
        const found = await begun();
        const { service } = found.rollout.plan.target;
        const taken = await store.take(service, 'approve', 'approve');
        await record(store, found, note(1));
        const intake = taken.kind === 'new' ? taken.id : '';
        expect(await record(store, found, note(2), { intake })).toBe('conflict');
        expect(await store.intakes(service)).toHaveLength(1);
      });
    });

    it('keeps the last 20 releases, the newest first', async () => {
      let found: Awaited<ReturnType<Store['save']>> = await begun();
      const { service } = found.rollout.plan.target;
      const release = (n: number): Release => ({
        version: `v${n}`,
        image: `i:v${n}`,
        template: { n },
        rollout: 'r',
        at: n,
      });
      for (let n = 0; n < 24 && typeof found !== 'string'; n += 2) {
        found = await record(store, found, note(n), { releases: [release(n), release(n + 1)] });
      }
      const kept = await other.releases(service);
      expect(kept[0]).toEqual(release(23));
      expect(kept.map(({ at }) => at)).toEqual(Array.from({ length: 20 }, (_, n) => 23 - n));
      expect(await other.releases(aService())).toEqual([]);
    });

    describe('the outbox', () => {
      it('keeps messages in order until they are shown', async () => {
        const found = await begun();
        const { id } = found.rollout;
        const reminder = { kind: 'reminder', gate: `${id}.1`, count: 1 } as const;
        await store.save(found, note(1), {
          rollout: { ...found.rollout, version: 2 },
          messages: [{ key: 'gate:1' }, { key: 'note:2', note: reminder }],
        });
        const unsent = await other.unsent(id);
        expect(unsent.map(({ outgoing }) => outgoing)).toEqual([
          { key: 'root' },
          { key: 'gate:1' },
          { key: 'note:2', note: reminder },
        ]);
        await other.sent(
          id,
          unsent.slice(0, 2).map(({ entry }) => entry),
        );
        expect((await store.unsent(id)).map(({ outgoing }) => outgoing.key)).toEqual(['note:2']);
        await store.sent(id, []);
        await store.sent(
          id,
          unsent.map(({ entry }) => entry),
        );
        expect(await other.unsent(id)).toEqual([]);
      });

      it('never takes a new message for one that was shown', async () => {
        const found = await begun();
        const { id } = found.rollout;
        const shown = (await store.unsent(id)).map(({ entry }) => entry);
        await store.sent(id, shown);
        await store.save(found, note(1), { rollout: { ...found.rollout, version: 2 }, messages: [{ key: 'root' }] });
        await other.sent(id, shown);
        expect(await store.unsent(id)).toHaveLength(1);
      });

      it('is found while something is in it, also of rollouts that have ended', async () => {
        const [shown, ended] = [await begun(), await begun()];
        await playTo(store, ended.rollout.id, (phase) => phase.kind === 'succeeded');
        const pending = async () => new Set(await other.pendingOutbox(1_000));
        expect(await pending()).toContain(ended.rollout.id);
        expect(await pending()).toContain(shown.rollout.id);
        const entries = (await store.unsent(shown.rollout.id)).map(({ entry }) => entry);
        await store.sent(shown.rollout.id, entries);
        expect(await pending()).not.toContain(shown.rollout.id);
        expect(await pending()).toContain(ended.rollout.id);
      });

      it('remembers that a post is on its way', async () => {
        const { rollout } = await begun();
        expect(await store.markSending(rollout.id, 'gate:1')).toBe(true);
        expect(await other.markSending(rollout.id, 'gate:1')).toBe(false);
        expect(await other.markSending(rollout.id, 'gate:2')).toBe(true);
        await other.unmarkSending(rollout.id, 'gate:1');
        expect(await store.markSending(rollout.id, 'gate:1')).toBe(true);
        expect(await store.markSending(rollout.id, 'gate:2')).toBe(false);
      });
    });

    describe('replicas', () => {
      it('hold a lease one at a time, and give back only their own', async () => {
        const name = aService();
        const first = await store.lease(name, 60_000);
        expect(await other.lease(name, 60_000)).toBeNull();
        expect(await first?.release()).toBe(true);
        expect(await other.lease(name, 60_000)).not.toBeNull();
        expect(await first?.release()).toBe(false);
        expect(await store.lease(name, 60_000)).toBeNull();
      });

      it('get a lease that its holder let run out', async () => {
        const name = aService();
        await store.lease(name, 1);
        await expect.poll(() => other.lease(name, 60_000)).not.toBeNull();
      });

      it('count the holders in a row that let a lease run out, until one gives it back', async () => {
        const name = aService();
        const took = async (ms: number) => {
          const taken = await other.lease(name, ms);
          return taken ?? undefined;
        };
        expect((await took(1))?.abandoned).toBe(0);
        await expect.poll(async () => (await took(1))?.abandoned).toBe(1);
        let last: Awaited<ReturnType<typeof took>>;
        await expect
          .poll(async () => {
            last = await took(60_000);
            return last?.abandoned;
          })
          .toBe(2);
        await last?.release();
        expect((await took(60_000))?.abandoned).toBe(0);
      });

      it('count from so many on only who begins, so that who waits for a turn dies without blame', async () => {
        const name = aService();
        const held: { lease: Lease | null } = { lease: null };
        const take = async () => {
          held.lease = await other.lease(name, 60_000, 2);
          return held.lease;
        };
        for (let n = 0; n < 2; n++) await expect.poll(() => store.lease(name, 1, 2)).not.toBeNull();
        await expect.poll(take).toMatchObject({ abandoned: 2 });
        expect(await held.lease?.release('untried')).toBe(true);
        await expect.poll(() => store.lease(name, 1, 2)).toMatchObject({ abandoned: 2 });
        await expect.poll(take).toMatchObject({ abandoned: 2 });
        await held.lease?.begin();
        expect(await held.lease?.release('untried')).toBe(true);
        expect(await take()).toMatchObject({ abandoned: 3 });
        await held.lease?.release('undone');
        expect(await take()).toMatchObject({ abandoned: 0 });
      });

      it('know since when the work under a lease fails, until it comes to its end once', async () => {
        const name = aService();
        const since = async (work: 'done' | 'failed' | 'undone', by = other) => {
          const taken = await by.lease(name, 60_000);
          await taken?.release(work);
          return taken?.failingSince ?? null;
        };
        const before = await store.now();
        expect(await since('undone')).toBeNull();
        expect(await since('failed')).toBeNull();
        expect(await since('undone')).not.toBeNull();
        const first = await since('failed', store);
        expect(first).toBeGreaterThanOrEqual(before);
        expect(first).toBeLessThanOrEqual(await store.now());
        // A holder that dies in between says nothing of its work.
        await store.lease(name, 1);
        await expect.poll(() => since('done')).toBe(first);
        expect(await since('done', store)).toBeNull();
      });

      it('know apart since when it fails with what lasts, whatever else fails in between', async () => {
        const name = aService();
        const since = async (work: 'done' | 'failed' | 'lasting', by = other) => {
          const taken = await by.lease(name, 60_000);
          await taken?.release(work);
          return { failing: taken?.failingSince ?? null, lasting: taken?.lastingSince ?? null };
        };
        await since('failed');
        const first = await store.now();
        expect(await since('lasting')).toMatchObject({ lasting: null });
        const { failing, lasting } = await since('failed', store);
        expect(lasting).toBeGreaterThanOrEqual(Math.max(first, failing ?? Number.POSITIVE_INFINITY));
        expect(await since('lasting')).toEqual({ failing, lasting });
        expect(await since('done')).toEqual({ failing, lasting });
        expect(await since('lasting')).toEqual({ failing: null, lasting: null });
        // What lasts fails as well.
        expect(await since('done')).toEqual({ failing: expect.any(Number), lasting: expect.any(Number) });
      });

      it('keep a lease that is renewed, and never take one back that ran out', async () => {
        const name = aService();
        const first = await store.lease(name, 150);
        const until = Date.now() + 400;
        while (Date.now() < until) {
          await first?.renew();
          expect(await other.lease(name, 60_000)).toBeNull();
        }
        await expect.poll(() => other.lease(name, 60_000)).not.toBeNull();
        await first?.renew();
        expect(await store.lease(name, 60_000)).toBeNull();
      });

      it('all wait when one was told to', async () => {
        const bucket = aService();
        await store.holdBack(bucket, 60, 5, 14_000);
        const wait = await other.throttle(bucket, 60, 5);
        expect(wait).toBeGreaterThan(13_000);
        expect(wait).toBeLessThanOrEqual(14_000);
      });

      it('share a rate: a burst at once, then one after the other', async () => {
        const bucket = aService();
        const waits = [];
        for (let call = 0; call < 5; call++) waits.push(await (call % 2 ? store : other).throttle(bucket, 6, 3));
        expect(waits.slice(0, 3)).toEqual([0, 0, 0]);
        for (const wait of waits.slice(3)) {
          expect(wait).toBeGreaterThan(9_000);
          expect(wait).toBeLessThanOrEqual(10_000);
        }
      });

      it('earn calls again with time', async () => {
        const bucket = aService();
        expect(await store.throttle(bucket, 300, 1)).toBe(0);
        expect(await store.throttle(bucket, 300, 1)).toBeGreaterThan(0);
        await expect.poll(() => store.throttle(bucket, 300, 1), { interval: 5 }).toBe(0);
      });

      it('get each overdue rollout once', async () => {
        const now = await store.now();
        const [late, soon, off] = [`${aService()}-late00`, `${aService()}-soon00`, `${aService()}-off000`];
        await store.schedule(late, now - 5_000);
        await store.schedule(soon, now + 60_000);
        await store.schedule(off, now - 5_000);
        await store.schedule(off, null);
        const [a, b] = await Promise.all([
          store.takeOverdue(1_000, 10_000, 1_000),
          other.takeOverdue(1_000, 10_000, 1_000),
        ]);
        const taken = [...a, ...b];
        expect(taken.filter((id) => id === late)).toHaveLength(1);
        expect(taken).not.toContain(soon);
        expect(taken).not.toContain(off);
        await store.schedule(late, null);
      });

      it('do not bring back what was taken off in the meantime', async () => {
        const late = `${aService()}-late00`;
        await store.schedule(late, 1);
        expect(await store.takeOverdue(0, 0, 1_000)).toContain(late);
        await other.schedule(late, null);
        expect(await store.takeOverdue(0, 0, 1_000)).not.toContain(late);
      });

      it('find a rollout overdue whose last transition nobody followed up', async () => {
        const { rollout } = await begun();
        await expect.poll(() => other.takeOverdue(0, 60_000, 1_000)).toContain(rollout.id);
      });

      it('remember the members of groups', async () => {
        await store.saveMembers('S0DEVS', ['U0ADA']);
        await store.saveMembers('S0DEVS', ['U0ADA', 'U0BO']);
        await store.saveMembers('S0ONCALL', []);
        expect(await other.loadMembers()).toMatchObject({ S0DEVS: ['U0ADA', 'U0BO'], S0ONCALL: [] });
      });
    });
  });
}
