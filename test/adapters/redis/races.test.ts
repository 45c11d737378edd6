/** Two replicas in every order of steps, against a model of a few lines. */
import fc from 'fast-check';
import { afterAll, expect, it } from 'vitest';
import { verifyChain } from '../../../src/adapters/redis/chain.ts';
import { createStore } from '../../../src/adapters/redis/store.ts';
import type { Loaded } from '../../../src/app/ports.ts';
import type { Event, Rollout } from '../../../src/core/rollout.ts';
import { aService, loaded, start } from '../../contracts/store.ts';
import { BO } from '../../support/played.ts';
import { recordingLog, redisCorner } from '../../support/redis.ts';

const corner = redisCorner();
const { url, env } = corner;
const stores = [
  createStore({ url, env, log: recordingLog() }),
  createStore({ url, env, log: recordingLog() }),
] as const;
afterAll(async () => {
  await Promise.all(stores.map((store) => store.close()));
  await corner.clear();
});

const step = fc.record({
  actor: fc.constantFrom(0 as const, 1 as const),
  /** `fail`: a transition that aborts by itself. */
  does: fc.constantFrom('load', 'load', 'note', 'fail', 'ask for abort', 'take abort in'),
});

/** What Redis must hold: `fence` is the epoch that a transition has to know. */
type Model = { version: number; fence: number; asked: boolean; abortable: boolean };

const NOTE: Event = { type: 'message_delivered', key: 'note:1', ts: '1' };

function transition(does: string, { rollout, abort }: Loaded): { event: Event; rollout: Rollout } {
  const next = { ...rollout, version: rollout.version + 1 };
  if (does === 'note') return { event: NOTE, rollout: { ...next, epoch: abort?.epoch ?? rollout.epoch } };
  const epoch = Math.max(abort?.epoch ?? 0, rollout.epoch + 1);
  const cause = { kind: 'not started', message: 'no image' } as const;
  const phase = {
    kind: 'aborting',
    stage: 'route',
    since: 0,
    startedAt: 0,
    cause,
    from: '',
    demote: false,
    stalled: false,
  } as const;
  const event: Event =
    does === 'fail'
      ? { type: 'start_failed', seq: rollout.seq, message: 'no image' }
      : { type: 'abort_requested', cause, epoch };
  return { event, rollout: { ...next, epoch, phase } };
}

it('two replicas never both win, and an abort is never passed by', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
      const { id, begun } = await start(stores[0], aService(), env);
      const model: Model = { version: 1, fence: begun.rollout.epoch, asked: false, abortable: true };
      const first = await loaded(stores[0], id);
      const seen: [Loaded, Loaded] = [first, first];
      for (const { actor, does } of steps) {
        const store = stores[actor];
        if (does === 'load') {
          seen[actor] = await loaded(store, id);
        } else if (does === 'ask for abort') {
          const recorded = model.abortable && !model.asked;
          if (recorded) Object.assign(model, { asked: true, fence: model.fence + 1 });
          const answer = await store.requestAbort(id, BO, null);
          expect(answer?.recorded).toBe(recorded);
        } else {
          const from = seen[actor];
          const { event, rollout } = transition(does, from);
          const aborts = event.type === 'abort_requested';
          const current =
            from.rollout.version === model.version && (from.abort?.epoch ?? from.rollout.epoch) === model.fence;
          const wins = current && (aborts || !model.asked);
          const saved = await store.save(from, event, { rollout, messages: [] });
          expect(saved !== 'conflict').toBe(wins);
          if (saved === 'conflict') continue;
          seen[actor] = saved;
          const abortable = model.abortable && does === 'note';
          Object.assign(model, { version: model.version + 1, fence: rollout.epoch, asked: false, abortable });
        }
      }
      const end = await loaded(stores[1], id);
      expect(end.rollout.version).toBe(model.version);
      expect(end.abort?.epoch ?? end.rollout.epoch).toBe(model.fence);
      expect(end.abort !== null).toBe(model.asked);
      const events = await stores[1].events(id);
      expect(events).toHaveLength(model.version);
      expect(verifyChain(events)).toEqual({ ok: true, head: end.head });
      expect(await stores[0].nextEpoch(begun.rollout.plan.target.service, 0)).toBe(model.fence + 1);
    }),
    { numRuns: 150 },
  );
});
