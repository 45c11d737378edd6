/** What Sluice asks of an API server: few small calls, and views that watch. */
import { z } from 'zod';
import type { Log } from '../../app/ports/log.ts';
import { createChanges, type Listener } from './changes.ts';
import { ApiFault, type Outcome, readError, toFault } from './errors.ts';
import { apiVersion, type Held, headOf, type Kind, nameOf, pathOf, type Ref, read } from './kinds.ts';
import { createLeftOut } from './left-out.ts';
import { isActive, type Op, readMarks } from './marks.ts';
import { missingRights, type Need, rulesReview } from './rights.ts';
import { createView, type View, type WatchEvent } from './view.ts';

type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE';
type Answer = { readonly status: number; readonly body: unknown };

/** One API server, with credentials. Both throw when it cannot be reached; `send` within 3 s. */
export type Connection = {
  send(method: Method, path: string, query: Record<string, string>, body?: unknown): Promise<Answer>;
  /** Resolves when the server has accepted the watch; throws `ApiFault` when it has not. */
  stream(path: string, query: Record<string, string>, signal: AbortSignal): Promise<AsyncIterable<WatchEvent>>;
  close(): Promise<void>;
};

/** What is given of an object to be made. */
export type Draft = {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** As `belongsTo` gives them. */
  readonly ownerReferences?: readonly unknown[];
  readonly spec: Readonly<Record<string, unknown>>;
};

export type Cluster = {
  get<T extends Held>(kind: Kind<T>, ref: Ref): Promise<T | null>;
  /** From the watched copies when there are some, else one LIST; without what cannot be read, which is logged. */
  list<T extends Held>(kind: Kind<T>, namespace: string): Promise<readonly T[]>;
  create<T extends Held>(kind: Kind<T>, ref: Ref, draft: Draft): Promise<Outcome<T>>;
  /** One JSON Patch: all operations or none. */
  patch<T extends Held>(kind: Kind<T>, ref: Ref, ops: readonly Op[]): Promise<Outcome<T>>;
  /** What a patch would leave, with what webhooks of the cluster make of it; nothing is stored. */
  tryOut<T extends Held>(kind: Kind<T>, ref: Ref, ops: readonly Op[]): Promise<Outcome<T>>;
  /** Deletes exactly the object that was read. */
  remove(kind: Kind, object: Held): Promise<Outcome<null>>;
  /**
   * Which of these rights are missing, or that nobody knows us, as sentences with the remedy. An answer is kept for 2 s, but
   * for one in which something was missing that cannot be done without.
   */
  missingRights(namespace: string, needs: readonly Need[]): Promise<readonly string[]>;
  /** The watched objects of a namespace; opened at first use, shared, closed when idle. */
  view<T extends Held>(kind: Kind<T>, namespace: string, labels?: string): View<T>;
  /** Versions in which an API group is served, the server's favourite first; empty: not at all. Asked every ten minutes. */
  versions(group: string): Promise<readonly string[]>;
  /** Whether the API server has a kind, in its version; every account may ask. */
  serves(kind: Pick<Kind, 'group' | 'version' | 'plural'>): Promise<boolean>;
  /** Last known copy, when its kind is being watched. */
  peek<T extends Held>(kind: Kind<T>, ref: Ref): T | null;
  /** Told soon after watched objects of rollouts changed. Opens nothing by itself. Answers how to stop. */
  onChange(listener: Listener): () => void;
  close(): Promise<void>;
};

/** For all that look before one rollout; what was granted or taken away since counts at the next. */
const RIGHTS_KEPT_MS = 2_000;
const SWEEP_MS = 15_000;
const REVIEWS = '/apis/authorization.k8s.io/v1/selfsubjectrulesreviews';
const UNAUTHORIZED =
  'The API server does not take the credentials (401 Unauthorized): they have expired or belong to another cluster; renew the kubeconfig that KUBECONFIG names.';

const VERSIONS_KEPT_MS = 600_000;
const groupBody = z.object({
  preferredVersion: z.object({ version: z.string() }).optional(),
  versions: z.array(z.object({ version: z.string() })),
});

const resourcesBody = z.object({ resources: z.array(z.object({ name: z.string() })) });

const listBody = z.object({
  metadata: z.object({ resourceVersion: z.string() }),
  items: z.array(z.unknown()).nullish(),
});

