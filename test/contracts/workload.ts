/**
 * What every workload promises (`Workload` in src/app/ports/workload.ts), asked of an API server whose controllers run: Deployments
 * get pods, pods become Ready, Kubernetes Services get endpoints. Each test gets a service of its own.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Fence } from '../../src/app/ports/cluster.ts';
import type { Workload } from '../../src/app/ports/workload.ts';
import type { Plan, Target } from '../../src/core/plan.ts';
import type { Json, Kube } from '../cluster/kube.ts';
import { IMAGE, imageOf, planFor, until, type World } from '../cluster/world.ts';

export type WorkloadWorld = World & {
  readonly workload: Workload;
  /** Another replica: it shares nothing with `workload` but the API server. */
  readonly other: Workload;
  /** A replica that hears nothing more of what others do from now on; `deaf`: nor of what it creates itself. */
  lag(deaf?: boolean): Promise<Workload>;
  readonly kube: Kube;
  end(): Promise<void>;
};

const fence = (seq: number, epoch = 1, rollout = 'world-1'): Fence => ({ rollout, epoch, seq });
const DONE = { kind: 'done' };

export function workloadContract(name: string, make: () => Promise<WorkloadWorld>): void {
  describe(`${name} as a workload`, () => {
    let world: WorkloadWorld;
    let workload: Workload;
    let target: Target;
    let plan: Plan;
    beforeEach(async () => {
      world = await make();
      ({ workload, target } = world);
      plan = planFor(target, 'v2');
    });
    afterEach(() => world.end());

    const stable = () => world.kube.get(world.paths.deployment);
    const canary = () => world.kube.get(world.paths.canary);
    const canaryReady = (weight = 0) =>
      until(async () => (await workload.canaryState(target, weight, fence(9))).kind === 'ready');
    const stableReady = () => until(async () => (await workload.stableState(plan, fence(9))).kind === 'ready');
    const claimed = async () => expect(await workload.claim(target, fence(1))).toEqual(DONE);
    const created = async (version = 'v2') => {
      await claimed();
      expect(await workload.createCanary(planFor(target, version), fence(2))).toEqual(DONE);
    };
    const promoted = async () => {
      await created();
      await canaryReady();
      expect(await workload.promote(plan, fence(3), false)).toEqual(DONE);
    };
    const setImage = (version: string) =>
      world.kube.call(
        'PATCH',
        world.paths.deployment,
        [{ op: 'replace', path: '/spec/template/spec/containers/0/image', value: imageOf(version) }],
        'application/json-patch+json',
      );

    it('says what serves', async () => {
      expect(await workload.preflight(target, IMAGE)).toMatchObject({
        ok: true,
        facts: {
          version: 'v1',
          container: 'world',
          epoch: 0,
          template: { spec: { containers: [{ image: imageOf('v1') }] } },
        },
        warnings: [],
      });
      expect(await workload.preflight(target, 'else/where:{version}')).toMatchObject({
        ok: true,
        facts: { version: null },
      });
      expect(await workload.stableTemplate(target)).toMatchObject({ image: imageOf('v1') });
      expect(await workload.canaryImage(target)).toBeNull();
    });

    describe('claiming', () => {
      it('changes nothing that runs, and is done once', async () => {
        const { spec } = await stable();
        await claimed();
        const after = await stable();
        expect(after.spec).toEqual(spec);
        expect(await world.other.claim(target, fence(1))).toEqual(DONE);
        expect(after.metadata.annotations).toEqual((await stable()).metadata.annotations);
      });

      it('is refused while another rollout is active, with the command that ends it', async () => {
        await claimed();
        const refused = { kind: 'refused', message: expect.stringMatching(/rollout world-1 .*\/deploy abort world/) };
        expect(await world.other.claim(target, fence(1, 2, 'world-2'))).toMatchObject(refused);
        expect(await workload.preflight(target, IMAGE)).toMatchObject({ ok: false, refusals: [refused.message] });
      });

      it('comes too late after an abort', async () => {
        expect(await workload.raise(target, fence(5, 2))).toEqual(DONE);
        expect((await world.other.claim(target, fence(1, 1))).kind).toBe('fenced');
      });
    });

    describe('the canary', () => {
      it('becomes Ready with the new image, beside a stable Deployment that is left alone', async () => {
        const { spec } = await stable();
        await created();
        expect(await workload.canaryState(target, 0, fence(9))).toMatchObject({ kind: 'waiting' });
        await canaryReady();
        expect(await workload.canaryImage(target)).toBe(imageOf('v2'));
        expect(await workload.canaryAddresses(target)).toEqual([expect.stringMatching(/^http:\/\/[\d.]+:7778$/)]);
        expect(await workload.canaryAddresses(target, 9090)).toEqual([expect.stringMatching(/:9090$/)]);
        expect(await workload.canaryAddresses(target, 'none')).toEqual([]);
        expect((await stable()).spec).toEqual(spec);
      });

      it('carries the mark of its maker from birth', async () => {
        await created();
        expect((await canary()).metadata).toMatchObject({
          labels: { 'app.kubernetes.io/managed-by': 'sluice' },
          annotations: { 'sluice.dev/rollout': 'world-1', 'sluice.dev/epoch': '1', 'sluice.dev/phase': 'active' },
        });
      });

      it('is made once, however often it is asked for', async () => {
        await created();
        const before = (await canary()).metadata;
        expect(await world.other.createCanary(plan, fence(2))).toEqual(DONE);
        expect((await canary()).metadata).toMatchObject({ uid: before.uid, generation: before.generation });
      });

      it('is not made by a late writer', async () => {
        await claimed();
        await world.other.raise(target, fence(3, 2));
        expect((await workload.createCanary(plan, fence(2))).kind).toBe('fenced');
        expect(await canary()).toBeNull();
      });

      it('takes over what an older rollout left behind', async () => {
        await created('v0');
        const left = (await canary()).metadata;
        await world.kube.merge(world.paths.deployment, { metadata: { annotations: { 'sluice.dev/phase': 'done' } } });
        expect(await world.other.preflight(target, IMAGE)).toMatchObject({ ok: true, facts: { epoch: 1 } });
        expect(await world.other.claim(target, fence(1, 2, 'world-2'))).toEqual(DONE);
        expect(await world.other.createCanary(plan, fence(2, 2, 'world-2'))).toEqual(DONE);
        const { metadata, spec } = await canary();
        expect(metadata).toMatchObject({ uid: left.uid, annotations: { 'sluice.dev/rollout': 'world-2' } });
        expect(spec.template.spec.containers[0].image).toBe(imageOf('v2'));
      });

      it('grows with the weight and never shrinks', async () => {
        await created();
        const scale = async (weight: number, seq: number) => {
          expect(await workload.scaleCanary(target, weight, fence(seq))).toEqual(DONE);
          return (await canary()).spec.replicas;
        };
        expect(await scale(10, 3)).toBe(1);
        expect(await scale(50, 4)).toBe(2);
        expect(await scale(100, 5)).toBe(3);
        expect(await scale(10, 6)).toBe(3);
        await canaryReady(100);
        expect(await workload.canaryAddresses(target)).toHaveLength(3);
      });

      it('is not Ready for a weight that it was not scaled for', async () => {
        await created();
        await canaryReady();
        let late = await world.lag();
        // A watch may begin with a state of a moment ago: it stands still once it has seen what is Ready.
        const seen = async () => {
          late = await world.lag();
          return (await late.canaryState(target, 10, fence(3))).kind;
        };
        await expect.poll(seen, { timeout: 5_000 }).toBe('ready');
        expect(await late.canaryState(target, 100, fence(3))).toEqual({
          kind: 'waiting',
          reason: expect.stringMatching(/world-(canary|v2) has 1 of the 3 replicas that 100% needs/),
        });
      });

      it('is not taken for Ready by a replica that has not heard of its last scaling', async () => {
        await created();
        await canaryReady();
        const late = await world.lag();
        expect(await workload.scaleCanary(target, 100, fence(3))).toEqual(DONE);
        expect((await late.canaryState(target, 100, fence(4))).kind).toBe('waiting');
      });

      it.each<[string, Fence]>([
        ['another rollout', fence(2, 2, 'world-2')],
        ['an older epoch', fence(2, 2)],
      ])('is not Ready while it carries the marks of %s', async (_, by) => {
        await created();
        await canaryReady();
        expect(await workload.canaryState(target, 0, by)).toEqual({
          kind: 'waiting',
          reason: expect.stringMatching(/world-(canary|v2) is marked by rollout world-1 \(epoch 1\)/),
        });
      });

      it.each([
        ['', false],
        [' and is not answered', true],
      ])('is taken away again when its creation wakes up after the rollout has ended%s', async (_, deaf) => {
        await claimed();
        const late = await world.lag(deaf);
        expect(await workload.createCanary(plan, fence(2))).toEqual(DONE);
        expect(await workload.promote(plan, fence(3), false)).toEqual(DONE);
        expect(await workload.cleanUp(target, fence(4))).toEqual(DONE);
        await until(async () => (await canary()) === null);
        expect(await late.createCanary(plan, fence(2))).toMatchObject({ kind: 'fenced', by: { phase: 'done' } });
        await until(async () => (await canary()) === null);
        const services = await world.kube.call('GET', `/api/v1/namespaces/${target.namespace}/services`);
        expect(services.items).toHaveLength(1);
      });

      it('stays when nobody answered its creation, which is repeated', async () => {
        await claimed();
        const deaf = await world.lag(true);
        await expect(deaf.createCanary(plan, fence(2))).rejects.toThrow(/POST .*no answer/);
        expect(await canary()).not.toBeNull();
        expect(await workload.createCanary(plan, fence(2))).toEqual(DONE);
      });

      it('is made by a replica that has not heard of the claim', async () => {
        const late = await world.lag();
        await claimed();
        expect(await late.createCanary(plan, fence(2))).toEqual(DONE);
      });

      it('is not made at all once the rollout has ended', async () => {
        await created();
        await workload.cleanUp(target, fence(3));
        expect(await workload.createCanary(plan, fence(2))).toMatchObject({ kind: 'fenced', by: { phase: 'done' } });
      });

      it('is refused to grow when it is gone', async () => {
        await created();
        await world.kube.call('DELETE', world.paths.canary);
        await until(async () => (await workload.scaleCanary(target, 100, fence(3))).kind === 'refused');
      });

      it("says in the container's words why it will not start", async () => {
        await created('v2-missing');
        const failing = await until(async () => {
          const state = await workload.canaryState(target, 0, fence(9));
          return state.kind === 'failing' && state;
        });
        expect(failing.reason).toMatch(/ImagePullBackOff: .*v2-missing/);
        // On a clock that nobody sets.
        expect(Math.abs(performance.now() - failing.since)).toBeLessThan(20_000);
        expect((await workload.canaryState(target, 0, fence(9))) as typeof failing).toMatchObject({
          since: failing.since,
        });
      });

      it('says when the namespace allows no more pods', async () => {
        const path = `/api/v1/namespaces/${target.namespace}/resourcequotas`;
        await world.kube.call('POST', path, {
          apiVersion: 'v1',
          kind: 'ResourceQuota',
          metadata: { name: 'pods' },
          spec: { hard: { pods: '0' } },
        });
        await until(async () => (await world.kube.get(`${path}/pods`)).status?.hard);
        await created();
        const failing = await until(async () => {
          const state = await workload.canaryState(target, 0, fence(9));
          return state.kind === 'failing' && state;
        });
        expect(failing.reason).toMatch(/exceeded quota/);
      });
    });

    // Others give stable no template.
    if (name !== 'twin') return;

    describe('promotion', () => {
      it('gives stable the new template and is done once', async () => {
        await promoted();
        await stableReady();
        expect(await workload.stableTemplate(target)).toMatchObject({ image: imageOf('v2') });
        const { spec } = await stable();
        expect(await world.other.promote(plan, fence(3), false)).toEqual(DONE);
        expect(await workload.promote(plan, fence(4), false)).toEqual(DONE);
        expect((await stable()).spec).toEqual(spec);
      });

      it('is not taken for Ready by a replica that has not heard of it', async () => {
        await created();
        await canaryReady();
        const late = await world.lag();
        const missing = planFor(target, 'v2-missing');
        expect(await workload.promote(missing, fence(3), false)).toEqual(DONE);
        expect((await late.stableState(missing, fence(4))).kind).toBe('waiting');
      });

      it.each<[string, () => Promise<unknown>, RegExp]>([
        ['stable has its old template', async () => undefined, /world does not run v2.*its image is .*v1/],
        ['somebody else gave stable another image', () => setImage('v7'), /world does not run v2.*its image is .*v7/],
      ])('is not Ready while %s', async (_, change, reason) => {
        await created();
        await change();
        await until(async () => {
          const state = await workload.stableState(plan, fence(3));
          expect(state.kind).toBe('waiting');
          return 'reason' in state && reason.test(state.reason);
        });
      });

      it('brings back the whole journalled template of a rollback', async () => {
        const { template } = (await stable()).spec;
        template.spec.terminationGracePeriodSeconds = 7;
        template.spec.containers[0].image = imageOf('v0');
        const rollback = planFor(target, 'v0', { template, kind: 'rollback' });
        await claimed();
        await workload.createCanary(rollback, fence(2));
        await canaryReady();
        await workload.promote(rollback, fence(3), false);
        expect((await stable()).spec.template).toEqual(template);
      });

      it('meets a template that somebody else changed, and overwrites it when told to', async () => {
        await created();
        await setImage('v7');
        await until(async () => (await workload.stableTemplate(target))?.image === imageOf('v7'));
        const drift = {
          object: expect.stringContaining('world'),
          difference: expect.stringContaining('v7'),
          weight: null,
        };
        expect(await workload.promote(plan, fence(3), false)).toEqual({ kind: 'drifted', drift });
        expect((await stable()).spec.template.spec.containers[0].image).toBe(imageOf('v7'));
        expect(await workload.promote(plan, fence(4), true)).toEqual(DONE);
        expect((await stable()).spec.template.spec.containers[0].image).toBe(imageOf('v2'));
      });

      it('is not repeated by a writer that has fallen behind its own rollout', async () => {
        await promoted();
        const by = { kind: 'fenced', by: { epoch: 1, seq: 3 } };
        expect(await workload.promote(plan, fence(2), true)).toMatchObject(by);
        expect(await world.other.claim(target, fence(2))).toMatchObject(by);
      });

      it("says in the container's words why stable does not become Ready", async () => {
        await created('v2-missing');
        await workload.promote(planFor(target, 'v2-missing'), fence(3), false);
        const state = await until(async () => {
          const seen = await workload.stableState(planFor(target, 'v2-missing'), fence(4));
          return seen.kind === 'failing' && seen;
        });
        expect(state.reason).toMatch(/ImagePullBackOff/);
      });
    });

    describe('aborting', () => {
      it('shows on stable from the new template on until the old one is back', async () => {
        await created();
        await canaryReady();
        expect(await workload.isPromoted(target, 'world-1')).toBe(false);
        await workload.promote(plan, fence(3), false);
        await until(() => world.other.isPromoted(target, 'world-1'));
        expect(await workload.isPromoted(target, 'world-2')).toBe(false);
        await workload.demote(target, fence(4, 2));
        await until(async () => !(await world.other.isPromoted(target, 'world-1')));
      });

      it('gives stable its old template back, exactly', async () => {
        const { template } = (await stable()).spec;
        await promoted();
        await stableReady();
        // Until the last new pod is gone, the new version has traffic still.
        expect(await world.other.demote(target, fence(4, 2))).toEqual({
          ...{ kind: 'done', mayRoute: true },
          rolling: expect.stringMatching(/not yet taken up|\d of \d pods are still of the version that is taken back/),
        });
        expect((await stable()).spec.template).toEqual(template);
        expect((await workload.promote(plan, fence(5), false)).kind).toBe('fenced');
        await until(async () => !('rolling' in (await workload.demote(target, fence(4, 2)))));
        const old = planFor(target, 'v1');
        await until(async () => (await workload.stableState(old, fence(5, 2))).kind === 'ready');
      });

      it('holds the traffic back where Recreate leaves no pod, until an old one is Ready', async () => {
        await world.kube.merge(world.paths.deployment, {
          spec: { strategy: { type: 'Recreate', rollingUpdate: null } },
        });
        await promoted();
        await stableReady();
        expect(await workload.demote(target, fence(4, 2))).toMatchObject({ kind: 'done', mayRoute: false });
        await until(async () => {
          const again = await workload.demote(target, fence(4, 2));
          return 'mayRoute' in again && again.mayRoute;
        });
        expect((await stable()).spec.template.spec.containers[0].image).toBe(imageOf('v1'));
      });

      it('changes nothing that runs where stable was not promoted, and routes there at once', async () => {
        // Not even one pod is Ready, and traffic is to go back all the same.
        await world.kube.merge(world.paths.deployment, {
          spec: { strategy: { type: 'Recreate', rollingUpdate: null } },
        });
        await setImage('v1-missing');
        await until(async () => (await stable()).status?.updatedReplicas === 3);
        await created();
        const { spec } = await until(async () => {
          const { status, ...found } = await stable();
          return status.observedGeneration >= found.metadata.generation && found;
        });
        expect(await world.other.demote(target, fence(4, 2))).toEqual({ kind: 'done', mayRoute: true });
        expect((await stable()).spec).toEqual(spec);
        expect((await workload.promote(plan, fence(5), false)).kind).toBe('fenced');
        await until(async () => {
          const again = await workload.demote(target, fence(4, 2));
          return 'mayRoute' in again && again.mayRoute;
        });
      });

      it('leaves a stable Deployment alone that its rollout has released', async () => {
        await promoted();
        await workload.cleanUp(target, fence(4));
        expect(await world.other.demote(target, fence(5, 2))).toEqual({ kind: 'done', mayRoute: true });
        const { metadata, spec } = await stable();
        expect(metadata.annotations).toMatchObject({ 'sluice.dev/epoch': '1', 'sluice.dev/phase': 'done' });
        expect(spec.template.spec.containers[0].image).toBe(imageOf('v2'));
      });

      it('raises the epoch everywhere, so that no late write lands', async () => {
        await created();
        expect(await world.other.raise(target, fence(9, 2))).toEqual(DONE);
        const epoch = (object: Json) => object.metadata.annotations['sluice.dev/epoch'];
        expect([epoch(await stable()), epoch(await canary())]).toEqual(['2', '2']);
        for (const late of [
          await workload.scaleCanary(target, 100, fence(10)),
          await workload.promote(plan, fence(10), true),
          await workload.createCanary(plan, fence(10)),
          await workload.demote(target, fence(10)),
          await workload.cleanUp(target, fence(10)),
        ]) {
          expect(late).toMatchObject({ kind: 'fenced', by: { epoch: 2 } });
        }
        expect(await world.other.raise(target, fence(9, 2))).toEqual(DONE);
      });
    });

    describe('cleaning up', () => {
      it('leaves nothing but the terminal marks, and may be repeated', async () => {
        const { spec, metadata } = await stable();
        await created();
        await canaryReady();
        expect(await workload.cleanUp(target, fence(3))).toEqual(DONE);
        const after = await stable();
        expect(after.spec).toEqual(spec);
        expect(after.metadata.labels).toEqual(metadata.labels);
        expect(after.metadata.annotations).toEqual({
          ...metadata.annotations,
          'deployment.kubernetes.io/revision': '1',
          'sluice.dev/rollout': 'world-1',
          'sluice.dev/epoch': '1',
          'sluice.dev/seq': '3',
          'sluice.dev/phase': 'done',
        });
        expect(await canary()).toBeNull();
        expect((await world.kube.call('GET', world.paths.service.replace('/world', ''))).items).toHaveLength(1);
        expect(await world.other.cleanUp(target, fence(3))).toEqual(DONE);
        expect(await workload.preflight(target, IMAGE)).toMatchObject({ ok: true, facts: { epoch: 1 } });
      });

      it('does not delete what it did not make', async () => {
        await claimed();
        await makeForeign(world, world.paths.canary);
        expect((await workload.createCanary(plan, fence(2))).kind).toBe('refused');
        expect(await workload.cleanUp(target, fence(3))).toEqual(DONE);
        expect(await canary()).not.toBeNull();
      });
    });
  });
}

