/** `audit`: what was recorded of rollouts, checked against itself and against a log that was kept elsewhere. */
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { verifyChain } from '../adapters/redis/chain.ts';
import type { RedisStore } from '../adapters/redis/store.ts';
import { reasonOf } from '../app/outcome.ts';
import type { RecordedEvent } from '../app/ports/store.ts';
import { DONE, FAILED, type Flags, MISUSED, openStore, say, type Words } from './io.ts';
import { columns } from './text.ts';

/** What a line of the bot's log said of an event. */
type Noted = { readonly version: number; readonly head: string; readonly at: number };
type Log = ReadonlyMap<string, readonly Noted[]>;
type Verdict = { readonly id: string; readonly wrong: boolean; readonly words: string };

/** A bot may record while its events are read. */
const TRIES = 10;
/** Redis forgets ended rollouts after 30 days. */
const KEPT_MS = 29 * 24 * 3_600_000;

export async function audit([what, id]: Words, { log }: Flags): Promise<number> {
  if (what !== 'verify' && what !== 'export') return say(`audit ${what}: write audit verify or audit export`, MISUSED);
  if (what === 'export' && id === undefined) return say('audit export: write the id of a rollout', MISUSED);
  const noted = log === null ? null : await readLog(log);
  const { store } = await openStore();
  try {
    await store.reach();
    return what === 'export' ? await exportEvents(store, id ?? '') : await verify(store, id ?? null, noted);
  } finally {
    await store.close();
  }
}

async function exportEvents(store: RedisStore, id: string): Promise<number> {
  const events = await store.events(id);
  if (events.length === 0) return say(`nothing is recorded of ${id}`, FAILED);
  const lines = events.map(({ version, at, event, hash }) =>
    JSON.stringify({ rollout: id, version, at: new Date(at).toISOString(), event, hash }),
  );
  return say(lines.join('\n'), DONE);
}

async function verify(store: RedisStore, id: string | null, log: Log | null): Promise<number> {
  const kept = await store.kept();
  const recent = [...(log ?? [])].filter(([, lines]) => lines.some(({ at }) => Date.now() - at < KEPT_MS));
  const ids = id === null ? [...new Set([...kept, ...recent.map(([known]) => known)])] : [id];
  const verdicts: Verdict[] = [];
  for (const one of ids) verdicts.push(await verifyOne(store, one, log?.get(one) ?? []));
  const wrong = verdicts.filter((verdict) => verdict.wrong).length;
  const rows = columns(verdicts.map((verdict) => [verdict.id, verdict.wrong ? 'WRONG' : 'ok', verdict.words]));
  const found =
    wrong > 0 ? `${wrong} of ${ids.length} rollouts are not as they were recorded` : 'all is as it was recorded';
  const limits =
    log === null
      ? '; without --log nobody can tell whether a whole rollout was rewritten, cut at its end, or removed'
      : '';
  return say(
    [...rows, ids.length === 0 ? 'nothing is recorded' : `${found}${limits}`].join('\n'),
    wrong > 0 ? FAILED : DONE,
  );
}

async function verifyOne(store: RedisStore, id: string, noted: readonly Noted[]): Promise<Verdict> {
  try {
    const { events, version, head } = await readWhole(store, id);
    const problem = problemOf(events, version, head, noted);
    return problem === null
      ? { id, wrong: false, words: `${version} events, head ${head}` }
      : { id, wrong: true, words: problem };
  } catch (error) {
    return { id, wrong: true, words: `cannot be read: ${reasonOf(error)}` };
  }
}

/** Events and state of one moment. */
async function readWhole(store: RedisStore, id: string) {
  for (let tries = 0; ; tries++) {
    const before = await store.load(id);
    const events = await store.events(id);
    const after = await store.load(id);
    if (!before || !after) throw new Error('there is no such rollout');
    const { head, rollout } = after;
    if (before.head === head || tries === TRIES) return { events, head, version: rollout.version };
  }
}

/** null: none. */
function problemOf(
  events: readonly RecordedEvent[],
  version: number,
  head: string,
  noted: readonly Noted[],
): string | null {
  const chain = verifyChain(events);
  if (!chain.ok) return `event ${chain.version}: ${chain.problem}`;
  if (events.length !== version) return `it has ${events.length} events, and its state is that after ${version}`;
  if (chain.head !== head) return 'its state was recorded after other events than these';
  for (const { version: at, head: known } of noted) {
    const hash = events[at - 1]?.hash;
    if (hash === undefined) return `event ${at} is in the log, and not here`;
    if (hash !== known) return `event ${at} is another one in the log`;
  }
  return null;
}

/** Lines that are no JSON, or of something else, are left out: a log holds more than these. */
async function readLog(path: string): Promise<Log> {
  const log = new Map<string, Noted[]>();
  for await (const line of createInterface({ input: createReadStream(path) })) {
    const { rollout, version, head, time }: Record<string, unknown> = line.includes('"head"') ? parsed(line) : {};
    if (typeof rollout !== 'string' || typeof version !== 'number' || typeof head !== 'string') continue;
    const lines = log.get(rollout) ?? [];
    lines.push({ version, head, at: Date.parse(String(time)) });
    log.set(rollout, lines);
  }
  return log;
}

function parsed(line: string): Record<string, unknown> {
  try {
    return Object(JSON.parse(line));
  } catch {
    return {};
  }
}