export function createApi(connection: Connection, log: Log): Cluster {
  const changes = createChanges();
  const views = new Map<string, View<Held>>();
  const groups = new Map<string, { at: number; versions: readonly string[] }>();
  const reviews = new Map<string, { at: number; review: Promise<z.infer<typeof rulesReview>> }>();

  const keyOf = (kind: Kind, namespace: string, labels = '') => `${kind.group}/${kind.plural} ${namespace} ${labels}`;
  const opened = <T extends Held>(kind: Kind<T>, namespace: string, labels?: string) =>
    // The key names the kind, so what it finds is a view of that kind.
    views.get(keyOf(kind, namespace, labels)) as View<T> | undefined;

  async function send(
    subject: string,
    ...[method, path, query, body]: Parameters<Connection['send']>
  ): Promise<Answer> {
    try {
      return await connection.send(method, path, query, body);
    } catch (cause) {
      throw new Error(`${method} ${subject}`, { cause });
    }
  }

  async function readVersions(group: string): Promise<readonly string[]> {
    const answer = await send(`API group ${group}`, 'GET', `/apis/${group}`, {});
    if (answer.status === 404) return [];
    if (answer.status >= 400) throw toFault(`API group ${group}`, answer.status, answer.body);
    const { preferredVersion, versions } = groupBody.parse(answer.body);
    return [
      ...new Set([...(preferredVersion ? [preferredVersion.version] : []), ...versions.map((one) => one.version)]),
    ];
  }

  async function learnVersions(group: string): Promise<readonly string[]> {
    const versions = await readVersions(group);
    // A group that is missing may be installed the next moment.
    if (versions.length > 0) groups.set(group, { at: performance.now(), versions });
    return versions;
  }

  async function readList(kind: Kind, namespace: string, labels?: string) {
    const subject = `${kind.plural} in namespace ${namespace}`;
    const answer = await send(subject, 'GET', pathOf(kind, namespace), labels ? { labelSelector: labels } : {});
    if (answer.status >= 400) throw toFault(subject, answer.status, answer.body);
    const { metadata, items } = listBody.parse(answer.body);
    return { items: items ?? [], resourceVersion: metadata.resourceVersion };
  }

  const leftOut = createLeftOut(log);
  async function listed<T extends Held>(kind: Kind<T>, namespace: string): Promise<readonly T[]> {
    const { items } = await readList(kind, namespace);
    const unreadable: string[] = [];
    const objects = items.flatMap((item) => {
      const key = nameOf(kind, { namespace, name: headOf(item)?.name ?? '' });
      const object = leftOut.read(key, item, (given) => read(kind, given));
      if (!object) unreadable.push(key);
      return object ? [object] : [];
    });
    leftOut.forgetOthers(nameOf(kind, { namespace, name: '' }), unreadable);
    return objects;
  }

  async function write<T extends Held>(
    kind: Kind<T>,
    ref: Ref,
    method: 'POST' | 'PATCH',
    body: unknown,
  ): Promise<Outcome<T>> {
    const outcome = await ask(kind, ref, method, body);
    if (outcome.ok) opened(kind, ref.namespace)?.put(outcome.object);
    return outcome;
  }

  async function ask<T extends Held>(
    kind: Kind<T>,
    ref: Ref,
    method: 'POST' | 'PATCH',
    body: unknown,
    options: Readonly<Record<string, string>> = {},
  ): Promise<Outcome<T>> {
    const path = pathOf(kind, ref.namespace, method === 'PATCH' ? ref.name : undefined);
    // Strict: an API server that does not know a field says so instead of dropping it silently.
    const answer = await send(nameOf(kind, ref), method, path, { fieldValidation: 'Strict', ...options }, body);
    if (answer.status >= 400) return { ok: false, error: readError(nameOf(kind, ref), answer.status, answer.body) };
    return { ok: true, object: read(kind, answer.body) };
  }

  async function review(namespace: string) {
    const body = { apiVersion: 'authorization.k8s.io/v1', kind: 'SelfSubjectRulesReview', spec: { namespace } };
    const answer = await send(`SelfSubjectRulesReview in namespace ${namespace}`, 'POST', REVIEWS, {}, body);
    if (answer.status >= 400)
      throw toFault(`SelfSubjectRulesReview in namespace ${namespace}`, answer.status, answer.body);
    return rulesReview.parse(answer.body);
  }

  const sweep = setInterval(() => {
    for (const [key, view] of views) {
      if (!view.idle(performance.now())) continue;
      view.close();
      views.delete(key);
    }
  }, SWEEP_MS);
  sweep.unref();

  return {
    async get(kind, ref) {
      const answer = await send(nameOf(kind, ref), 'GET', pathOf(kind, ref.namespace, ref.name), {});
      if (answer.status === 404) return null;
      if (answer.status >= 400) throw toFault(nameOf(kind, ref), answer.status, answer.body);
      const object = read(kind, answer.body);
      opened(kind, ref.namespace)?.put(object);
      return object;
    },
    list: async (kind, namespace) => opened(kind, namespace)?.live() ?? listed(kind, namespace),
    create: (kind, ref, { spec, ...metadata }) =>
      write(kind, ref, 'POST', {
        apiVersion: apiVersion(kind),
        kind: kind.kind,
        metadata: { ...ref, ...metadata },
        spec,
      }),
    patch: (kind, ref, ops) => write(kind, ref, 'PATCH', ops),
    tryOut: (kind, ref, ops) => ask(kind, ref, 'PATCH', ops, { dryRun: 'All' }),
    async remove(kind, object) {
      const { namespace, name, uid, resourceVersion } = object.metadata;
      const subject = nameOf(kind, object.metadata);
      const body = { propagationPolicy: 'Background', preconditions: { uid, resourceVersion } };
      const answer = await send(subject, 'DELETE', pathOf(kind, namespace, name), {}, body);
      if (answer.status >= 400) return { ok: false, error: readError(subject, answer.status, answer.body) };
      opened(kind, namespace)?.forget(object);
      return { ok: true, object: null };
    },
    async missingRights(namespace, needs) {
      const known = reviews.get(namespace);
      const asked =
        known && performance.now() - known.at < RIGHTS_KEPT_MS
          ? known
          : { at: performance.now(), review: review(namespace) };
      reviews.set(namespace, asked);
      try {
        const missing = missingRights(await asked.review, needs, namespace);
        // Whoever grants it tries again at once.
        const isNeeded = missing.length > 0 && needs.some(({ isOptional }) => !isOptional);
        if (isNeeded && reviews.get(namespace) === asked) reviews.delete(namespace);
        return missing;
      } catch (error) {
        reviews.delete(namespace);
        if (error instanceof ApiFault && error.status === 401) return [UNAUTHORIZED];
        throw error;
      }
    },
    view<T extends Held>(kind: Kind<T>, namespace: string, labels?: string) {
      const known = opened(kind, namespace, labels);
      if (known) return known;
      const selected = labels ? { labelSelector: labels } : {};
      const view = createView<T>(
        {
          open: (query, signal) => connection.stream(pathOf(kind, namespace), { ...query, ...selected }, signal),
          list: () => readList(kind, namespace, labels),
          parse: (object) => read(kind, object),
          changed: (object, before) => {
            // Marks that somebody took off are on the copy of before.
            const copies = [object, ...(before ? [before] : [])];
            if (!labels && !copies.some(isActive)) return;
            const rollouts = new Set(copies.flatMap((copy) => readMarks(copy)?.rollout ?? []));
            for (const rollout of rollouts.size > 0 ? rollouts : [null]) changes.changed(namespace, rollout);
          },
        },
        isActive,
        log.child({ watch: kind.plural, namespace }),
      );
      views.set(keyOf(kind, namespace, labels), view);
      return view;
    },
    async versions(group) {
      const known = groups.get(group);
      if (!known) return learnVersions(group);
      // No write waits for this: what was served before will do until the answer is here, and also without one.
      if (performance.now() - known.at >= VERSIONS_KEPT_MS) {
        groups.set(group, { ...known, at: performance.now() });
        learnVersions(group).catch((error: unknown) => log.debug({ group, err: error }, 'API versions not read again'));
      }
      return known.versions;
    },
    async serves(kind) {
      const subject = `API group ${apiVersion(kind)}`;
      const answer = await send(subject, 'GET', `/apis/${apiVersion(kind)}`, {});
      if (answer.status === 404) return false;
      if (answer.status >= 400) throw toFault(subject, answer.status, answer.body);
      return resourcesBody.parse(answer.body).resources.some(({ name }) => name === kind.plural);
    },
    peek: (kind, ref) => opened(kind, ref.namespace)?.peek(ref.name) ?? null,
    onChange: changes.listen,
    async close() {
      clearInterval(sweep);
      for (const view of views.values()) view.close();
      views.clear();
      await connection.close();
    },
  };
}
