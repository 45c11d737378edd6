/**
 * What happened, seen by others than the bot: each revision of the objects in the cluster, what Redis holds, and what stands
 * in Slack. The invariants: I1 weights add up, I2 nothing rises after an abort, I3 no step is skipped, I4 one decision for
 * each gate by who may, I5 nothing rises without it, I6 at the end all is given back, I7 one rollout for one command and one
 * at a time, I8 epochs rise, I9 the chain of hashes verifies, I10 what was acknowledged counts, I11 nothing moves on without
 * evidence, I12 it comes to its end, I13 somebody looks while users are on both versions, I14 the events give the state, I15
 * Slack says how it ended and asks nothing more, I16 nothing is taken away under traffic.
 */
import { isDeepStrictEqual } from 'node:util';
import { allKinds, kinds } from '../../playground/api-server/kinds.ts';
import type { Deployment, KubeObject } from '../../playground/api-server/objects.ts';
import { NAMESPACE } from '../../playground/world.ts';
import { createKeys } from '../../src/adapters/redis/keys.ts';
import { createStore } from '../../src/adapters/redis/store.ts';
import type { RecordedEvent } from '../../src/app/ports/store.ts';
import { isTerminal, type Rollout } from '../../src/core/rollout.ts';
import { complaints, type Revision } from '../e2e/support/history.ts';
import type { Ground, Owned } from '../scenarios/support/grounds.ts';
import type { Pair } from '../scenarios/support/pairs.ts';
import type { Stage } from '../scenarios/support/stage.ts';
import type { Message } from '../support/fake-slack/index.ts';
import { recordingLog, withRedis } from '../support/redis.ts';
import { replayAll } from '../support/replay.ts';
import { longestUnwatched, sharedIn, unproved } from './evidence.ts';
import { lifeOf, overlaps, watchEpochs } from './holders.ts';

export type Path = 'approved' | 'aborted';
export type Observer = ReturnType<typeof observe>;

const MARK = 'sluice.dev/';
const APPROVER = 'U0BO';
const DECIDING = /^(approve|promote|hold|abort|retry|keep|re-apply|accept)/i;
/** Twice the interval of the checks, and what a busy machine takes. */
const UNWATCHED_MS = 5_000;
const NEW = 'buoyantio/world:v2';
/** Controllers make and change these. */
const THEIRS: readonly string[] = [
  kinds.pods,
  kinds.replicaSets,
  kinds.endpointSlices,
  kinds.events,
  kinds.serviceProfiles,
].map(({ plural }) => plural);

