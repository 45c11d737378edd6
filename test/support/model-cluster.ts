/** A cluster of one route and two Deployments, where each call is one atomic step behind the fence, as design section 8 has it. */
import type { Fence, Marks, Written } from '../../src/app/ports/cluster.ts';
import type { TrafficRouter } from '../../src/app/ports/router.ts';
import type { Workload } from '../../src/app/ports/workload.ts';
import { STABLE_ROUTE } from '../../src/core/plan.ts';
import { only } from '../app/support.ts';

/** The route as one write left it; `before`: the weight that it replaced. */
type Revision = { readonly weight: number; readonly before: number } & Fence;

const DONE: Written = { kind: 'done' };
const stoppedBy = (by: Marks): Written => ({ kind: 'fenced', by });

export function createModelCluster() {
  const state = {
    route: { marks: null as Marks | null, weight: 0 },
    stable: { marks: null as Marks | null, template: 'old' as 'old' | 'new' },
    /** Weight that the canary is large enough for; null: there is none. */
    canary: null as number | null,
  };
  const revisions: Revision[] = [];
  const broken: string[] = [];

  const marked = (fence: Fence, phase: Marks['phase'] = 'active'): Marks => ({
    ...fence,
    phase,
    abort: null,
    restore: null,
  });
  function setWeight(weight: number, fence: Fence): void {
    revisions.push({ ...fence, weight, before: state.route.weight });
    if (weight > 0 && (state.canary ?? -1) < weight) broken.push(`${weight}% to a canary for ${state.canary}%`);
    state.route = { marks: marked(fence), weight };
  }
  /** Who may not write: null goes on. */
  const barrier = (marks: Marks | null, { rollout, epoch }: Fence): Written | null => {
    if (!marks || marks.epoch < epoch) return null;
    return marks.epoch > epoch || marks.rollout !== rollout ? stoppedBy(marks) : null;
  };
  const behind = (marks: Marks | null, fence: Fence): Written | null => {
    const stopped = barrier(marks, fence);
    if (stopped || marks?.epoch !== fence.epoch) return stopped;
    return marks.seq > fence.seq || marks.phase === 'done' ? stoppedBy(marks) : null;
  };
  const meet = (marks: Marks | null, fence: Fence): 'write' | 'repeat' | Written => {
    if (!marks || marks.epoch < fence.epoch)
      return { kind: 'drifted', drift: { object: 'it', difference: 'unmarked', weight: null } };
    return behind(marks, fence) ?? (marks.seq === fence.seq ? 'repeat' : 'write');
  };

  const router = only<TrafficRouter>({
    async claim(_, fence) {
      const stopped = barrier(state.route.marks, fence);
      if (stopped) return stopped;
      if (state.route.marks?.epoch !== fence.epoch) state.route = { ...state.route, marks: marked(fence) };
      return { ...DONE, journal: { it: 'as it was' } };
    },
    async setRoute(_, route, fence) {
      const met = meet(state.route.marks, fence);
      if (typeof met === 'object') return met;
      if (met === 'write') setWeight(route.weight, fence);
      return DONE;
    },
    async reset(_, fence, __, abort) {
      const { marks } = state.route;
      const stopped = abort ? barrier(marks, fence) : behind(marks, fence);
      if (stopped) return stopped;
      setWeight(0, { ...fence, seq: Math.max(fence.seq, marks?.epoch === fence.epoch ? marks.seq : 0) });
      return DONE;
    },
    getRoute: async () => ({ route: { ...STABLE_ROUTE, weight: state.route.weight }, marks: state.route.marks }),
    confirmed: async () => ({ kind: 'confirmed' }),
    drift: async () => null,
    async release(_, fence) {
      const stopped = behind(state.route.marks, fence);
      if (stopped) return stopped.kind === 'fenced' && stopped.by.phase === 'done' ? DONE : stopped;
      if (state.route.weight > 0) return { kind: 'refused', message: 'it is still routed' };
      state.route = { ...state.route, marks: marked(fence, 'done') };
      return DONE;
    },
  });

  const workload = only<Workload>({
    async claim(_, fence) {
      const stopped = barrier(state.stable.marks, fence);
      if (stopped) return stopped;
      if (state.stable.marks?.epoch !== fence.epoch) state.stable = { ...state.stable, marks: marked(fence) };
      return DONE;
    },
    async createCanary(_, fence) {
      const stopped = behind(state.stable.marks, fence);
      if (stopped?.kind === 'fenced' && (stopped.by.epoch > fence.epoch || stopped.by.phase === 'done')) return stopped;
      state.canary ??= 0;
      return DONE;
    },
    async scaleCanary(_, weight, fence) {
      const stopped = barrier(state.stable.marks, fence);
      if (stopped) return stopped;
      if (state.canary === null) return { kind: 'refused', message: 'there is no canary' };
      state.canary = Math.max(state.canary, weight);
      return DONE;
    },
    canaryState: async () => ({ kind: 'ready' }),
    async promote(_, fence) {
      const met = meet(state.stable.marks, fence);
      if (typeof met === 'object') return met;
      if (met === 'write') {
        if (state.route.weight < 100) broken.push(`promoted at ${state.route.weight}%`);
        state.stable = { marks: marked(fence), template: 'new' };
      }
      return DONE;
    },
    stableState: async () => ({ kind: 'ready' }),
    isPromoted: async () => state.stable.template === 'new',
    lost: async () => null,
    drift: async () => null,
    reapply: async () => DONE,
    async demote(_, fence) {
      const stopped = barrier(state.stable.marks, fence);
      if (stopped) return stopped;
      state.stable = { marks: marked(fence), template: 'old' };
      return { ...DONE, mayRoute: true };
    },
    async raise(_, fence) {
      const stopped = barrier(state.stable.marks, fence);
      if (stopped) return stopped;
      if (state.stable.marks?.epoch !== fence.epoch) state.stable = { ...state.stable, marks: marked(fence) };
      return DONE;
    },
    async cleanUp(_, fence) {
      const stopped = barrier(state.stable.marks, fence);
      if (stopped) return stopped;
      if (state.route.weight > 0) broken.push(`the canary went at ${state.route.weight}%`);
      state.canary = null;
      state.stable = { ...state.stable, marks: marked(fence, 'done') };
      return DONE;
    },
    stableTemplate: async () => ({ template: { is: state.stable.template }, image: `world:${state.stable.template}` }),
  });

  return {
    router,
    workload,
    state,
    revisions: revisions as readonly Revision[],
    /** What must never be, as sentences. */
    broken: broken as readonly string[],
  };
}
