/**
 * What the workload `twin` promises of the HorizontalPodAutoscaler of a stable Deployment: it is held at stable's size for the
 * rollout and no longer, and whatever others do to it meanwhile is theirs.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Fence } from '../../src/app/ports/cluster.ts';
import type { Workload } from '../../src/app/ports/workload.ts';
import type { Target } from '../../src/core/plan.ts';
import { IMAGE, planFor, until } from '../cluster/world.ts';
import type { WorkloadWorld } from './workload.ts';

const fence = (seq: number, epoch = 1, rollout = 'world-1'): Fence => ({ rollout, epoch, seq });
const DONE = { kind: 'done' };
const MARKS = ['rollout', 'epoch', 'seq', 'phase', 'restore'].map((mark) => `sluice.dev/${mark}`);

/** The world has three pods of v1; its autoscaler may have one to ten. */
export function autoscalerContract(make: () => Promise<WorkloadWorld>): void {
  describe('an autoscaler of stable', () => {
    let world: WorkloadWorld;
    let workload: Workload;
    let target: Target;
    let path: string;
    beforeEach(async () => {
      world = await make();
      ({ workload, target } = world);
      path = `/apis/autoscaling/v2/namespaces/${target.namespace}/horizontalpodautoscalers/scaler`;
      await appear();
    });
    afterEach(() => world.end());

    const appear = () =>
      world.kube.call('POST', path.replace('/scaler', ''), {
        metadata: { name: 'scaler', labels: { team: 'hello' } },
        spec: {
          scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'world' },
          minReplicas: 1,
          maxReplicas: 10,
        },
      });
    const scaler = () => world.kube.get(path);
    const least = async () => (await scaler()).spec.minReplicas;
    const phase = async () => (await scaler()).metadata.annotations?.['sluice.dev/phase'];
    const set = (minReplicas: number) => world.kube.merge(path, { spec: { minReplicas } });
    /** As before any rollout, though one has claimed it. */
    const forget = () =>
      world.kube.merge(path, {
        metadata: { annotations: Object.fromEntries(MARKS.map((mark) => [mark, null])) },
        spec: { minReplicas: 1 },
      });
    const strip = () =>
      world.kube.merge(world.paths.deployment, {
        metadata: { annotations: Object.fromEntries(MARKS.map((mark) => [mark, null])) },
      });
    const scaleStable = (replicas: number) => world.kube.merge(world.paths.deployment, { spec: { replicas } });
    const canarySize = async () => (await world.kube.get(world.paths.canary)).spec.replicas;
    const claimed = async () => expect(await workload.claim(target, fence(1))).toEqual(DONE);
    const created = async () => {
      await claimed();
      expect(await workload.createCanary(planFor(target, 'v2'), fence(2))).toEqual(DONE);
    };
    /** As a look at the rollout does, once the watch has seen stable. */
    const followed = (replicas: number, by: Workload = workload) =>
      until(async () => {
        expect(await by.scaleCanary(target, 100, fence(4))).toEqual(DONE);
        return (await canarySize()) === replicas;
      });

    it('is no reason to refuse, and what it will be is foreseen', async () => {
      expect(await workload.preflight(target, IMAGE)).toMatchObject({
        ok: true,
        facts: { autoscaler: `HorizontalPodAutoscaler ${target.namespace}/scaler` },
        warnings: [],
      });
      expect(await workload.foresee?.(target)).toEqual([
        {
          object: `HorizontalPodAutoscaler ${target.namespace}/scaler`,
          held: 'minReplicas 1 → 3',
          back: 'minReplicas 3 → 1',
        },
      ]);
      expect(await scaler()).not.toHaveProperty('metadata.annotations');
    });

    it('keeps as many pods as there are at the claim, all else as it was, and is held once', async () => {
      const { spec, metadata } = await scaler();
      await claimed();
      const after = await scaler();
      expect(after.spec).toEqual({ ...spec, minReplicas: 3 });
      expect(after.metadata).toMatchObject({
        labels: metadata.labels,
        annotations: {
          'sluice.dev/rollout': 'world-1',
          'sluice.dev/epoch': '1',
          'sluice.dev/phase': 'active',
          'sluice.dev/restore': '{"minReplicas":1,"raised":3}',
        },
      });
      expect(await world.other.claim(target, fence(1))).toEqual(DONE);
      expect((await scaler()).metadata.annotations).toEqual(after.metadata.annotations);
    });

    it('is claimed by the next one when its first claimer died in between', async () => {
      await claimed();
      await forget();
      expect(await world.other.claim(target, fence(1))).toEqual(DONE);
      expect(await least()).toBe(3);
    });

    it('is not taken from another rollout', async () => {
      await world.kube.merge(path, {
        metadata: { annotations: { 'sluice.dev/rollout': 'world-0', 'sluice.dev/epoch': '1' } },
      });
      const message = expect.stringMatching(/scaler is held by rollout world-0 .*\/deploy abort world/);
      expect(await workload.preflight(target, IMAGE)).toMatchObject({ ok: false, refusals: [message] });
      expect(await workload.claim(target, fence(1))).toEqual({ kind: 'refused', message });
      expect(await least()).toBe(1);
    });

    it('comes with the epoch that it carries', async () => {
      await claimed();
      await workload.cleanUp(target, fence(2));
      await world.kube.merge(path, { metadata: { annotations: { 'sluice.dev/epoch': '7' } } });
      expect(await world.other.preflight(target, IMAGE)).toMatchObject({ ok: true, facts: { epoch: 7 } });
    });

    it('is not raised by a claim that comes after the abort', async () => {
      await claimed();
      await forget();
      expect(await world.other.raise(target, fence(5, 2))).toEqual(DONE);
      expect((await workload.claim(target, fence(1))).kind).toBe('fenced');
      expect(await world.other.cleanUp(target, fence(6, 2))).toEqual(DONE);
      expect([await least(), await phase()]).toEqual([1, 'done']);
    });

    it('follows stable up and never down, and so does the canary', async () => {
      await created();
      await scaleStable(5);
      await followed(5);
      expect(await least()).toBe(5);
      await scaleStable(7);
      await followed(7, world.other);
      expect(await least()).toBe(7);
      await scaleStable(6);
      await until(async () => (await world.kube.get(world.paths.deployment)).status?.observedGeneration > 3);
      expect(await workload.scaleCanary(target, 100, fence(5))).toEqual(DONE);
      expect([await least(), await canarySize()]).toEqual([7, 7]);
    });

    it('is raised for all once the epoch is, so that no late write lands; its size waits for the clean-up', async () => {
      await created();
      const late = await world.lag();
      await scaleStable(5);
      expect(await world.other.raise(target, fence(5, 2))).toEqual(DONE);
      expect((await scaler()).metadata.annotations['sluice.dev/epoch']).toBe('2');
      for (const by of [late, workload]) expect((await by.cleanUp(target, fence(6))).kind).toBe('fenced');
      expect((await workload.scaleCanary(target, 100, fence(6))).kind).toBe('fenced');
      expect([await least(), await phase()]).toEqual([3, 'active']);
    });

    it.each<[string, number, (by: Fence) => Promise<unknown>]>([
      ['after an abort', 2, (by) => workload.raise(target, by)],
      ['after a promotion', 1, (by) => workload.promote(planFor(target, 'v2'), by, false)],
      [
        "where stable's marks are gone",
        2,
        async (by) => {
          await strip();
          await workload.raise(target, by);
        },
      ],
      [
        "where stable's journal had to be written anew",
        1,
        async (by) => {
          await strip();
          await until(async () => (await workload.drift(planFor(target, 'v2'), by)) !== null);
          expect(await workload.reapply(planFor(target, 'v2'), by, null, 50)).toEqual(DONE);
        },
      ],
      ['where stable is gone', 1, () => world.kube.call('DELETE', world.paths.deployment)],
    ])('has what it had at the clean-up %s, once, with nothing but the terminal marks', async (_, epoch, end) => {
      await created();
      await end(fence(3, epoch));
      expect(await least()).toBe(3);
      expect(await world.other.cleanUp(target, fence(4, epoch))).toEqual(DONE);
      const { spec, metadata } = await scaler();
      expect(spec.minReplicas).toBe(1);
      expect(metadata.annotations).toEqual({
        'sluice.dev/rollout': 'world-1',
        'sluice.dev/epoch': String(epoch),
        'sluice.dev/seq': '4',
        'sluice.dev/phase': 'done',
      });
      await set(2);
      expect(await workload.cleanUp(target, fence(4, epoch))).toEqual(DONE);
      expect(await least()).toBe(2);
    });

    it('stays as somebody else has made it meanwhile', async () => {
      await created();
      await set(2);
      await scaleStable(5);
      await followed(5);
      expect(await least()).toBe(2);
      expect(await workload.cleanUp(target, fence(5))).toEqual(DONE);
      expect([await least(), await phase()]).toEqual([2, 'done']);
    });

    it('that was put back as it was in the repository is nothing of the rollout any more', async () => {
      await created();
      await forget();
      await scaleStable(5);
      await followed(5);
      expect(await workload.cleanUp(target, fence(5))).toEqual(DONE);
      expect(await least()).toBe(1);
    });

    it('that is deleted holds nothing up', async () => {
      await created();
      await world.kube.call('DELETE', path);
      await scaleStable(5);
      await followed(5);
      expect(await workload.raise(target, fence(5, 2))).toEqual(DONE);
      expect(await workload.cleanUp(target, fence(6, 2))).toEqual(DONE);
    });

    it('that appears during a rollout is left alone', async () => {
      await world.kube.call('DELETE', path);
      await created();
      const { metadata } = await appear();
      expect(await workload.promote(planFor(target, 'v2'), fence(3), false)).toEqual(DONE);
      expect(await workload.cleanUp(target, fence(4))).toEqual(DONE);
      expect((await scaler()).metadata.annotations).toEqual(metadata.annotations);
      expect(await least()).toBe(1);
    });
  });
}
