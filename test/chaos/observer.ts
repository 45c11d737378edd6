/**
 * What happened, seen by others than the bot: each revision of the objects in the cluster, what Redis holds, and what stands
 * in Slack. The invariants: I1 weights add up, I2 nothing rises after an abort, I3 no step is skipped, I4 one decision for each
 * gate by who may, I5 nothing rises without it, I6 at the end all is given back, I7 one rollout for one command, I8 epochs rise,
 * I9 the chain of hashes verifies, I10 what was acknowledged counts, I12 it comes to its end, I14 the events give the state,
 * I15 Slack says how it ended and asks nothing more, I16 nothing is taken away under traffic.
 */
import { kinds } from '../../playground/api-server/kinds.ts';
import type { Deployment, HttpRoute } from '../../playground/api-server/objects.ts';
import { createKeys } from '../../src/adapters/redis/keys.ts';
import { createStore } from '../../src/adapters/redis/store.ts';
import type { RecordedEvent } from '../../src/app/ports.ts';
import { isTerminal, type Rollout } from '../../src/core/rollout.ts';
import { complaints, type Revision } from '../e2e/support/history.ts';
import type { Stage } from '../scenarios/support/stage.ts';
import type { Message } from '../support/fake-slack/index.ts';
import { recordingLog, withRedis } from '../support/redis.ts';
import { replayAll } from '../support/replay.ts';

export type Path = 'approved' | 'aborted';
export type Observer = ReturnType<typeof observe>;

/** Weights of the steps. */
const PLAN = [50, 100];
const MARK = 'sluice.dev/';
const APPROVER = 'U0BO';
const DECIDING = /^(approve|promote|hold|abort|retry|keep|re-apply|accept)/i;
const OLD = 'buoyantio/world:v1';
const NEW = 'buoyantio/world:v2';

export function observe(stage: Stage) {
  const { playground, corner, slack } = stage;
  const store = createStore({ ...corner, log: recordingLog() });
  const keys = createKeys(corner.env);
  const revisions: Revision[] = [];
  const broken: string[] = [];
  const images = new Set<string>();
  const before = stage.get(kinds.httpRoutes, 'world')?.spec;

  const unsubscribe = playground.store.subscribe(({ type, kind, object, previous }) => {
    if (kind === kinds.httpRoutes) revisions.push(revisionOf(object as HttpRoute));
    if (kind !== kinds.deployments) return;
    const [now, old] = [object as Deployment, previous as Deployment | undefined];
    const routed = (revisions.at(-1)?.canary ?? 0) > 0;
    const isLess = type === 'DELETED' || (now.spec.replicas ?? 1) < (old?.spec.replicas ?? 0);
    if (isLess && now.metadata.name === 'world') broken.push('I16 stable was scaled down');
    else if (isLess && routed) broken.push(`I16 ${now.metadata.name} went away with traffic on it`);
    if (now.metadata.name === 'world') images.add(imageOf(now) ?? '');
  });

  /** Oldest first. */
  async function rollouts(): Promise<readonly Rollout[]> {
    const ids = new Set<string>();
    await withRedis(corner.url, async (redis) => {
      for await (const found of redis.scanStream({ match: `${keys.service('world').rollouts}*`, count: 1_000 })) {
        for (const key of found as string[])
          ids.add(key.slice(keys.service('world').rollouts.length).split(':')[0] ?? '');
      }
    });
    const loaded = await Promise.all([...ids].map((id) => store.load(id)));
    return loaded.flatMap((one) => one?.rollout ?? []).toSorted((a, b) => a.requestedAt - b.requestedAt);
  }

  /** Requests that are recorded and not yet carried out. */
  const waiting = async () => (await store.intakes('world')).length;

  /** What is not over yet; empty: all is. */
  async function unfinished(): Promise<readonly string[]> {
    const all = await rollouts();
    const left = all.filter((one) => !isTerminal(one)).map((one) => `I12 ${one.id} is ${JSON.stringify(one.phase)}`);
    if ((await waiting()) > 0) left.push('I6 requests wait in the inbox');
    if ((await store.holder('world')) !== null) left.push('I6 the lock is held');
    for (const { id } of all) {
      const unsent = await store.unsent(id);
      if (unsent.length > 0) left.push(`I6 unsent: ${unsent.map(({ outgoing }) => outgoing.key)}`);
    }
    const hints = await withRedis(corner.url, (redis) =>
      Promise.all([redis.zrange(keys.due, '0', '-1'), redis.zrange(keys.unsent, '0', '-1')]),
    );
    if (hints.flat().length > 0) left.push(`I6 due or unsent: ${hints.flat()}`);
    if (stage.get(kinds.deployments, 'world-canary')) left.push('I6 the canary is left');
    const claimed = [stage.get(kinds.httpRoutes, 'world'), stage.get(kinds.deployments, 'world')];
    for (const object of claimed) {
      if (object?.metadata.annotations?.[`${MARK}phase`] === 'active') left.push(`I6 ${object.kind} is claimed`);
    }
    return left;
  }

  /** What does not hold, after the end. `typed`: how often the rollout was asked for. */
  async function violations(path: Path, typed: number): Promise<readonly string[]> {
    const found = [...broken];
    const all = await rollouts();
    const [rollout] = all;
    if (!rollout) return ['I10 there is no rollout'];
    if (all.length > typed) found.push(`I7 ${all.length} rollouts for ${typed} commands`);
    found.push(...(await replayAll(corner)).problems.map((problem) => `I9 I14 ${problem}`));
    const events = await store.events(rollout.id);
    const approved = events.filter(({ event }) => event.type === 'approved');
    found.push(
      ...complaints(
        revisions.filter(ofRollout(rollout.id)),
        PLAN,
        approved.map(({ at }) => at),
      ),
    );
    found.push(...decisions(rollout, events));
    found.push(...(await ending(rollout, path)));
    for (const one of all) found.push(...told(one));
    const refused = slack.violations.filter(({ level }) => level === 'error');
    found.push(...refused.map(({ method, what }) => `Slack refuses ${method}: ${what}`));
    return found;
  }

  async function ending(rollout: Rollout, path: Path): Promise<readonly string[]> {
    const found: string[] = [];
    const wanted = path === 'approved' ? 'succeeded' : 'aborted';
    if (rollout.phase.kind !== wanted) found.push(`it is ${JSON.stringify(rollout.phase)}, not ${wanted}`);
    const serves = imageOf(stage.get(kinds.deployments, 'world'));
    if (serves !== (path === 'approved' ? NEW : OLD)) found.push(`I6 stable serves ${serves}`);
    if (path === 'aborted' && images.has(NEW)) found.push('I5 stable got the new template without an approval');
    const route = stage.get(kinds.httpRoutes, 'world')?.spec;
    if (JSON.stringify(route) !== JSON.stringify(before)) found.push(`I6 the route is ${JSON.stringify(route)}`);
    return found;
  }

  function told({ id, phase }: Rollout): readonly string[] {
    const found: string[] = [];
    const messages = slack.workspace.messages.filter((one) => !one.deleted && keyOf(one, id) !== null);
    for (const [key, same] of Map.groupBy(messages, (one) => keyOf(one, id) ?? '')) {
      if (same.length > 1) found.push(`${key} stands ${same.length} times in Slack`);
    }
    const of = (key: string) => messages.findLast((one) => keyOf(one, id) === key);
    const words = phase.kind === 'succeeded' ? /is live/ : /aborted|stopped|did not start/;
    for (const key of ['root', 'result']) {
      const message = of(key);
      if (!message) found.push(`I15 no ${key} message`);
      else if (!words.test(`${message.text}\n${slack.words(message)}`)) found.push(`I15 ${key} says "${message.text}"`);
    }
    for (const message of messages) {
      const left = slack.buttons(message).filter((label) => DECIDING.test(label));
      if (left.length > 0) found.push(`I15 ${keyOf(message, id)} still has ${left}`);
    }
    return found;
  }

  return {
    rollouts,
    waiting,
    unfinished,
    violations,
    show: () =>
      revisions.map(({ version, canary, marks }) => `#${version} ${canary}% ${JSON.stringify(marks)}`).join('\n'),
    async stop() {
      unsubscribe();
      await store.close();
    },
  };
}

