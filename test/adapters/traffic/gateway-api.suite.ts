/** What HTTPRoutes in particular must do, asked of an API server whose controllers run; called by whoever has one. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { type Cluster, createCluster } from '../../../src/adapters/kubernetes/cluster.ts';
import { createTwin } from '../../../src/adapters/kubernetes/twin.ts';
import { createGatewayApiRouter } from '../../../src/adapters/traffic/gateway-api.ts';
import { createBlindAbort } from '../../../src/app/blind.ts';
import type { Fence } from '../../../src/app/ports/cluster.ts';
import type { TrafficRouter } from '../../../src/app/ports/router.ts';
import type { Workload } from '../../../src/app/ports/workload.ts';
import type { Json, Kube } from '../../cluster/kube.ts';
import {
  IMAGE,
  makeWorld,
  PREVIEW,
  planFor,
  silent,
  unmakeWorld,
  until,
  type World,
  weight,
} from '../../cluster/world.ts';

const fence = (seq: number, epoch = 1): Fence => ({ rollout: 'world-1', epoch, seq });
const DONE = { kind: 'done' };

/** Counts what Sluice itself sends, watches included. */
function countCalls() {
  const calls: string[] = [];
  const request = z.object({ request: z.object({ method: z.string(), path: z.string(), headers: z.unknown() }) });
  const count = (message: unknown) => {
    const { method, path, headers } = request.parse(message).request;
    if (String(headers).includes('sluice/')) calls.push(`${method} ${path}`);
  };
  subscribe('undici:request:create', count);
  return { calls, stop: () => unsubscribe('undici:request:create', count) };
}

