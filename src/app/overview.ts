/** What only looks: help, lists and states of rollouts, and which rollout a thread belongs to. */
import type { Config } from '../core/config.ts';
import type { Rollout } from '../core/rollout.ts';
import { nearest } from '../core/suggest.ts';
import type { Answer } from './answers.ts';
import type { Deploy } from './deploy.ts';
import type { Chat, Loaded, Store } from './ports.ts';

type Deps = {
  readonly config: Config;
  readonly store: Store;
  readonly chat: Chat;
  readonly deploy: Pick<Deploy, 'liveVersion'>;
};

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
    const takes = [...new Set(releases.map(({ version }) => version))].filter((version) => version !== live);
    const shown = releases.map(({ template: _, image: __, ...release }) => release);
    return { kind: 'history', service: given, live, releases: shown, takes };
  }

  async function list(): Promise<Answer> {
    const ids = await store.active(Object.keys(config.services));
    const loaded = await Promise.all(ids.map((id) => store.load(id)));
    return { kind: 'status', rollouts: await Promise.all(found(loaded).map(linked)), service: null, live: null };
  }

  async function status(target: string | null): Promise<Answer> {
    if (target === null) return list();
    const service = Object.hasOwn(config.services, target) ? target : null;
    const id = service ? await store.holder(service) : target;
    const loaded = id === null ? null : await store.load(id);
    if (!service && !loaded) return unknownTarget(target);
    const live = service ? await deploy.liveVersion(service).catch(() => null) : null;
    return {
      kind: 'status',
      rollouts: await Promise.all(found([loaded]).map(linked)),
      service,
      live,
    };
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

  async function rolloutOfThread(thread: { channel: string; ts: string }): Promise<Rollout | null> {
    const ids = await store.active(Object.keys(config.services));
    const all = found(await Promise.all(ids.map((id) => store.load(id))));
    return all.find(({ plan, messages }) => isAt(thread, messages.root, plan.channel)) ?? null;
  }

  return { help, history, list, status, unknownTarget, rolloutOfThread };
}

/** `recorded`: `1700.1`, or `C0OPS/1700.1` when the message is in the fallback channel. */
export function isAt(thread: { channel: string; ts: string }, recorded: string | undefined, own: string): boolean {
  const [ts, channel = own] = (recorded ?? '').split('/').reverse();
  return ts === thread.ts && channel === thread.channel;
}

const found = (loaded: readonly (Loaded | null)[]): readonly Rollout[] =>
  loaded.flatMap((one) => (one ? [one.rollout] : []));
