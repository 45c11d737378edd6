/** The history that a Deployment keeps in annotations of its ReplicaSets, as `kubectl rollout` reads it. */
import { type Kind, kinds } from '../api-server/kinds.ts';
import type { Deployment, Labels, ReplicaSet } from '../api-server/objects.ts';
import type { Store } from '../api-server/store.ts';

const PREFIX = 'deployment.kubernetes.io';
export const REVISION = `${PREFIX}/revision`;
const HISTORY = `${PREFIX}/revision-history`;
const DESIRED = `${PREFIX}/desired-replicas`;
const MOST = `${PREFIX}/max-replicas`;
const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';
const own: readonly string[] = [REVISION, HISTORY, DESIRED, MOST, LAST_APPLIED];

export function revisionOf({ metadata }: ReplicaSet | Deployment): number {
  return Number(metadata.annotations?.[REVISION] ?? 0);
}

export function revisionAfter(sets: readonly ReplicaSet[]): number {
  return Math.max(0, ...sets.map(revisionOf)) + 1;
}

/** What a ReplicaSet takes over from its Deployment. */
export function inherited({ metadata }: Deployment): Labels {
  const entries = Object.entries(metadata.annotations ?? {});
  return Object.fromEntries(entries.filter(([name]) => !own.includes(name)));
}

/** A set that is used again becomes the newest revision and remembers its old number; the Deployment shows the current one. */
export function noteRevision(
  store: Store,
  deployment: Deployment,
  young: ReplicaSet,
  old: readonly ReplicaSet[],
): void {
  const before = young.metadata.annotations ?? {};
  const revision = String(Math.max(revisionOf(young), old.length > 0 ? revisionAfter(old) : 1));
  const used = before[REVISION];
  const renumbered = used !== undefined && used !== revision;
  const history = [before[HISTORY], used].filter((part) => part).join(',');
  const annotations = {
    ...before,
    ...inherited(deployment),
    [REVISION]: revision,
    ...(renumbered && { [HISTORY]: history }),
  };
  annotate(store, kinds.replicaSets, young, annotations);
  annotate(store, kinds.deployments, deployment, { ...deployment.metadata.annotations, [REVISION]: revision });
}

function annotate<T extends ReplicaSet | Deployment>(
  store: Store,
  kind: Kind<T>,
  object: T,
  annotations: Labels,
): void {
  store.update(kind, { ...object, metadata: { ...object.metadata, annotations } }, 'main');
}

/** What a set was sized for: how many pods its Deployment asked for, and the most it allowed. */
export function sizeMarks(replicas: number, most: number): Labels {
  return { [DESIRED]: String(replicas), [MOST]: String(most) };
}

/** null: never sized. */
export function sizedFor({ metadata }: ReplicaSet): { readonly desired: number; readonly most: number } | null {
  const { [DESIRED]: desired, [MOST]: most } = metadata.annotations ?? {};
  return desired === undefined || most === undefined ? null : { desired: Number(desired), most: Number(most) };
}
