/** What a rollout beside the version that serves writes, on each router that says what serves: of an API server whose controllers run. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createVersioned } from '../../src/adapters/kubernetes/versioned.ts';
import { createRouter } from '../../src/adapters/traffic/index.ts';
import { createBlindAbort } from '../../src/app/blind.ts';
import type { Fence } from '../../src/app/ports/cluster.ts';
import type { TrafficRouter, Wanted } from '../../src/app/ports/router.ts';
import type { Workload } from '../../src/app/ports/workload.ts';
import type { Plan, Target, Traffic } from '../../src/core/plan.ts';
import type { Json, Kube } from '../cluster/kube.ts';
import { openReplicas, type Replicas } from '../cluster/replicas.ts';
import { versionedWorld } from '../cluster/versioned-world.ts';
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
import type { WorkloadWorld } from './workload.ts';

const fence = (seq: number, epoch = 1, rollout = 'world-aaaaaa'): Fence => ({ rollout, epoch, seq });
const DONE = { kind: 'done' };

type System = {
  readonly traffic: (namespace: string) => Traffic;
  /** Path of the object that says what serves. */
  readonly path: (namespace: string) => string;
  readonly given: Json | null;
  /** Where it sends to, without weights. */
  readonly to: (object: Json) => readonly string[];
  /** Somebody else sends to v1 once more, in what no rollout routes. */
  readonly beside: (object: Json) => Json;
  /** Somebody else sends everything to one version. */
  readonly send: (version: string) => Json;
};

const istio = {
  apiVersion: 'networking.istio.io/v1',
  kind: 'VirtualService',
  metadata: { name: 'world' },
  spec: {
    hosts: ['world'],
    http: [{ name: 'main', route: [{ destination: { host: 'world-v1', port: { number: 80 } } }] }],
  },
};
const SYSTEMS: Readonly<Record<string, System>> = {
  'gateway-api': {
    traffic: (namespace) => ({ router: 'gateway-api', routes: [`${namespace}/world`] }),
    path: (namespace) => `/apis/gateway.networking.k8s.io/v1/namespaces/${namespace}/httproutes/world`,
    given: null,
    to: ({ spec }) => spec.rules.flatMap(({ backendRefs }: Json) => backendRefs.map(({ name }: Json) => name)),
    beside: ({ spec }) => {
      const matches = [{ path: { type: 'PathPrefix', value: '/new' } }];
      return { spec: { rules: [...spec.rules, { matches, backendRefs: [{ name: 'world-v1', port: 80 }] }] } };
    },
    send: (version) => ({ spec: { rules: [{ backendRefs: [{ name: `world-${version}`, port: 80 }] }] } }),
  },
  istio: {
    traffic: (namespace) => ({ router: 'istio', virtualService: `${namespace}/world`, http: [] }),
    path: (namespace) => `/apis/networking.istio.io/v1/namespaces/${namespace}/virtualservices/world`,
    given: istio,
    to: ({ spec }) => spec.http.flatMap(({ route }: Json) => route.map(({ destination }: Json) => destination.host)),
    beside: () => ({ spec: { tcp: [{ route: [{ destination: { host: 'world-v1' } }] }] } }),
    send: (version) => ({
      spec: { http: [{ name: 'main', route: [{ destination: { host: `world-${version}`, port: { number: 80 } } }] }] },
    }),
  },
  kubernetes: {
    traffic: (namespace) => ({ router: 'kubernetes', service: `${namespace}/world` }),
    path: (namespace) => `/api/v1/namespaces/${namespace}/services/world`,
    given: {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'world' },
      spec: { selector: { app: 'world', version: 'v1' }, ports: [{ port: 80, targetPort: 7778 }] },
    },
    to: ({ spec }) => [`world-${spec.selector.version}`],
    beside: () => ({ spec: { selector: { version: 'v1' } } }),
    send: (version) => ({ spec: { selector: { app: 'world', version } } }),
  },
};