/** I4: one decision for each gate, by who may. */
function decisions({ gates }: Rollout, events: readonly RecordedEvent[]): readonly string[] {
  const found: string[] = [];
  for (const { id, decision } of gates) {
    if (decision === null) found.push(`I4 gate ${id} has no decision`);
    const approvals = events.flatMap(({ event }) =>
      event.type === 'approved' && event.gate === id ? [event.actor] : [],
    );
    if (approvals.length > 1) found.push(`I4 gate ${id} was approved ${approvals.length} times`);
    for (const actor of approvals)
      if (actor.kind !== 'person' || actor.user !== APPROVER) found.push(`I4 gate ${id} by ${JSON.stringify(actor)}`);
  }
  return found;
}

/** Its own revisions, and the one before. */
const ofRollout = (id: string) => (revision: Revision, index: number, all: readonly Revision[]) =>
  revision.marks.rollout === id || all[index + 1]?.marks.rollout === id;

const imageOf = (deployment: Deployment | undefined) => deployment?.spec.template.spec.containers[0]?.image;

function keyOf({ metadata }: Message, rollout: string): string | null {
  const { event_payload: payload } = Object(metadata) as { event_payload?: { rollout?: string; key?: string } };
  return payload?.rollout === rollout ? (payload.key ?? null) : null;
}

function revisionOf({ metadata, spec }: HttpRoute): Revision {
  const isPreview = (rule: NonNullable<HttpRoute['spec']['rules']>[number]) =>
    rule.matches?.some(({ headers }) => headers && headers.length > 0) ?? false;
  const refs = spec.rules?.find((rule) => !isPreview(rule))?.backendRefs ?? [];
  const sum = (some: readonly { readonly weight?: number }[]) =>
    some.reduce((all, { weight }) => all + (weight ?? 1), 0);
  const canary = sum(refs.filter(({ name }) => name === 'world-canary'));
  const alone = refs.length === 1 && canary === 0;
  return {
    at: Date.now(),
    version: metadata.resourceVersion,
    canary,
    stable: alone ? 100 : sum(refs) - canary,
    preview: spec.rules?.some(isPreview) ?? false,
    marks: Object.fromEntries(
      Object.entries(metadata.annotations ?? {})
        .filter(([key]) => key.startsWith(MARK) && !key.endsWith('restore'))
        .map(([key, value]) => [key.slice(MARK.length), value]),
    ),
  };
}
