/** What only looks: help, lists and states of rollouts, and which rollout a thread belongs to. */
import type { Config } from '../core/config.ts';
import { isSamePlace, type Place, parsePlace } from '../core/place.ts';
import { isTerminal, type Rollout } from '../core/rollout.ts';
import { nearest } from '../core/suggest.ts';
import type { Answer } from './answers.ts';
import { type Deploy, takesRevisions } from './deploy.ts';
import type { Chat } from './ports/chat.ts';
import type { Store } from './ports/store.ts';
import { orUnreadable } from './unreadable.ts';

type Deps = {
  readonly config: Config;
  readonly store: Store;
  readonly chat: Chat;
  readonly deploy: Pick<Deploy, 'liveVersion' | 'revisions'>;
};

/** One message holds no more. */
const LISTED = 20;

export function createOverview({ config, store, chat, deploy }: Deps) {
  function help(): Answer {
    return {
      kind: 'help',
      services: Object.values(config.services).map(({ name, strategies }) => ({ name, strategies })),
    };
  }

  /** What served, and what can be gone back to. */
  async function history(given: string): Promise<Answer> {
    const known = Object.keys(config.services);
    if (!Object.hasOwn(config.services, given))
      return { kind: 'unknown service', given, near: nearest(given, known), known };
    const releases = await store.releases(given);
    const live = await deploy.liveVersion(given).catch(() => null);
    const versions = [...new Set(releases.map(({ version }) => version))];
    const shown = releases.map(({ template: _, image: __, ...release }) => release);
    const kept = await deploy.revisions(given).catch(() => []);
    return {
      kind: 'history',
      service: given,
      live,
      releases: shown,
      takes: versions.filter((version) => version !== live),
      revisions: kept.map(({ revision, version, image, cause, isLive }) => ({
        ...{ revision, version: version ?? image, cause, isLive },
      })),
      takesRevisions: takesRevisions(live === null ? versions : [live, ...versions]),
    };
  }

  async function list(): Promise<Answer> {
    const ids = await running();
    const found = await linkAll(ids.slice(0, LISTED));
    return { kind: 'status', ...found, more: Math.max(0, ids.length - LISTED), service: null, live: null };
  }

  async function status(target: string | null): Promise<Answer> {
    if (target === null) return list();
    const service = Object.hasOwn(config.services, target) ? target : null;
    const id = service ? await store.holder(service) : target;
    const found = await linkAll(id === null ? [] : [id]);
    if (!service && found.rollouts.length + found.unreadable.length === 0) return unknownTarget(target);
    const live = service ? await deploy.liveVersion(service).catch(() => null) : null;
    return { kind: 'status', ...found, more: 0, service, live };
  }

  const running = () => store.active(Object.keys(config.services));

  /** One that cannot be read hides no other. */
  async function loadAll(ids: readonly string[]) {
    const found = await Promise.all(ids.map((id) => orUnreadable(() => store.load(id))));
    return {
      rollouts: found.flatMap((one) => (one && 'rollout' in one ? [one.rollout] : [])),
      unreadable: found.flatMap((one) => (one && 'problem' in one ? [one.problem] : [])),
    };
  }

  async function linkAll(ids: readonly string[]) {
    const { rollouts, unreadable } = await loadAll(ids);
    return { rollouts: await Promise.all(rollouts.map(linked)), unreadable };
  }

  const linked = async (rollout: Rollout) => ({ rollout, link: await link(rollout) });

  async function link(rollout: Rollout): Promise<string | null> {
    const root = rollout.messages.root;
    return root === undefined ? null : chat.permalink(rollout.plan.channel, root).catch(() => null);
  }

  function unknownTarget(given: string): Answer {
    const known = Object.keys(config.services);
    if (known.includes(given)) return { kind: 'no rollout', given };
    const near = nearest(given, known);
    return near ? { kind: 'unknown service', given, near, known } : { kind: 'no rollout', given };
  }

  /** The one that runs; null: it has ended, or there never was one. */
  async function rolloutOfThread(thread: Place): Promise<Rollout | null> {
    const id = await store.rolloutIn(thread, Object.keys(config.services));
    const { rollouts } = await loadAll(id === null ? [] : [id]);
    const isMeant = ({ plan, messages: { root } }: Rollout) =>
      root !== undefined && isSamePlace(thread, parsePlace(root, plan.channel));
    return rollouts.find((rollout) => !isTerminal(rollout) && isMeant(rollout)) ?? null;
  }

  return { help, history, list, status, unknownTarget, rolloutOfThread };
}