export function versionedContract(kubeconfig: string, kube: Kube): void {
  describe.each(Object.entries(SYSTEMS))('versions beside each other, routed by %s', (_, system) => {
    let world: World;
    let configured: Target;
    let target: Target;
    let plan: Plan;
    let workload: Workload;
    let router: TrafficRouter;
    let other: TrafficRouter;
    let opened: Replicas;
    beforeEach(async () => {
      world = await makeWorld(kube, { version: 'v1', route: system.given === null });
      const { namespace } = world.target;
      configured = { ...world.target, workload: 'versioned', deployment: 'world', traffic: system.traffic(namespace) };
      const path = system.path(namespace);
      if (system.given) await kube.call('POST', path.slice(0, path.lastIndexOf('/')), system.given);
      opened = openReplicas(kubeconfig);
      workload = createVersioned({ cluster: opened.one, log: silent });
      router = createRouter(configured.traffic.router, { cluster: opened.one, log: silent });
      other = createRouter(configured.traffic.router, { cluster: opened.other, log: silent });
      target = await located({ version: 'v2' });
      plan = planFor(target, 'v2', { steps: [] });
    });
    afterEach(async () => {
      await opened.close();
      await unmakeWorld(kube, world);
    });

    const located = async (wanted: Wanted, by = router) => {
      const found = await by.locate?.(configured, wanted);
      if (!found?.ok) throw new Error(found?.refusal ?? 'nobody knows');
      return found.target;
    };
    const route = () => kube.get(system.path(target.namespace));
    const deployment = (version: string) => kube.get(world.paths.deployment.replace('world-v1', `world-${version}`));
    /** undefined: it is gone, or going. */
    const replicas = async (...versions: readonly string[]) => {
      const found = await Promise.all(versions.map(deployment));
      return found.map((one) => (one?.metadata.deletionTimestamp === undefined ? one?.spec.replicas : undefined));
    };
    const started = async (by = plan, epoch = 1, rollout = 'world-aaaaaa') => {
      const now = by.target;
      const at = (seq: number) => fence(seq, epoch, rollout);
      const { journal = {}, ...claimed } = await router.claim(now, at(1));
      expect(claimed).toEqual(DONE);
      expect(await workload.claim(now, at(1))).toEqual(DONE);
      expect(await workload.createCanary(by, at(2))).toEqual(DONE);
      expect(await workload.scaleCanary(now, 100, at(3))).toEqual(DONE);
      await until(async () => (await workload.canaryState(now, 100, at(9))).kind === 'ready');
      expect(await router.setRoute(now, weight(100), at(4), false)).toEqual(DONE);
      return journal;
    };
    const ended = async (by = plan, epoch = 1, rollout = 'world-aaaaaa') => {
      await started(by, epoch, rollout);
      expect(await workload.promote(by, fence(5, epoch, rollout), false)).toEqual(DONE);
      expect(await router.settle?.(by.target, fence(6, epoch, rollout), {}, false)).toEqual(DONE);
      expect(await workload.cleanUp(by.target, fence(7, epoch, rollout), 'promoted')).toEqual(DONE);
      expect(await router.release(by.target, fence(7, epoch, rollout))).toEqual(DONE);
    };

    it('knows what serves, and what a rollout holds', async () => {
      expect(target).toMatchObject({ deployment: 'world-v1', versioned: { base: 'world', canary: 'world-v2' } });
      expect(await workload.preflight(target, IMAGE)).toMatchObject({ ok: true, facts: { version: 'v1', epoch: 0 } });
      expect(await router.preflight(target)).toMatchObject({ ok: true });
      await started();
      await expect.poll(() => located({ rollout: 'world-aaaaaa' }, other), { timeout: 5_000 }).toEqual(target);
      expect((await located(null)).deployment).toBe('world-v1');
      await router.settle?.(target, fence(6), {}, false);
      expect(await located({ rollout: 'world-aaaaaa' })).toEqual(target);
      await workload.cleanUp(target, fence(7), 'promoted');
      await expect.poll(() => located({ rollout: 'world-aaaaaa' }, other), { timeout: 5_000 }).toEqual(target);
      await router.release(target, fence(7));
      await expect.poll(async () => (await located(null, other)).deployment, { timeout: 5_000 }).toBe('world-v2');
    });

    it('says so when the route sends to no version', async () => {
      await kube.merge(system.path(target.namespace), system.send('v9'));
      const asked = async () => {
        const found = await other.locate?.(configured, null);
        return found?.ok === false ? found.refusal : '';
      };
      await expect.poll(asked, { timeout: 5_000 }).toMatch(/sends to no version of world.*world-<version>.*world-v1/);
    });

    it('gives the canary the place of stable for good, once, and lets go of it', async () => {
      await started();
      expect(await router.settle?.(target, fence(6), {}, false)).toEqual(DONE);
      const { spec } = await route();
      expect(new Set(system.to({ spec }))).toEqual(new Set(['world-v2']));
      const held = { route: { weight: 100 }, settled: true, marks: { seq: 6, phase: 'active' } };
      await expect.poll(() => other.getRoute(target), { timeout: 5_000 }).toMatchObject(held);
      // Its controller's status may still be on the way.
      const written = async () => {
        const { metadata, spec: fields } = await route();
        return { fields, generation: metadata.generation, annotations: metadata.annotations };
      };
      const once = await written();
      expect(await other.settle?.(target, fence(6), {}, false)).toEqual(DONE);
      expect(await written()).toEqual(once);
      expect(await router.setRoute(target, weight(100), fence(4), false)).toMatchObject({ kind: 'fenced' });
      expect(await router.release(target, fence(7))).toEqual(DONE);
      expect((await route()).spec).toEqual(spec);
    });

    it('leaves the fields as they would be had v2 served from the start', async () => {
      const before = JSON.stringify((await route()).spec);
      await started();
      await router.settle?.(target, fence(6), {}, false);
      const after = JSON.stringify((await route()).spec);
      expect(after).toBe(before.replaceAll('world-v1', 'world-v2').replace('"version":"v1"', '"version":"v2"'));
    });

    it('meets a foreign edit where it would settle, and overwrites it when told to', async () => {
      const journal = await started();
      await kube.merge(system.path(target.namespace), system.send('v1'));
      await until(async () => (await router.getRoute(target))?.route?.weight !== 100);
      expect(await router.settle?.(target, fence(6), journal, false)).toMatchObject({ kind: 'drifted' });
      expect(system.to(await route())).toEqual(['world-v1']);
      expect(await router.settle?.(target, fence(7), journal, true)).toEqual(DONE);
      expect(system.to(await route())).toEqual(['world-v2']);
    });

    it('shows where it does not send to the new version any more', async () => {
      await started();
      await router.settle?.(target, fence(6), {}, false);
      await kube.merge(system.path(target.namespace), system.send('v1'));
      const held = { settled: true, route: null };
      await expect.poll(() => router.getRoute(target), { timeout: 5_000 }).toMatchObject(held);
    });

    it('tells afresh where it sends to the version before, in what no rollout routes too', async () => {
      await started();
      await router.settle?.(target, fence(6), {}, false);
      expect(await router.sendsToStable?.(target)).toEqual([]);
      await kube.merge(system.path(target.namespace), system.beside(await route()));
      expect(await router.sendsToStable?.(target)).toEqual([expect.stringContaining('world')]);
    });

    it('comes too late for an abort without Redis, which works until then', async () => {
      await started();
      const abort = createBlindAbort({ routerOf: () => router, workloadOf: () => workload });
      await router.settle?.(target, fence(6), {}, false);
      expect(await abort(configured, 'world-aaaaaa', 'U1(bo)@now')).toEqual({ kind: 'promoted' });
      expect(system.to(await route())).toEqual(['world-v2']);
    });

    it('goes back to what was there when it is aborted without Redis', async () => {
      const before = (await route()).spec;
      await started();
      const abort = createBlindAbort({ routerOf: () => router, workloadOf: () => workload });
      expect(await abort(configured, 'world-aaaaaa', 'U1(bo)@now')).toEqual({ kind: 'done' });
      expect((await route()).spec).toEqual(before);
      expect((await router.settle?.(target, fence(6), {}, true))?.kind).toBe('fenced');
    });

    it('gives pods back before traffic, should the abort find them gone', async () => {
      const before = (await route()).spec;
      await started();
      await router.settle?.(target, fence(6), {}, false);
      await workload.cleanUp(target, fence(7), 'promoted');
      expect(await replicas('v1', 'v2')).toEqual([0, 3]);
      expect(await workload.demote(target, fence(8, 2))).toMatchObject({ kind: 'done', mayRoute: false });
      await until(async () => (await workload.demote(target, fence(8, 2))).mayRoute === true);
      expect(await router.reset(target, fence(8, 2), {}, true)).toEqual(DONE);
      expect((await route()).spec).toEqual(before);
      expect(await workload.cleanUp(target, fence(9, 2), 'aborted')).toEqual(DONE);
      expect(await replicas('v1')).toEqual([3]);
    });

    it('keeps the version before without pods, and takes away what it made before that', async () => {
      await ended();
      expect(await replicas('v1', 'v2')).toEqual([0, 3]);
      const third = planFor(await located({ version: 'v3' }), 'v3', { steps: [] });
      await ended(third, 2, 'world-bbbbbb');
      expect(await replicas('v1', 'v2', 'v3')).toEqual([0, 0, 3]);
      const fourth = planFor(await located({ version: 'v4' }), 'v4', { steps: [] });
      await ended(fourth, 3, 'world-cccccc');
      await until(async () => (await deployment('v2')) === null);
      // Not made by Sluice: never deleted.
      expect(await replicas('v1', 'v3', 'v4')).toEqual([0, 0, 3]);
    });

    it('brings the version before back with its own objects', async () => {
      const { spec, metadata } = await deployment('v1');
      await ended();
      const back = planFor(await located({ version: 'v1' }), 'v1', {
        kind: 'rollback',
        template: spec.template,
        steps: [],
      });
      expect(back.target).toMatchObject({ deployment: 'world-v2', versioned: { canary: 'world-v1' } });
      await ended(back, 2, 'world-bbbbbb');
      const now = await deployment('v1');
      expect(now.metadata.uid).toBe(metadata.uid);
      expect(now.spec).toEqual(spec);
      expect(await replicas('v2')).toEqual([0]);
    });

    it('makes the version before again where somebody deleted it', async () => {
      const { spec } = await deployment('v1');
      await ended();
      await kube.call('DELETE', world.paths.deployment);
      await until(async () => (await deployment('v1')) === null);
      await until(async () => (await workload.preflight(await located({ version: 'v1' }), IMAGE)).ok);
      const template = { ...spec.template };
      const back = planFor(await located({ version: 'v1' }), 'v1', { kind: 'rollback', template, steps: [] });
      await ended(back, 2, 'world-bbbbbb');
      const now = await deployment('v1');
      expect(now.spec.template.spec.containers[0].image).toBe(imageOf('v1'));
      expect(now.spec.replicas).toBe(3);
    });

    it('lets an older version sleep again when its way back is aborted', async () => {
      await ended();
      const back = planFor(await located({ version: 'v1' }), 'v1', { steps: [] });
      await started(back, 2, 'world-bbbbbb');
      const by = fence(8, 3, 'world-bbbbbb');
      expect(await router.reset(back.target, by, {}, true)).toEqual(DONE);
      expect(await workload.raise(back.target, by)).toEqual(DONE);
      expect(await workload.cleanUp(back.target, by, 'aborted')).toEqual(DONE);
      expect(await replicas('v1', 'v2')).toEqual([0, 3]);
      expect(await workload.cleanUp(back.target, by, 'aborted')).toEqual(DONE);
      expect(await workload.preflight(await located({ version: 'v1' }), IMAGE)).toMatchObject({ ok: true });
    });

    it('keeps both versions running where the routes were changed after the promotion', async () => {
      await started();
      await router.settle?.(target, fence(6), {}, false);
      expect(await workload.cleanUp(target, fence(7), 'disputed')).toEqual(DONE);
      expect(await replicas('v1', 'v2')).toEqual([3, 3]);
      await router.release(target, fence(7));
      // What was kept is a way back, and stays as it was should that be aborted.
      const back = planFor(await located({ version: 'v1' }), 'v1', { steps: [] });
      const free = async () => (await workload.preflight(back.target, IMAGE)).ok;
      await expect.poll(free, { timeout: 5_000 }).toBe(true);
      await started(back, 2, 'world-bbbbbb');
      const by = fence(8, 3, 'world-bbbbbb');
      expect(await router.reset(back.target, by, {}, true)).toEqual(DONE);
      expect(await workload.raise(back.target, by)).toEqual(DONE);
      expect(await workload.cleanUp(back.target, by, 'aborted')).toEqual(DONE);
      expect(await replicas('v1', 'v2')).toEqual([3, 3]);
      expect((await deployment('v1')).metadata.annotations['sluice.dev/phase']).toBe('done');
    });

    it('keeps the pods of the version before that is wanted back at once', async () => {
      await started();
      const pods = async () => {
        const { items } = await kube.get(`/api/v1/namespaces/${target.namespace}/pods`);
        return items.map(({ metadata }: Json) => metadata.name).filter((name: string) => name.startsWith('world-v1-'));
      };
      const warm = (await pods()).toSorted();
      await router.settle?.(target, fence(6), {}, false);
      expect(await workload.cleanUp(target, fence(7), 'recalled')).toEqual(DONE);
      expect(await router.release(target, fence(7))).toEqual(DONE);
      expect(await replicas('v1', 'v2')).toEqual([3, 3]);
      const back = planFor(await located({ version: 'v1' }), 'v1', { steps: [] });
      await ended(back, 2, 'world-bbbbbb');
      expect(await replicas('v1', 'v2')).toEqual([3, 0]);
      expect(warm).toHaveLength(3);
      expect((await pods()).toSorted()).toEqual(warm);
    });

    it('leaves what somebody did to the version before when the promotion is aborted', async () => {
      await started();
      const image = imageOf('v1.1');
      const template = { spec: { containers: [{ name: 'world', image }] } };
      const { spec } = await deployment('v1');
      const [container] = spec.template.spec.containers;
      await kube.merge(world.paths.deployment, {
        spec: { template: { spec: { containers: [{ ...container, ...template.spec.containers[0] }] } } },
      });
      const demote = async () => (await workload.demote(target, fence(8, 2))).mayRoute;
      await until(async () => (await demote()) === true);
      const now = await deployment('v1');
      expect(now.spec.template.spec.containers[0].image).toBe(image);
      expect(now.metadata.annotations['sluice.dev/epoch']).toBe('2');
    });

    it('takes no number of pods from an older rollout for its own', async () => {
      await kube.merge(world.paths.deployment, { metadata: { annotations: { 'sluice.dev/replicas': '7' } } });
      await started();
      expect((await deployment('v1')).metadata.annotations).not.toHaveProperty(['sluice.dev/replicas']);
      await kube.merge(world.paths.deployment, { metadata: { annotations: { 'sluice.dev/replicas': '7' } } });
      await until(async () => (await workload.demote(target, fence(8, 2))).mayRoute === true);
      expect(await replicas('v1')).toEqual([3]);
    });

    it('takes no pods too late, when somebody else has given them back', async () => {
      await started();
      await router.settle?.(target, fence(6), {}, false);
      // Without a journal to take off, nothing but the phase tells that the end came before.
      await kube.merge(world.paths.deployment, { metadata: { annotations: { 'sluice.dev/restore': null } } });
      const second = opened.other;
      // As long as it stands still, everything happens.
      const meanwhile = async () => {
        expect(await workload.cleanUp(target, fence(7), 'promoted')).toEqual(DONE);
        await kube.merge(world.paths.deployment, { spec: { replicas: 3 } });
      };
      let stoodStill = false;
      const patch: typeof second.patch = async (kind, ref, ops) => {
        if (ref.name === 'world-v1' && !stoodStill) {
          stoodStill = true;
          await meanwhile();
        }
        return second.patch(kind, ref, ops);
      };
      const late = createVersioned({ cluster: { ...second, patch }, log: silent });
      await late.cleanUp(target, fence(7), 'promoted');
      expect(stoodStill).toBe(true);
      expect(await replicas('v1')).toEqual([3]);
    });
  });

  describe('versions beside each other, before they start', () => {
    let world: WorkloadWorld;
    let target: Target;
    let workload: Workload;
    beforeEach(async () => {
      world = await versionedWorld(kubeconfig, kube);
      ({ target, workload } = world);
    });
    afterEach(() => world.end());
    const labels = { app: 'world', version: 'v2' };
    const v2 = (metadata: Json): Json => ({
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'world-v2', ...metadata },
      spec: {
        selector: { matchLabels: labels },
        template: { metadata: { labels }, spec: { containers: [{ name: 'world', image: imageOf('v2') }] } },
      },
    });
    const post = (group: string, plural: string, object: Json) =>
      kube.call('POST', `${group}/namespaces/${target.namespace}/${plural}`, object);

    it.each<[string, () => Promise<unknown>, RegExp]>([
      [
        'an autoscaler',
        () =>
          post('/apis/autoscaling/v2', 'horizontalpodautoscalers', {
            metadata: { name: 'scaler' },
            spec: { scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'world-v1' }, maxReplicas: 5 },
          }),
        /scaler scales Deployment world-v1.*workload twin/,
      ],
      [
        "somebody else's Deployment of the name",
        () => post('/apis/apps/v1', 'deployments', v2({})),
        /Deployment .*world-v2 exists, and no rollout of Sluice left it there/,
      ],
      [
        "another service's Deployment of the name",
        () =>
          post(
            '/apis/apps/v1',
            'deployments',
            v2({
              labels: { 'app.kubernetes.io/managed-by': 'sluice' },
              annotations: {
                'sluice.dev/rollout': 'other-aaaaaa',
                'sluice.dev/epoch': '1',
                'sluice.dev/seq': '1',
                'sluice.dev/phase': 'done',
              },
            }),
          ),
        /Deployment .*world-v2 exists, and no rollout of Sluice left it there/,
      ],
      [
        'a Kubernetes Service of the name that leads elsewhere',
        () =>
          post('/api/v1', 'services', {
            metadata: { name: 'world-v2' },
            spec: { selector: { app: 'world' }, ports: [{ port: 80 }] },
          }),
        /world-v2 exists and does not lead to the pods of its version alone: let it select by version: v2/,
      ],
      [
        'a Kubernetes Service of the live version that leads to all',
        () => kube.merge(world.paths.service, { spec: { selector: { version: null } } }),
        /world-v1 would send to the new version too: add version: v1/,
      ],
      [
        'no Kubernetes Service of the live version',
        () => kube.call('DELETE', world.paths.service),
        /world-v1 does not exist/,
      ],
    ])('refuses %s', async (_, change, said) => {
      await change();
      const refused = { ok: false, refusals: [expect.stringMatching(said)] };
      await expect.poll(() => workload.preflight(target, IMAGE), { timeout: 5_000 }).toMatchObject(refused);
    });

    it('warns of a Kubernetes Service before all versions', async () => {
      await post('/api/v1', 'services', {
        metadata: { name: 'all' },
        spec: { selector: { app: 'world' }, ports: [{ port: 80 }] },
      });
      const warned = { ok: true, warnings: [expect.stringMatching(/all selects the pods of all versions/)] };
      await expect.poll(() => workload.preflight(target, IMAGE), { timeout: 5_000 }).toMatchObject(warned);
    });
  });
}
