/**
 * People upgrade while rollouts run: what an earlier Sluice wrote is read, replayed and gone on with. A golden file is what Redis
 * held then, byte by byte; it is never changed.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { verifyChain } from '../../../src/adapters/redis/chain.ts';
import { createStore, type RedisStore } from '../../../src/adapters/redis/store.ts';
import type { Event, Note } from '../../../src/core/event.ts';
import type { AbortCause, Phase, Rollout } from '../../../src/core/rollout.ts';
import { next, nextLook } from '../../../src/core/schedule.ts';
import { loaded } from '../../contracts/store.ts';
import { recordingLog, redisCorner } from '../../support/redis.ts';
import { replay } from '../../support/replay.ts';
import { type Golden, recordAll, restore } from './recorded.ts';

const FOLDER = new URL('./golden/', import.meta.url);
const RECORD =
  'SLUICE_RECORD_GOLDEN=events-<year>-<month> node tools/run.mjs test test/adapters/redis/upgrade.test.ts, `biome check --write` the new file, and commit it';

const recordAs = process.env.SLUICE_RECORD_GOLDEN;
const files = readdirSync(FOLDER).sort();
const read = (file: string): Golden => JSON.parse(readFileSync(new URL(file, FOLDER), 'utf8'));

let corner: ReturnType<typeof redisCorner>;
let store: RedisStore;
beforeEach(() => {
  corner = redisCorner();
  store = createStore({ ...corner, log: recordingLog() });
});
afterEach(async () => {
  await store.close();
  await corner.clear();
});

describe.each(files)('what the Sluice of %s wrote', (file) => {
  const stays = `An upgrade would lose rollouts that run. Make Sluice read it again (a field that is missing, an old name), and leave golden/${file} as it is.`;

  it.each(read(file).rollouts.map((kept) => [kept.id, kept] as const))('is read and replayed: %s', async (id, kept) => {
    await restore(corner, kept);
    const { rollout, head, abort, now } = await loaded(store, id);
    const events = await store.events(id);
    expect(verifyChain(events), stays).toEqual({ ok: true, head });
    const replayed = replay(events);
    expect(JSON.parse(JSON.stringify(replayed)), stays).toEqual(rollout);
    expect(abort !== null, stays).toBe('abort' in kept.state);
    // It is gone on with.
    expect(() => [next(rollout, now), nextLook(rollout)], stays).not.toThrow();
    expect(
      (await store.unsent(id)).map(({ entry }) => entry),
      stays,
    ).toEqual(kept.outbox.map(([entry]) => entry));
  });
});

/** Compile errors here say what is new: it has to be played in `recorded.ts`, and recorded. */
const EVENTS: Record<Event['type'], true> = {
  ...{
    requested: true,
    claimed: true,
    created: true,
    canary_ready: true,
    start_failed: true,
    scaled: true,
    routed: true,
  },
  ...{ confirmed: true, tested: true, baked: true, judged: true, sampled: true, drifted: true, write_refused: true },
  ...{
    lost: true,
    approved: true,
    held: true,
    gate_reminded: true,
    gate_expired: true,
    reapplied: true,
    accepted: true,
  },
  ...{ retried: true, kept: true, template_set: true, stable_ready: true, promotion_late: true, cooled: true },
  ...{ cool_down_cut: true, cleaned: true, disputed: true, abort_requested: true, overtaken: true, reverted: true },
  ...{ refenced: true, abort_stalled: true, stalled: true, resumed: true, message_delivered: true },
};
const NOTES: Record<Note['kind'], true> = {
  ...{ reminder: true, unconfirmed: true, 'abort stalled': true, stalled: true, resumed: true, disputed: true },
};
const PHASES: Record<Phase['kind'], true> = {
  ...{ queued: true, starting: true, stepping: true, waiting: true, drifted: true, promoting: true, halted: true },
  ...{ aborting: true, succeeded: true, aborted: true },
};
const CAUSES: Record<AbortCause['kind'], true> = {
  ...{ person: true, check: true, 'not started': true, expired: true, 'refused by the cluster': true, lost: true },
  ...{ 'given up': true, fenced: true },
};

it('the golden files have every event, note, phase and cause of an abort', async () => {
  const seen = { events: new Set(), notes: new Set(), phases: new Set(), causes: new Set() };
  for (const kept of files.flatMap((file) => read(file).rollouts)) {
    await restore(corner, kept);
    for (const { outgoing } of await store.unsent(kept.id)) if (outgoing.note) seen.notes.add(outgoing.note.kind);
    const events = await store.events(kept.id);
    for (const [index, { event }] of events.entries()) {
      seen.events.add(event.type);
      const { phase } = replay(events.slice(0, index + 1)) as Rollout;
      seen.phases.add(phase.kind);
      if ('cause' in phase) seen.causes.add(phase.cause.kind);
    }
    await corner.clear();
  }
  const missing = Object.entries({ events: EVENTS, notes: NOTES, phases: PHASES, causes: CAUSES }).flatMap(
    ([what, all]) => Object.keys(all).filter((kind) => !seen[what as keyof typeof seen].has(kind)),
  );
  expect(missing, `play them in recorded.ts, and record one more golden file: ${RECORD}`).toEqual([]);
});

it('what is written today has the form of the newest golden file', async () => {
  const today = await recordAll(store, corner);
  if (recordAs !== undefined) {
    writeFileSync(new URL(`${recordAs}.json`, FOLDER), `${JSON.stringify(today, null, 2)}\n`, { flag: 'wx' });
    return;
  }
  const newest = read(files.at(-1) ?? '');
  expect(
    await formOf(today),
    `Redis holds something in another form. Take the change back if it was not meant; else see to it that the older files are still read (above), leave them as they are, and record one more: ${RECORD}`,
  ).toEqual(await formOf(newest));
});

/** Keys, kinds and types of all that is kept, by rollout: what differs from one recording to the next is left out. */
async function formOf({ rollouts }: Golden): Promise<unknown> {
  await corner.clear();
  const forms: Record<string, unknown> = {};
  for (const kept of rollouts) {
    await restore(corner, kept);
    const { rollout } = await loaded(store, kept.id);
    const events = (await store.events(kept.id)).map(({ event }) => event);
    const unsent = (await store.unsent(kept.id)).map(({ outgoing }) => outgoing);
    forms[kept.id] = { fields: Object.keys(kept.state).sort(), ...(form({ rollout, events, unsent }) as object) };
  }
  return forms;
}

const TELLING = new Set(['type', 'kind', 'stage', 'key', 'verdict', 'resume']);

/** Older ones have no time in the key of a note. */
const NOTE = /^(note:\d+):\d+$/;

function form(value: unknown, key = ''): unknown {
  if (Array.isArray(value)) return value.map((one) => form(one));
  if (typeof value !== 'object' || value === null)
    return TELLING.has(key) ? (NOTE.exec(`${value}`)?.[1] ?? value) : value === null ? null : typeof value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, form(one, name)]));
}