/** A Deployment of somebody else's under the canary's name. */
async function makeForeign({ kube }: WorkloadWorld, path: string): Promise<void> {
  await kube.call('POST', path.slice(0, path.lastIndexOf('/')), {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: path.slice(path.lastIndexOf('/') + 1) },
    spec: {
      replicas: 0,
      selector: { matchLabels: { foreign: 'yes' } },
      template: { metadata: { labels: { foreign: 'yes' } }, spec: { containers: [{ name: 'x', image: 'x:1' }] } },
    },
  });
}

type Change = readonly [what: string, change: (world: WorkloadWorld) => Promise<unknown>, said: RegExp];

/** What a canary beside the stable Deployment needs from its surroundings. */
export function twinPreflightContract(make: () => Promise<WorkloadWorld>): void {
  const namespaced = (group: string, plural: string, { target }: World) =>
    `${group}/namespaces/${target.namespace}/${plural}`;
  const post = (world: WorkloadWorld, group: string, plural: string, object: object) =>
    world.kube.call('POST', namespaced(group, plural, world), object);
  const scale = (world: WorkloadWorld, metadata: object, name = 'world') =>
    post(world, '/apis/autoscaling/v2', 'horizontalpodautoscalers', {
      metadata,
      spec: { scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name }, maxReplicas: 5 },
    });
  const patch = (world: WorkloadWorld, ops: readonly object[]) =>
    world.kube.call('PATCH', world.paths.deployment, ops, 'application/json-patch+json');

  const refusals: readonly Change[] = [
    [
      'a Deployment that is not there',
      (world) => world.kube.call('DELETE', world.paths.deployment),
      /Deployment .*\/world does not exist/,
    ],
    [
      'a StatefulSet of that name',
      async (world) => {
        await world.kube.call('DELETE', world.paths.deployment);
        await post(world, '/apis/apps/v1', 'statefulsets', {
          metadata: { name: 'world' },
          spec: {
            serviceName: 'world',
            replicas: 0,
            selector: { matchLabels: { app: 'world' } },
            template: { metadata: { labels: { app: 'world' } }, spec: { containers: [{ name: 'x', image: 'x:1' }] } },
          },
        });
      },
      /is a StatefulSet/,
    ],
    [
      'two autoscalers',
      async (world) => {
        for (const name of ['day', 'night']) await scale(world, { name });
      },
      /Several autoscalers scale Deployment world \(.*day.*night\): leave one/,
    ],
    [
      "KEDA's autoscaler",
      (world) => scale(world, { name: 'keda-hpa-load', labels: { 'scaledobject.keda.sh/name': 'load' } }),
      /keda-hpa-load belongs to KEDA's ScaledObject load.*annotate scaledobject load .*paused=true.*in-place/,
    ],
    [
      "another operator's autoscaler",
      (world) => scale(world, { name: 'scaler', labels: { 'app.kubernetes.io/managed-by': 'flagger' } }),
      /HorizontalPodAutoscaler .*\/scaler is managed by Flagger/,
    ],
    [
      "an autoscaler of the canary's name",
      (world) => scale(world, { name: 'scaler' }, 'world-canary'),
      /scaler scales Deployment world-canary, whose size Sluice sets/,
    ],
    [
      'a Deployment scaled to nothing',
      (world) => world.kube.merge(world.paths.deployment, { spec: { replicas: 0 } }),
      /scaled to 0/,
    ],
    [
      'a paused Deployment',
      (world) => world.kube.merge(world.paths.deployment, { spec: { paused: true } }),
      /rollout resume/,
    ],
    [
      "another controller's marks",
      (world) =>
        world.kube.merge(world.paths.service, {
          metadata: { annotations: { 'argo-rollouts.argoproj.io/managed-by-rollouts': 'x' } },
        }),
      /managed by Argo Rollouts/,
    ],
    [
      'several containers, none named like the Deployment',
      (world) =>
        patch(world, [
          { op: 'replace', path: '/spec/template/spec/containers/0/name', value: 'main' },
          { op: 'add', path: '/spec/template/spec/containers/-', value: { name: 'side', image: 'x:1' } },
        ]),
      /no container world \(it has main, side\)/,
    ],
    [
      'a Kubernetes Service that would select the canary',
      (world) =>
        post(world, '/api/v1', 'services', {
          metadata: { name: 'all' },
          spec: { selector: { team: 'hello' }, ports: [{ port: 80 }] },
        }),
      /Kubernetes Service .*\/all .*app: world/,
    ],
    [
      'a foreign object under a name it needs',
      (world) => makeForeign(world, world.paths.canary),
      /was not made by Sluice/,
    ],
    [
      'a route that sends to nothing of it',
      (world) =>
        world.kube.merge(world.paths.route, { spec: { rules: [{ backendRefs: [{ name: 'else', port: 80 }] }] } }),
      /does not send to a Kubernetes Service of .*\(world\)/,
    ],
    [
      'no Kubernetes Service at all',
      (world) => world.kube.call('DELETE', world.paths.service),
      /No Kubernetes Service .* selects/,
    ],
  ];

  const warnings: readonly Change[] = [
    [
      'a NetworkPolicy',
      (world) =>
        post(world, '/apis/networking.k8s.io/v1', 'networkpolicies', {
          metadata: { name: 'only-stable' },
          spec: { podSelector: { matchLabels: { app: 'world' } } },
        }),
      /NetworkPolicy .*only-stable selects stable pods only/,
    ],
    [
      'a NetworkPolicy of what it asks',
      (world) =>
        post(world, '/apis/networking.k8s.io/v1', 'networkpolicies', {
          metadata: { name: 'db' },
          spec: {
            podSelector: { matchLabels: { app: 'db' } },
            ingress: [{ from: [{ podSelector: { matchLabels: { app: 'world' } } }] }],
          },
        }),
      /NetworkPolicy .*db lets stable pods in, but not the canary/,
    ],
    [
      'a PodDisruptionBudget',
      (world) =>
        post(world, '/apis/policy/v1', 'poddisruptionbudgets', {
          metadata: { name: 'budget' },
          spec: {
            minAvailable: 1,
            selector: { matchExpressions: [{ key: 'app', operator: 'In', values: ['world'] }] },
          },
        }),
      /PodDisruptionBudget .*budget selects stable pods only/,
    ],
  ];

  describe('twin before it starts', () => {
    let world: WorkloadWorld;
    beforeEach(async () => {
      world = await make();
    });
    afterEach(() => world.end());

    it.each(refusals)('refuses %s', async (_, change, said) => {
      await change(world);
      const looked = await world.workload.preflight(world.target, IMAGE);
      expect(looked).toMatchObject({ ok: false, refusals: [expect.stringMatching(said)] });
    });

    it('warns of a Deployment that a GitOps tool keeps as it is in Git', async () => {
      await world.kube.merge(world.paths.deployment, {
        metadata: { labels: { 'kustomize.toolkit.fluxcd.io/name': 'hello' } },
      });
      const looked = await world.workload.preflight(world.target, IMAGE);
      expect(looked).toMatchObject({ ok: true, warnings: [expect.stringMatching(/^Flux keeps Deployment .*world/)] });
    });

    it('warns of a migration in the same image, which keeps its version', async () => {
      const initContainers = [{ name: 'migrate', image: imageOf('v1') }];
      await world.kube.merge(world.paths.deployment, { spec: { template: { spec: { initContainers } } } });
      const looked = await world.workload.preflight(world.target, IMAGE);
      expect(looked).toMatchObject({
        ok: true,
        warnings: [expect.stringMatching(/container world only: initContainer migrate of .* keeps .*:v1/)],
      });
    });

    it('warns of annotations that the Kubernetes Services of a rollout do not get, those of tools left out', async () => {
      await world.kube.merge(world.paths.service, {
        metadata: {
          annotations: {
            'cloud.google.com/backend-config': '{}',
            'meta.helm.sh/release-name': 'world',
            'prometheus.io/scrape': 'true',
            'external-dns.alpha.kubernetes.io/hostname': 'world.example.com',
          },
        },
      });
      const looked = await world.workload.preflight(world.target, IMAGE);
      expect(looked).toMatchObject({
        ok: true,
        warnings: [
          expect.stringMatching(
            /^Service \S+\/world has annotations that world-stable and world-canary, .* are without: cloud\.google\.com\/backend-config\./,
          ),
        ],
      });
    });

    it.each(warnings)('warns of %s that covers stable only', async (_, change, said) => {
      await change(world);
      const looked = await world.workload.preflight(world.target, IMAGE);
      expect(looked).toMatchObject({ ok: true, warnings: [expect.stringMatching(said)] });
    });
  });
}
