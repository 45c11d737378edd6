/** The HorizontalPodAutoscaler of a stable Deployment: found once, named in the Deployment's journal, and held for the rollout. */
import type { Fence, Written } from '../../app/ports/cluster.ts';
import type { Target } from '../../core/plan.ts';
import type { ForeseenHold } from '../../core/writes.ts';
import { intendFollow, intendGiveBack, intendHold, leastOf, raisedFor } from './autoscaler-writes.ts';
import type { Cluster } from './cluster.ts';
import { DONE, type Intent, type Result, write } from './fence.ts';
import { nameOf, type Ref } from './kinds.ts';
import { readMarks } from './marks.ts';
import { type Autoscaler, Autoscalers, type Deployment } from './objects.ts';
import { otherOwner } from './owners.ts';
import { canaryName } from './twin-canary.ts';
import { intendRaise, readRestore } from './twin-writes.ts';

const scaling = (all: readonly Autoscaler[], deployment: string) =>
  all.filter(({ spec: { scaleTargetRef: to } }) => to.kind === 'Deployment' && to.name === deployment);

const SCALED_OBJECT = 'scaledobject.keda.sh/name';

/** Name of the ScaledObject that an autoscaler was made for, or null. */
function scaledObjectOf({ metadata: { labels = {}, ownerReferences = [] } }: Autoscaler): string | null {
  return ownerReferences.find(({ kind }) => kind === 'ScaledObject')?.name ?? labels[SCALED_OBJECT] ?? null;
}

/** The one that scales stable, null without any, or why a rollout beside stable cannot go with what is there. */
export function chooseAutoscaler(
  target: Target,
  all: readonly Autoscaler[],
): { readonly ok: true; readonly autoscaler: Autoscaler | null } | { readonly ok: false; readonly refusal: string } {
  const refuse = (refusal: string) => ({ ok: false, refusal }) as const;
  const [stray] = scaling(all, canaryName(target));
  if (stray) {
    return refuse(
      `${nameOf(Autoscalers, stray.metadata)} scales Deployment ${canaryName(target)}, whose size Sluice sets: delete it.`,
    );
  }
  const found = scaling(all, target.deployment);
  const [only, second] = found;
  if (!only) return { ok: true, autoscaler: null };
  if (second) {
    const names = found.map(({ metadata }) => nameOf(Autoscalers, metadata)).join(', ');
    return refuse(`Several autoscalers scale Deployment ${target.deployment} (${names}): leave one of them.`);
  }
  const subject = nameOf(Autoscalers, only.metadata);
  const scaled = scaledObjectOf(only);
  if (scaled !== null) {
    return refuse(
      `${subject} belongs to KEDA's ScaledObject ${scaled}, which would write its minReplicas back: pause that for the rollout (kubectl -n ${target.namespace} annotate scaledobject ${scaled} autoscaling.keda.sh/paused=true), or use workload in-place.`,
    );
  }
  const owner = otherOwner(only);
  if (owner) return refuse(`${subject} is managed by ${owner}: take it off there before Sluice rolls out.`);
  return { ok: true, autoscaler: only };
}

/** A claim follows its preflight this soon: what that has listed will do, and who has no autoscaler pays nothing more. */
const LISTED_KEPT_MS = 10_000;

export type Autoscaling = ReturnType<typeof createAutoscaling>;

export function createAutoscaling(cluster: Cluster) {
  const listed = new Map<string, { readonly at: number; readonly all: readonly Autoscaler[] }>();
  /** Up to which size of stable this process has raised an autoscaler, by its name and for one rollout. */
  const raisedTo = new Map<string, { readonly rollout: string; readonly replicas: number }>();

  async function send(ref: Ref, intend: (object: Autoscaler) => Intent): Promise<Written> {
    const { object: _, ...written }: Result<Autoscaler> = await write(cluster, Autoscalers, ref, intend, DONE);
    return written;
  }

  async function hold(ref: Ref, { rollout }: Fence, replicas: number, intend: (object: Autoscaler) => Intent) {
    const written = await send(ref, intend);
    if (written.kind === 'done') raisedTo.set(nameOf(Autoscalers, ref), { rollout, replicas });
    return written;
  }

  /**
   * What a rollout holds: as stable's journal names it; where that is lost, or given back already, the autoscaler that carries
   * the rollout's own marks.
   */
  async function held({ namespace }: Target, { rollout }: Fence, stable: Deployment | null): Promise<Ref | null> {
    const journal = stable && readMarks(stable)?.rollout === rollout ? readRestore(stable) : null;
    if (journal) return journal.autoscaler === undefined ? null : { namespace, name: journal.autoscaler };
    const all = await cluster.list(Autoscalers, namespace);
    return all.find((one) => readMarks(one)?.rollout === rollout)?.metadata ?? null;
  }

  async function list(namespace: string): Promise<readonly Autoscaler[]> {
    const all = await cluster.list(Autoscalers, namespace);
    listed.set(namespace, { at: performance.now(), all });
    return all;
  }

  async function find(target: Target) {
    const known = listed.get(target.namespace);
    const isFresh = known && performance.now() - known.at < LISTED_KEPT_MS;
    return chooseAutoscaler(target, isFresh ? known.all : await list(target.namespace));
  }

  return {
    held,
    list,
    find,

    /** `stable`: claimed before, so that whoever ends the rollout meets that claim, and what it names. */
    async claim(target: Target, fence: Fence, stable: Deployment): Promise<Written> {
      const ref = await held(target, fence, stable);
      const { replicas } = stable.spec;
      if (!ref) return DONE;
      return hold(ref, fence, replicas, (object) => intendHold(object, fence, target.service, replicas));
    },

    /** Costs nothing while stable does not grow. */
    async follow(fence: Fence, stable: Deployment): Promise<Written> {
      const name = readRestore(stable)?.autoscaler;
      if (name === undefined) return DONE;
      const ref = { namespace: stable.metadata.namespace, name };
      const { replicas } = stable.spec;
      const last = raisedTo.get(nameOf(Autoscalers, ref));
      if (last?.rollout === fence.rollout && last.replicas >= replicas) return DONE;
      return hold(ref, fence, replicas, (object) => intendFollow(object, fence, replicas));
    },

    async raise(target: Target, fence: Fence, stable: Deployment | null): Promise<Written> {
      const ref = await held(target, fence, stable);
      return ref ? send(ref, (object) => intendRaise(object, fence)) : DONE;
    },

    async giveBack(target: Target, fence: Fence, stable: Deployment | null): Promise<Written> {
      const ref = await held(target, fence, stable);
      if (!ref) return DONE;
      raisedTo.delete(nameOf(Autoscalers, ref));
      return send(ref, (object) => intendGiveBack(object, fence));
    },

    /** What a claim would write now, and what the clean-up would. */
    async foresee(target: Target, replicas: number): Promise<readonly ForeseenHold[]> {
      const found = await find(target);
      if (!found.ok || !found.autoscaler) return [];
      const [least, raised] = [leastOf(found.autoscaler), raisedFor(found.autoscaler, replicas)];
      const change = (from: number, to: number) => `minReplicas ${from === to ? `stays ${to}` : `${from} → ${to}`}`;
      const object = nameOf(Autoscalers, found.autoscaler.metadata);
      return [{ object, held: change(least, raised), back: change(raised, least) }];
    },
  };
}