export function observe(stage: Stage, ground: Ground, { system, weights }: Pair) {
  const { playground, corner, slack } = stage;
  const store = createStore({ ...corner, log: recordingLog() });
  const keys = createKeys(corner.env);
  /** By route object. */
  const revisions = new Map<string, Revision[]>();
  const broken: string[] = [];
  /** Those of stable, with when it first had them. */
  const images = new Map<string, number>();
  const judgeEpoch = watchEpochs();

  const objects = (): readonly KubeObject[] =>
    allKinds
      .filter(({ namespaced, plural }) => namespaced && !THEIRS.includes(plural))
      .flatMap((kind) => playground.store.list(kind, NAMESPACE));
  /** All that its owners have, without Sluice's marks and what Sluice leaves at rest. */
  const owned = (): Owned => {
    const found = objects().map((object) => [nameOf(object), plain(object)] as const);
    return { ...Object.fromEntries(found), ...ground.more() };
  };
  const before = owned();
  /** As it is to be once v2 is live. */
  const after = system.promoted(before);

  const isRouted = () =>
    [...revisions.values()].some((all) => (all.at(-1)?.canary ?? 0) > 0 || all.at(-1)?.preview === true);
  const isPromoted = () => [...revisions.values()].every((all) => all.at(-1)?.stable === 0);
  const unfollow = ground.follow(stage, (object, revision) => {
    const known = revisions.get(object) ?? [];
    if (known.at(-1)?.version !== revision.version) revisions.set(object, [...known, revision]);
  });
  const unsubscribe = playground.store.subscribe(({ type, kind, object, previous }) => {
    if (kind !== kinds.deployments) return;
    const [now, old] = [object as Deployment, previous as Deployment | undefined];
    const isLess = type === 'DELETED' || (now.spec.replicas ?? 1) < (old?.spec.replicas ?? 0);
    const isStable = now.metadata.name === system.stable;
    // The version before keeps its pods as long as a request may come to it.
    const mayRest = system.workload === 'versioned' && isPromoted();
    if (isLess && isStable && !mayRest) broken.push('I16 stable was scaled down');
    else if (isLess && !isStable && isRouted()) broken.push(`I16 ${now.metadata.name} went away with traffic on it`);
    const image = imageOf(now) ?? '';
    if (isStable && !images.has(image)) images.set(image, Date.now());
    broken.push(...judgeEpoch(now));
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
    for (const object of objects()) {
      const isMade = !(nameOf(object) in before) && !(nameOf(object) in after) && !ground.isAtRest(object);
      const isClaimed = object.metadata.annotations?.[`${MARK}phase`] === 'active';
      if (isMade || isClaimed) left.push(`I6 ${nameOf(object)} is ${isMade ? 'left' : 'claimed'}`);
    }
    for (const [name, text] of Object.entries(ground.more())) {
      if (text !== before[name] && text !== after[name]) left.push(`I6 ${name} is ${text}`);
    }
    return left;
  }

  /**
   * What does not hold, after the end. `typed`: how often rollouts were asked for, of which these are the first. `excused`: when
   * no bot could look; null: nobody has to.
   */
  async function violations(
    paths: readonly Path[],
    typed: number,
    excused: Parameters<typeof longestUnwatched>[2] | null = null,
  ): Promise<readonly string[]> {
    const found = [...broken];
    const unwatched =
      excused === null ? 0 : longestUnwatched(sharedIn([...revisions.values()]), playground.prometheus.asked, excused);
    if (unwatched > UNWATCHED_MS) found.push(`I13 for ${unwatched} ms nobody looked at users on both versions`);
    const all = await rollouts();
    if (all.length < paths.length) found.push(`I10 ${all.length} rollouts of ${paths.length}`);
    if (all.length > typed) found.push(`I7 ${all.length} rollouts for ${typed} commands`);
    found.push(...(await replayAll(corner)).problems.map((problem) => `I9 I14 ${problem}`));
    const lived = await Promise.all(all.map(async (rollout) => ({ rollout, events: await store.events(rollout.id) })));
    found.push(...overlaps(lived.map(({ rollout, events }) => lifeOf(rollout, events))));
    for (const [n, path] of paths.entries()) {
      const { rollout, events } = lived[n] ?? {};
      if (!rollout || !events) continue;
      const approved = events.filter(({ event }) => event.type === 'approved').map(({ at }) => at);
      for (const [object, seen] of revisions) {
        const own = seen.filter(ofRollout(rollout.id));
        const missed =
          path === 'approved' ? weights.filter((weight) => !own.some(({ canary }) => canary === weight)) : [];
        const wrong = [...complaints(own, weights, approved), ...missed.map((weight) => `I3 it never had ${weight}%`)];
        found.push(...wrong.map((one) => `${object}: ${one}`));
      }
      // The first one that goes live: for later ones stable has had this template before.
      const promotedAt = n === paths.indexOf('approved') ? images.get(NEW) : undefined;
      if (promotedAt !== undefined && system.workload !== 'in-place' && promotedAt < (approved.at(-1) ?? 0))
        found.push('I5 stable got the new template before the last approval');
      if (revisions.size === 0) found.push('nothing was seen of what routes');
      found.push(...decisions(rollout, events), ...unproved(events));
      const wanted = path === 'approved' ? 'succeeded' : 'aborted';
      if (rollout.phase.kind !== wanted) found.push(`it is ${JSON.stringify(rollout.phase)}, not ${wanted}`);
    }
    found.push(...ending(paths.at(-1) ?? 'aborted'));
    if (!paths.includes('approved') && system.workload !== 'in-place' && images.has(NEW))
      found.push('I5 stable got the new template without an approval');
    for (const one of all) found.push(...told(one));
    const refused = slack.violations.filter(({ level }) => level === 'error');
    found.push(...refused.map(({ method, what }) => `Slack refuses ${method}: ${what}`));
    return found;
  }

  /** All is as it was, but for the version. */
  function ending(path: Path): readonly string[] {
    const found: string[] = [];
    const now = owned();
    const wanted = path === 'approved' ? after : before;
    for (const name of new Set([...Object.keys(wanted), ...Object.keys(now)])) {
      if (!isDeepStrictEqual(now[name], wanted[name]))
        found.push(`I6 ${name} is ${JSON.stringify(now[name])}, not ${JSON.stringify(wanted[name])}`);
    }
    return found;
  }

  function told({ id, phase }: Rollout): readonly string[] {
    const found: string[] = [];
    const messages = slack.workspace.messages.filter((one) => !one.deleted && keyOf(one, id) !== null);
    for (const [key, same] of Map.groupBy(messages, (one) => keyOf(one, id) ?? '')) {
      if (same.length > 1) found.push(`${key} stands ${same.length} times in Slack`);
    }
    const of = (key: string) => messages.findLast((one) => keyOf(one, id) === key);
    const words = phase.kind === 'succeeded' ? /is live/ : /aborted|stopped|did not start|refused by the cluster/;
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

  /** The object, unless Sluice leaves it at rest. */
  function plain(object: KubeObject): unknown {
    if (ground.isAtRest(object)) return undefined;
    const { metadata, spec } = object;
    const annotations = Object.entries(metadata.annotations ?? {}).filter(
      ([key]) => !/^(sluice\.dev|deployment\.kubernetes\.io)\//.test(key),
    );
    // Each Kubernetes Service gets another address; the copy says no field that is undefined.
    const { clusterIP: _, clusterIPs: __, ...rest } = Object(spec);
    return JSON.parse(JSON.stringify({ labels: metadata.labels ?? {}, annotations, spec: rest }));
  }

  return {
    rollouts,
    waiting,
    unfinished,
    violations,
    show: () =>
      [...revisions]
        .flatMap(([object, seen]) =>
          seen.map(({ version, canary, marks }) => `${object} #${version} ${canary}% ${JSON.stringify(marks)}`),
        )
        .join('\n'),
    async stop() {
      unfollow();
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

const nameOf = ({ kind, metadata }: KubeObject) => `${kind} ${metadata.name}`;

const imageOf = (deployment: Deployment | undefined) => deployment?.spec.template.spec.containers[0]?.image;

function keyOf({ metadata }: Message, rollout: string): string | null {
  const { event_payload: payload } = Object(metadata) as { event_payload?: { rollout?: string; key?: string } };
  return payload?.rollout === rollout ? (payload.key ?? null) : null;
}