export function gatewayApiSuite(kubeconfig: string, kube: Kube): void {
  describe('HTTPRoutes', () => {
    let world: World;
    let cluster: Cluster;
    let router: TrafficRouter;
    let workload: Workload;
    beforeEach(async () => {
      world = await makeWorld(kube);
      cluster = createCluster({ kubeconfig, log: silent });
      router = createGatewayApiRouter({ cluster, log: silent });
      workload = createTwin({ cluster, log: silent });
    });
    afterEach(async () => {
      await cluster.close();
      await unmakeWorld(kube, world);
    });

    // Seen: look 7 (rights, 3 lists, 3 watches), claim 2, make 4 and a watch, raise 2, route 4, promote 1, give back 1,
    // clean up 5. On API servers before 1.32 each of the 4 watches needs a list first.
    it('a whole canary costs at most 30 requests, and waiting costs none', async () => {
      const { target } = world;
      const plan = planFor(target, 'v2');
      const canaryReady = (share: number) =>
        until(async () => (await workload.canaryState(target, share, fence(seq))).kind === 'ready');
      const { calls, stop } = countCalls();
      let seq = 1;
      await workload.preflight(target, IMAGE);
      await router.preflight(target);
      await router.claim(target, fence(seq));
      await workload.claim(target, fence(seq));
      await workload.createCanary(plan, fence(++seq));
      seq++;
      await canaryReady(0);
      for (const route of [PREVIEW, weight(10), weight(50), weight(100)]) {
        expect(await workload.scaleCanary(target, route.weight, fence(++seq))).toEqual(DONE);
        seq++;
        await canaryReady(route.weight);
        expect(await router.setRoute(target, route, fence(++seq), false)).toEqual(DONE);
        const before = calls.length;
        for (let looks = 0; looks < 20; looks++) {
          expect(await router.drift(target, route, fence(seq))).toBeNull();
          await router.confirmed(target);
          await router.getRoute(target);
          await router.listMarked([target.namespace]);
          await workload.scaleCanary(target, route.weight, fence(seq + 1));
          await workload.canaryAddresses(target);
        }
        expect(calls.length).toBe(before);
      }
      await workload.promote(plan, fence(++seq), false);
      seq++;
      await until(async () => (await workload.stableState(plan, fence(seq))).kind === 'ready');
      expect(await router.reset(target, fence(++seq), {}, false)).toEqual(DONE);
      expect(await workload.cleanUp(target, fence(++seq))).toEqual(DONE);
      expect(await router.release(target, fence(seq))).toEqual(DONE);
      stop();
      expect(calls.length, calls.join('\n')).toBeLessThanOrEqual(30);
    });

    // A bot knows the versions of the API from its start on: the sweep lists what is marked.
    it('an abort is one request where the route is being watched, and two more where not even the API is known', async () => {
      const { target } = world;
      await router.claim(target, fence(1));
      await router.setRoute(target, weight(50), fence(2), false);
      const { calls, stop } = countCalls();
      expect(await router.reset(target, fence(3, 2), {}, true)).toEqual(DONE);
      expect(calls).toEqual([expect.stringMatching(/^PATCH/)]);
      const cold = createCluster({ kubeconfig, log: silent });
      expect(await createGatewayApiRouter({ cluster: cold, log: silent }).reset(target, fence(4, 3), {}, true)).toEqual(
        DONE,
      );
      expect(calls.slice(1)).toEqual([
        expect.stringMatching(/^GET .*\/apis\/[^/]+$/),
        expect.stringMatching(/^GET/),
        expect.stringMatching(/^PATCH/),
      ]);
      await cold.close();
      stop();
    });

    describe('several for one service', () => {
      let both: World['target'];
      let second: string;
      const canaryWeight = async (path: string) =>
        (await kube.get(path)).spec.rules[0].backendRefs.find(({ name }: Json) => name === 'world-canary')?.weight ??
        null;
      const weights = async () => [await canaryWeight(world.paths.route), await canaryWeight(second)];

      beforeEach(async () => {
        const { metadata, spec, ...rest } = await kube.get(world.paths.route);
        second = `${world.paths.route}-internal`;
        const name = `${metadata.name}-internal`;
        const { status: _, ...body } = rest;
        await kube.call('POST', second.slice(0, second.lastIndexOf('/')), { ...body, metadata: { name }, spec });
        const { namespace } = world.target;
        both = {
          ...world.target,
          traffic: { router: 'gateway-api', routes: [`${namespace}/world`, `${namespace}/${name}`] },
        };
      });

      it('move together and are given back together', async () => {
        await expect
          .poll(() => router.preflight(both), { timeout: 8_000 })
          .toMatchObject({
            ok: true,
            facts: { objects: [/world$/, /world-internal$/].map((one) => expect.stringMatching(one)) },
          });
        const { journal = {} } = await router.claim(both, fence(1));
        expect(Object.keys(journal)).toHaveLength(2);
        expect(await router.setRoute(both, weight(10), fence(2), false)).toEqual(DONE);
        expect(await weights()).toEqual([10, 10]);
        expect(await router.getRoute(both)).toMatchObject({ route: weight(10) });
        expect(await router.reset(both, fence(3, 2), {}, true)).toEqual(DONE);
        expect(await weights()).toEqual([null, null]);
      });

      it.each<[string, [number, number, string], [number, number, string], object]>([
        ['the higher epoch', [1, 9, 'active'], [2, 4, 'active'], { epoch: 2, seq: 4 }],
        ['in one epoch the later write', [1, 9, 'active'], [1, 4, 'active'], { epoch: 1, seq: 9 }],
        ['as long as one is held, held', [1, 9, 'done'], [1, 8, 'active'], { seq: 9, phase: 'active' }],
        ['when none is held, done', [1, 8, 'done'], [1, 9, 'done'], { seq: 9, phase: 'done' }],
      ])('speak with one voice: %s', async (_, first, other, marks) => {
        await router.claim(both, fence(1));
        for (const [path, [epoch, seq, phase]] of [
          [world.paths.route, first],
          [second, other],
        ] as const) {
          const annotations = { epoch: `${epoch}`, seq: `${seq}`, phase };
          const marked = Object.entries(annotations).map(([key, value]) => [`sluice.dev/${key}`, value]);
          await kube.merge(path, { metadata: { annotations: Object.fromEntries(marked) } });
        }
        await until(async () => {
          const seen = (await router.getRoute(both))?.marks;
          return (
            seen &&
            Object.entries(marks).every(([key, value]) =>
              Object.entries(seen).some(([k, v]) => k === key && v === value),
            )
          );
        }, 5_000);
      });

      it('are lowered again when one of them cannot be raised', async () => {
        await router.claim(both, fence(1));
        await router.setRoute(both, weight(10), fence(2), false);
        const { spec } = await kube.get(second);
        [spec.rules[0].backendRefs[0].weight, spec.rules[0].backendRefs[1].weight] = [67, 33];
        await kube.merge(second, { spec: { rules: spec.rules } });
        expect(await router.setRoute(both, weight(50), fence(3), false)).toMatchObject({
          kind: 'drifted',
          drift: { weight: 33 },
        });
        expect(await weights()).toEqual([10, 33]);
        expect(await router.setRoute(both, weight(50), fence(4), true)).toEqual(DONE);
        expect(await weights()).toEqual([50, 50]);
      });

      it.each([
        ['it was not taken', false],
        ['it was, and only its answer got lost', true],
      ])('are lowered again when nobody knows what became of a write: %s', async (_, isTaken) => {
        let isBroken = true;
        const flaky: Cluster = {
          ...cluster,
          async patch(kind, ref, ops) {
            const breaks = isBroken && ref.name.endsWith('-internal');
            if (breaks) isBroken = false;
            const outcome = breaks && !isTaken ? null : await cluster.patch(kind, ref, ops);
            if (breaks || outcome === null) throw new Error('timed out');
            return outcome;
          },
        };
        await router.claim(both, fence(1));
        await router.setRoute(both, weight(10), fence(2), false);
        const unlucky = createGatewayApiRouter({ cluster: flaky, log: silent });
        await expect(unlucky.setRoute(both, weight(50), fence(3), false)).rejects.toThrow('timed out');
        expect(await weights()).toEqual([10, 10]);
        isBroken = true;
        await expect(unlucky.setRoute(both, weight(50), fence(3), false)).rejects.toThrow('timed out');
        expect(await weights()).toEqual([10, 10]);
        expect(await unlucky.setRoute(both, weight(50), fence(3), false)).toEqual(DONE);
        expect(await weights()).toEqual([50, 50]);
      });

      it('are lowered again also by a replica that finds the first one raised, since another one died there', async () => {
        await router.claim(both, fence(1));
        await router.setRoute(both, weight(10), fence(2), false);
        // Died between the writes: the second one is still where it was.
        const { spec, metadata } = await kube.get(second);
        await router.setRoute(both, weight(50), fence(3), false);
        const [stable, canary] = spec.rules[0].backendRefs;
        spec.rules[0].backendRefs = [
          { ...stable, weight: 67 },
          { ...canary, weight: 33 },
        ];
        await kube.merge(second, { metadata: { annotations: metadata.annotations }, spec });
        const other = createCluster({ kubeconfig, log: silent });
        const written = await createGatewayApiRouter({ cluster: other, log: silent }).setRoute(
          both,
          weight(50),
          fence(3),
          false,
        );
        await other.close();
        expect(written).toMatchObject({ kind: 'drifted', drift: { weight: 33 } });
        expect(await weights()).toEqual([10, 33]);
      });

      it('are aborted even when one is gone', async () => {
        await router.claim(both, fence(1));
        await router.setRoute(both, weight(10), fence(2), false);
        await kube.call('DELETE', second);
        expect(await router.reset(both, fence(3, 2), {}, true)).toEqual(DONE);
        expect(await canaryWeight(world.paths.route)).toBeNull();
      });

      it('are told as held where one is gone: an abort without Redis gives stable its old template back before traffic', async () => {
        await router.claim(both, fence(1));
        await workload.claim(both, fence(1));
        const { spec } = await kube.get(world.paths.deployment);
        await workload.createCanary(planFor(both, 'v2'), fence(2));
        await router.setRoute(both, weight(100), fence(3), false);
        expect(await workload.promote(planFor(both, 'v2'), fence(4), false)).toEqual(DONE);
        await kube.call('DELETE', second);
        await until(
          async () => (await workload.isPromoted(both, 'world-1')) && (await router.drift(both, weight(100), fence(3))),
        );
        const abort = createBlindAbort({ routerOf: () => router, workloadOf: () => workload });
        expect((await abort(both, 'world-1', 'U0BO@now')).kind).toMatch(/done|waiting/);
        expect((await kube.get(world.paths.deployment)).spec.template).toEqual(spec.template);
      });

      it('show what those have that are left, so that a share that is put back there is seen', async () => {
        await router.claim(both, fence(1));
        await router.setRoute(both, weight(10), fence(2), false);
        const { spec } = await kube.get(world.paths.route);
        await kube.call('DELETE', second);
        await expect.poll(() => router.drift(both, weight(10), fence(2))).toMatchObject({ difference: 'it is gone' });
        expect(await router.getRoute(both)).toMatchObject({ route: weight(10), marks: { seq: 2, phase: 'active' } });
        expect(await router.reset(both, fence(3, 2), {}, true)).toEqual(DONE);
        await expect.poll(() => router.getRoute(both)).toMatchObject({ route: weight(0), marks: { epoch: 2 } });
        await kube.merge(world.paths.route, { spec: { rules: spec.rules } });
        await expect.poll(() => router.getRoute(both)).toMatchObject({ route: weight(10) });
        await kube.call('DELETE', world.paths.route);
        await expect.poll(() => router.getRoute(both)).toBeNull();
      });
    });

    describe('refused before anything starts', () => {
      const setRules = (rules: Json[]) => kube.merge(world.paths.route, { spec: { rules } });

      it.each<[string, Json[], RegExp]>([
        [
          'a rule that shares the Kubernetes Service with another backend',
          [
            {
              backendRefs: [
                { name: 'world', port: 80 },
                { name: 'old', port: 80 },
              ],
            },
          ],
          /world shares these rules with other backends.*1\. \/ to world, old/,
        ],
        [
          'what another tool left behind',
          [{ backendRefs: [{ name: 'world-stable', port: 80 }] }],
          /^Without a rollout, .* still sends to world-stable or world-canary/,
        ],
        [
          'more than can be noted for the way back',
          Array.from({ length: 16 }, (_, n) => ({
            matches: [{ path: { type: 'PathPrefix', value: `/${n}${'x'.repeat(600)}` } }],
            backendRefs: [{ name: 'world', port: 80 }],
          })),
          /more than 8000 characters/,
        ],
      ])('%s', async (_, rules, said) => {
        await setRules(rules);
        expect(await router.preflight(world.target)).toMatchObject({
          ok: false,
          refusals: [expect.stringMatching(said)],
        });
      });

      it('a route elsewhere that no ReferenceGrant lets in', async () => {
        const elsewhere = await makeWorld(kube, {
          rules: [{ backendRefs: [{ name: 'world', namespace: world.target.namespace, port: 80 }] }],
        });
        const from = elsewhere.target.namespace;
        const target = { ...world.target, traffic: { router: 'gateway-api' as const, routes: [`${from}/world`] } };
        const looked = () => router.preflight(target);
        // Perhaps with what its controller says of it.
        const said = expect.arrayContaining([expect.stringMatching(/ReferenceGrant/)]);
        expect(await looked()).toMatchObject({ ok: false, refusals: said });
        const grants = `/apis/gateway.networking.k8s.io/v1beta1/namespaces/${world.target.namespace}/referencegrants`;
        const grant = (name: string, to: Json) =>
          kube.call('POST', grants, {
            apiVersion: 'gateway.networking.k8s.io/v1beta1',
            kind: 'ReferenceGrant',
            metadata: { name },
            spec: { from: [{ group: 'gateway.networking.k8s.io', kind: 'HTTPRoute', namespace: from }], to: [to] },
          });
        await grant('one', { group: '', kind: 'Service', name: 'world' });
        expect(await looked()).toMatchObject({ ok: false });
        await grant('all', { group: '', kind: 'Service' });
        // Its controller takes back what it said of the route before, in its own time.
        await expect.poll(looked, { timeout: 8_000 }).toMatchObject({ ok: true });
        await unmakeWorld(kube, elsewhere);
      });
    });

    it('refuses a preview where there is no room for its rules, and says nothing of it to others', async () => {
      const rules = Array.from({ length: 16 }, (_, n) => ({
        matches: [{ path: { type: 'PathPrefix', value: `/${n}` } }],
        backendRefs: [{ name: 'world', port: 80 }],
      }));
      await kube.merge(world.paths.route, { spec: { rules } });
      expect(await router.preflight(world.target, [weight(10)])).toMatchObject({ ok: true, warnings: [] });
      expect(await router.preflight(world.target, [PREVIEW])).toMatchObject({
        ok: false,
        refusals: [expect.stringMatching(/no room for preview/)],
      });
      await router.claim(world.target, fence(1));
      expect(await router.setRoute(world.target, PREVIEW, fence(2), false)).toMatchObject({ kind: 'refused' });
    });

    it('an abort without any journal sends all to stable and says what people must do', async () => {
      await router.claim(world.target, fence(1));
      await router.setRoute(world.target, weight(50), fence(2), false);
      await kube.merge(world.paths.route, { metadata: { annotations: { 'sluice.dev/restore': null } } });
      const cold = createCluster({ kubeconfig, log: silent });
      const late = createGatewayApiRouter({ cluster: cold, log: silent });
      await expect(late.reset(world.target, fence(3, 2), {}, true)).rejects.toThrow(/by hand/);
      await cold.close();
      expect((await kube.get(world.paths.route)).spec.rules[0].backendRefs.map(({ weight: one }: Json) => one)).toEqual(
        [100, 0],
      );
    });
  });
}
