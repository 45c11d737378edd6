/** What a rollout of the Deployment itself writes, and what its controller makes of that: of an API server whose controllers run. */
import { isDeepStrictEqual } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createInPlace } from '../../src/adapters/kubernetes/in-place.ts';
import { createRouter, routerNameOf } from '../../src/adapters/traffic/index.ts';
import { createBlindAbort } from '../../src/app/blind.ts';
import type { Fence } from '../../src/app/ports/cluster.ts';
import type { TrafficRouter } from '../../src/app/ports/router.ts';
import type { Workload } from '../../src/app/ports/workload.ts';
import type { Plan, Target } from '../../src/core/plan.ts';
import type { Kube } from '../cluster/kube.ts';
import { openReplicas, type Replicas } from '../cluster/replicas.ts';
import {
  IMAGE,
  imageOf,
  makeWorld,
  planFor,
  silent,
  unmakeWorld,
  until,
  type World,
  weight,
} from '../cluster/world.ts';

const fence = (seq: number, epoch = 1, rollout = 'world-1'): Fence => ({ rollout, epoch, seq });
const DONE = { kind: 'done' };

export function inPlaceContract(kubeconfig: string, kube: Kube): void {
  describe('in-place as a workload', () => {
    let world: World;
    let target: Target;
    let plan: Plan;
    let workload: Workload;
    let other: Workload;
    let router: TrafficRouter;
    let replicas: Replicas;
    beforeEach(async () => {
      world = await makeWorld(kube, { replicas: 4, route: false });
      const { namespace } = world.target;
      target = {
        ...world.target,
        workload: 'in-place',
        traffic: { router: 'kubernetes', service: `${namespace}/world` },
      };
      plan = planFor(target, 'v2', { steps: [] });
      replicas = openReplicas(kubeconfig);
      workload = createInPlace({ cluster: replicas.one, log: silent });
      other = createInPlace({ cluster: replicas.other, log: silent });
      router = createRouter(routerNameOf(target), { cluster: replicas.one, log: silent });
      await until(async () => (await stable()).status?.availableReplicas === 4);
    });
    afterEach(async () => {
      await replicas.close();
      await unmakeWorld(kube, world);
    });

    const stable = () => kube.get(world.paths.deployment);
    const sets = async () =>
      Object.fromEntries(
        (await kube.call('GET', world.paths.deployment.replace('/deployments/world', '/replicasets'))).items.map(
          ({ spec, status }: Awaited<ReturnType<typeof stable>>) => [
            spec.template.spec.containers[0].image.split(':')[1],
            status?.readyReplicas ?? 0,
          ],
        ),
      );
    const made = async () => {
      expect((await router.claim(target, fence(1))).kind).toBe('done');
      expect(await workload.claim(target, fence(1))).toEqual(DONE);
      expect(await workload.createCanary(plan, fence(2))).toEqual(DONE);
    };
    const isBack = async () => (await other.demote(target, fence(4, 2))).rolling === undefined;
    /** As `await canary` does: asked for again until it is there. */
    const reached = (percent: number, by: Fence) =>
      until(async () => {
        expect(await workload.scaleCanary(target, percent, by)).toEqual(DONE);
        return (await workload.canaryState(target, percent, by)).kind === 'ready';
      });

    it('says what serves, and which share pods can make', async () => {
      const looked = await workload.preflight(target, IMAGE);
      expect(looked).toMatchObject({ ok: true, facts: { version: 'v1', container: 'world', epoch: 0 }, warnings: [] });
      expect(looked.ok && looked.facts.achieved?.(10)).toMatch(/^20% \(1 of 5 pods/);
    });

    it.each<[string, () => Promise<unknown>, RegExp]>([
      ['a paused Deployment', () => kube.merge(world.paths.deployment, { spec: { paused: true } }), /is paused/],
      [
        'the strategy Recreate',
        () => kube.merge(world.paths.deployment, { spec: { strategy: { type: 'Recreate', rollingUpdate: null } } }),
        /Recreate/,
      ],
    ])('refuses %s', async (_, change, said) => {
      await change();
      expect(await other.preflight(target, IMAGE)).toMatchObject({
        ok: false,
        refusals: [expect.stringMatching(said)],
      });
    });

    it('tells the revisions that the cluster has, as kubectl rollout history does', async () => {
      const cause = (text: string) => ({ metadata: { annotations: { 'kubernetes.io/change-cause': text } } });
      await kube.merge(world.paths.deployment, cause('first'));
      await until(async () => (await workload.revisions?.(target))?.[0]?.cause === 'first');
      await made();
      await reached(100, fence(3));
      await kube.merge(world.paths.deployment, cause('second'));
      const told = async () =>
        (await other.revisions?.(target))?.map(({ revision, image, cause: why, isLive }) => ({
          ...{ revision, image, why, isLive },
        }));
      const wanted = [
        { revision: 2, image: imageOf('v2'), why: 'second', isLive: true },
        { revision: 1, image: imageOf('v1'), why: 'first', isLive: false },
      ];
      await until(async () => isDeepStrictEqual(await told(), wanted));
    });

    it('rolls nothing before the first share', async () => {
      const { spec } = await stable();
      await made();
      expect(await workload.scaleCanary(target, 0, fence(3))).toEqual(DONE);
      expect(await workload.canaryState(target, 0, fence(3))).toEqual({ kind: 'ready' });
      expect(await workload.replicaSets?.(target)).toMatchObject({ canary: [] });
      expect((await stable()).spec).toEqual(spec);
    });

    it('makes the first batch and no more, also when nobody pauses it', async () => {
      await made();
      expect(await workload.scaleCanary(target, 25, fence(3))).toEqual(DONE);
      await until(async () => (await sets()).v2 === 1);
      await new Promise((resolve) => setTimeout(resolve, 300));
      expect(await sets()).toEqual({ v1: 4, v2: 1 });
      await reached(25, fence(4));
      expect((await stable()).spec.paused).toBe(true);
      expect(await workload.canaryAddresses(target)).toHaveLength(1);
      expect(await workload.canaryAddresses(target, 9090)).toEqual([expect.stringMatching(/:9090$/)]);
      const { canary = [], stable: old = [] } = (await workload.replicaSets?.(target)) ?? {};
      expect([canary.length, old.length]).toEqual([1, 1]);
      const { items } = await kube.call('GET', `/api/v1/namespaces/${target.namespace}/pods`);
      const isNew = ({ metadata }: Awaited<ReturnType<typeof stable>>) => metadata.name.startsWith(`${canary[0]}-`);
      const image = ({ spec }: Awaited<ReturnType<typeof stable>>) => spec.containers[0].image;
      expect(items.filter(isNew).map(image)).toEqual([imageOf('v2')]);
      expect(await workload.stableTemplate(target)).toMatchObject({ image: imageOf('v1') });
    });

    it('grows with the weight, never shrinks, and ends as its owners have it', async () => {
      const { spec } = await stable();
      await made();
      await reached(25, fence(3));
      await reached(50, fence(4));
      expect(await sets()).toEqual({ v1: 4, v2: 4 });
      await reached(25, fence(5));
      expect(await sets()).toEqual({ v1: 4, v2: 4 });
      await reached(100, fence(6));
      expect(await workload.promote(plan, fence(7), false)).toEqual(DONE);
      await until(async () => (await workload.stableState(plan, fence(7))).kind === 'ready');
      expect(await workload.cleanUp(target, fence(8))).toEqual(DONE);
      const after = await stable();
      const { template: _, ...own } = spec;
      const { template: next, ...rest } = after.spec;
      expect(rest).toEqual(own);
      expect(next.spec.containers[0].image).toBe(imageOf('v2'));
      expect(after.metadata.annotations).not.toHaveProperty(['sluice.dev/restore']);
    });

    it.each([
      // How many old ones there are depends on what was seen first: its own scaling, or Sluice's filling up.
      ['more', 8, { least: 1 / 5, most: 1 / 3 }],
      ['so few that no new one is left', 1, { least: 1 / 2, most: 1 / 2 }],
    ])('keeps its share when an autoscaler makes it %s, and goes on from there', async (_, replicas, share) => {
      await made();
      await reached(25, fence(3));
      await kube.merge(world.paths.deployment, { spec: { replicas } });
      // As the looks at a rollout do: what they see of the scaling may be older than it.
      await until(async () => {
        await reached(25, fence(4));
        const { v1 = 0, v2 = 0 } = await sets();
        const has = v2 / (v1 + v2);
        return v1 + v2 >= replicas && has >= share.least && has <= share.most && (await stable()).spec.paused === true;
      });
      await reached(50, fence(5));
      expect((await sets()).v2).toBe(replicas);
      await reached(100, fence(6));
      expect(await workload.promote(plan, fence(7), false)).toEqual(DONE);
      await until(async () => (await workload.stableState(plan, fence(7))).kind === 'ready');
      expect((await stable()).spec.replicas).toBe(replicas);
    });

    it.each([25, 100])('gives all of it back in one patch at %i%%, and late writers come too late', async (percent) => {
      const { spec } = await stable();
      await made();
      await reached(percent, fence(3));
      const { metadata } = await stable();
      const rolling = expect.stringContaining('not yet taken up');
      expect(await other.demote(target, fence(4, 2))).toEqual({ kind: 'done', mayRoute: true, rolling });
      const after = await stable();
      expect(after.spec).toEqual(spec);
      expect(after.metadata.generation).toBe(metadata.generation + 1);
      expect((await workload.scaleCanary(target, 100, fence(5))).kind).toBe('fenced');
      expect((await workload.promote(plan, fence(5), true)).kind).toBe('fenced');
      await until(isBack);
      expect(await sets()).toMatchObject({ v2: 0 });
    });

    it('is not back as long as a quota keeps the old pods away: it says how many new ones there are, and why', async () => {
      const quotas = `/api/v1/namespaces/${target.namespace}/resourcequotas`;
      await made();
      await reached(100, fence(3));
      const spec = { hard: { pods: '0' } };
      await kube.call('POST', quotas, { apiVersion: 'v1', kind: 'ResourceQuota', metadata: { name: 'none' }, spec });
      await until(async () => (await kube.get(`${quotas}/none`)).status?.hard);
      const rolling = await until(async () => {
        const answer = await other.demote(target, fence(4, 2));
        return answer.rolling?.includes('exceeded quota') && answer.rolling;
      });
      const { v2 } = await sets();
      expect(v2).toBeGreaterThan(0);
      expect(rolling).toMatch(/^\d of \d pods are still of the version that is taken back; FailedCreate/);
      await kube.call('DELETE', `${quotas}/none`);
      await until(isBack);
      expect(await sets()).toMatchObject({ v2: 0 });
    });

    it('meets a template that somebody else changed, and puts it back when told to', async () => {
      await made();
      await reached(25, fence(3));
      await kube.call(
        'PATCH',
        world.paths.deployment,
        [{ op: 'replace', path: '/spec/template/spec/containers/0/image', value: imageOf('v7') }],
        'application/json-patch+json',
      );
      const drift = { difference: expect.stringContaining('v7'), weight: null };
      await until(async () => (await workload.drift(plan, fence(3))) !== null);
      expect(await workload.drift(plan, fence(3))).toMatchObject(drift);
      expect(await workload.scaleCanary(target, 50, fence(4))).toMatchObject({ kind: 'drifted', drift });
      expect(await workload.reapply(plan, fence(5), null, 25)).toEqual(DONE);
      await reached(25, fence(6));
      expect((await stable()).spec.template.spec.containers[0].image).toBe(imageOf('v2'));
    });

    it('meets a hold that somebody took off, and has its share again when told to', async () => {
      await made();
      await reached(25, fence(3));
      await kube.merge(world.paths.deployment, { spec: { paused: false, minReadySeconds: 0 } });
      const drift = { difference: expect.stringContaining('minReadySeconds'), weight: null };
      await until(async () => (await workload.drift(plan, fence(3))) !== null);
      expect(await workload.drift(plan, fence(3))).toMatchObject(drift);
      expect(await workload.scaleCanary(target, 25, fence(3))).toMatchObject({ kind: 'drifted', drift });
      expect(await workload.scaleCanary(target, 50, fence(4))).toMatchObject({ kind: 'drifted', drift });
      await until(async () => (await sets()).v1 === 0);
      for (let n = 0; n < 2; n++) expect(await workload.reapply(plan, fence(5), null, 25)).toEqual(DONE);
      await reached(25, fence(6));
      await until(async () => isDeepStrictEqual(await sets(), { v1: 4, v2: 1 }));
      expect(await workload.drift(plan, fence(6))).toBeNull();
      await reached(100, fence(7));
      expect(await workload.drift(plan, fence(7))).toBeNull();
    });

    it('is held again by itself when somebody only resumes it', async () => {
      await made();
      await reached(25, fence(3));
      await kube.merge(world.paths.deployment, { spec: { paused: null } });
      await until(async () => {
        await reached(25, fence(3));
        return (await stable()).spec.paused === true;
      });
      expect(await workload.drift(plan, fence(3))).toBeNull();
      expect(await sets()).toEqual({ v1: 4, v2: 1 });
    });

    it.each([25, 100])('meets a roll-back by hand at %i%%, and does not fight it', async (percent) => {
      const { spec } = await stable();
      await made();
      await reached(percent, fence(3));
      // As `kubectl rollout undo` does.
      const back = { paused: null, template: { spec: { containers: spec.template.spec.containers } } };
      await kube.merge(world.paths.deployment, { spec: back });
      const drift = { difference: expect.stringContaining('v1'), weight: null };
      await until(async () => (await workload.drift(plan, fence(3))) !== null);
      expect(await workload.scaleCanary(target, percent, fence(3))).toMatchObject({ kind: 'drifted', drift });
      expect((await stable()).spec.template).toEqual(spec.template);
      expect(await workload.reapply(plan, fence(4), null, percent)).toEqual(DONE);
      await reached(percent, fence(5));
      expect((await sets()).v2).toBe(percent === 100 ? 4 : 1);
    });

    it('keeps its new pods where its journal is lost at 100%', async () => {
      const { spec } = await stable();
      await made();
      await reached(100, fence(3));
      const { metadata, spec: rolled } = await stable();
      const ours = Object.keys(metadata.annotations ?? {}).filter((name) => name.startsWith('sluice.dev/'));
      const without = Object.fromEntries(ours.map((name) => [name, null]));
      await kube.merge(world.paths.deployment, { metadata: { annotations: without } });
      await until(async () => (await workload.drift(plan, fence(3))) !== null);
      const written: unknown[] = [];
      for (let n = 0; n < 2; n++) {
        expect(await workload.reapply(plan, fence(4), spec.template, 100)).toEqual(DONE);
        written.push((await stable()).spec);
      }
      expect(await workload.scaleCanary(target, 100, fence(5))).toEqual(DONE);
      expect([...written, (await stable()).spec]).toEqual([rolled, rolled, rolled]);
      expect(await workload.drift(plan, fence(5))).toBeNull();
      await until(isBack);
      expect((await stable()).spec.template).toEqual(spec.template);
    });

    it('loses its journal, and knows again what it rolls out and what was before, when told to', async () => {
      const { spec } = await stable();
      await made();
      await reached(25, fence(3));
      const { annotations } = (await stable()).metadata;
      const ours = Object.keys(annotations ?? {}).filter((name) => name.startsWith('sluice.dev/'));
      const without = Object.fromEntries(ours.map((name) => [name, null]));
      await kube.merge(world.paths.deployment, { metadata: { annotations: without } });
      await until(async () => (await workload.drift(plan, fence(3))) !== null);
      expect((await workload.scaleCanary(target, 50, fence(4))).kind).toBe('drifted');
      expect(await workload.reapply(plan, fence(5), spec.template, 25)).toEqual(DONE);
      expect((await stable()).spec.template.spec.containers[0].image).toBe(imageOf('v2'));
      expect(await workload.drift(plan, fence(5))).toBeNull();
      await reached(50, fence(6));
      expect(await sets()).toMatchObject({ v1: 4, v2: 4 });
      await until(isBack);
      expect((await stable()).spec.template).toEqual(spec.template);
    });

    it.each([
      ['the new version', 'v2'],
      ['another version', 'v7'],
    ])('goes back to the old pods and on from there when somebody put %s in its whole place', async (_, version) => {
      const { metadata, spec } = await stable();
      const { annotations: own = {} } = metadata;
      await made();
      await reached(25, fence(3));
      // As `kubectl replace` does: what Git does not name is gone.
      const { annotations = {} } = (await stable()).metadata;
      const ours = Object.keys(annotations).filter((name) => name.startsWith('sluice.dev/') && !(name in own));
      await kube.merge(world.paths.deployment, {
        metadata: { annotations: Object.fromEntries(ours.map((name) => [name, null])) },
        spec: {
          paused: null,
          minReadySeconds: null,
          progressDeadlineSeconds: spec.progressDeadlineSeconds,
          strategy: spec.strategy,
          template: { spec: { containers: [{ ...spec.template.spec.containers[0], image: imageOf(version) }] } },
        },
      });
      await until(async () => (await sets()).v1 === 0);
      for (let n = 0; n < 2; n++) expect(await workload.reapply(plan, fence(5), spec.template, 25)).toEqual(DONE);
      await reached(25, fence(6));
      await until(async () => isDeepStrictEqual(await sets(), { ...(version === 'v7' && { v7: 0 }), v1: 4, v2: 1 }));
      await reached(100, fence(7));
      await until(async () => (await sets()).v2 === 4);
    });

    it.each<[string, number, number | null]>([
      ['before its first share is noted', 25, null],
      ['at a share', 25, 25],
      ['with all pods new', 100, 100],
    ])('is aborted without Redis %s, and says so when its pods are the old ones', async (_, percent, noted) => {
      const { spec } = await stable();
      await made();
      await reached(percent, fence(3));
      if (noted !== null) expect(await router.setRoute(target, weight(noted), fence(4), false)).toEqual(DONE);
      const abort = createBlindAbort({ routerOf: () => router, workloadOf: () => workload });
      await until(() => workload.isPromoted(target, 'world-1'));
      expect(await abort(target, 'world-1', 'U0BO@now')).toEqual({ kind: 'waiting' });
      expect((await stable()).spec).toEqual(spec);
      await until(async () => (await abort(target, 'world-1', 'U0BO@now')).kind === 'done');
      expect(await sets()).toMatchObject({ v2: 0 });
      expect((await workload.scaleCanary(target, 100, fence(9))).kind).toBe('fenced');
    });

    it('leaves an ended promotion alone when somebody aborts without Redis', async () => {
      await made();
      await reached(100, fence(3));
      await router.setRoute(target, weight(100), fence(4), false);
      await workload.promote(plan, fence(5), false);
      expect(await router.reset(target, fence(6), {}, false)).toEqual(DONE);
      const abort = createBlindAbort({ routerOf: () => router, workloadOf: () => workload });
      expect(await abort(target, 'world-1', 'U0BO@now')).toEqual({ kind: 'promoted' });
    });
  });
}
