/** What Sluice relies on in the kinds that move traffic or size workloads, beyond what all kinds share. */
import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { ApiClient } from '../playground/api-client.ts';
import {
  autoscaler,
  type Body,
  destinationRule,
  httpRoute,
  ingress,
  split,
  virtualService,
  wrongs,
} from './api-server-objects.ts';

const plurals: Readonly<Record<string, string>> = {
  Ingress: 'ingresses',
  VirtualService: 'virtualservices',
  DestinationRule: 'destinationrules',
  TrafficSplit: 'trafficsplits',
  HTTPRoute: 'httproutes',
  HorizontalPodAutoscaler: 'horizontalpodautoscalers',
  Deployment: 'deployments',
  ConfigMap: 'configmaps',
};

export function trafficKinds(namespace: string, api: () => ApiClient): void {
  const pathOf = ({ apiVersion, kind }: Body) =>
    `${apiVersion.includes('/') ? '/apis' : '/api'}/${apiVersion}/namespaces/${namespace}/${plurals[kind]}`;

  async function create(object: Body) {
    const metadata = { name: `kind-${randomUUID().slice(0, 8)}` };
    const answer = await api().create(pathOf(object), { ...object, metadata });
    expect(answer.body).toMatchObject({ kind: object.kind });
    return { path: `${pathOf(object)}/${metadata.name}`, body: answer.body };
  }

  describe('versions', () => {
    it.each([
      ['split.smi-spec.io', ['v1alpha4', 'v1alpha3', 'v1alpha2', 'v1alpha1']],
      ['networking.istio.io', ['v1', 'v1beta1', 'v1alpha3']],
      ['gateway.networking.k8s.io', ['v1', 'v1beta1']],
      ['apps', ['v1']],
    ])('of %s are listed, the best first', async (group, versions) => {
      const { body } = await api().get(`/apis/${group}`);
      const listed = body.versions.map(({ version }: { version: string }) => version);
      expect(listed.filter((version: string) => versions.includes(version))).toEqual(versions);
      expect(body).toMatchObject({ kind: 'APIGroup', preferredVersion: { groupVersion: `${group}/${versions[0]}` } });
    });

    it('of a group that is not there are a 404', async () => {
      expect((await api().get('/apis/none.example')).status).toBe(404);
      expect((await api().get('/apis/none.example/v1')).status).toBe(404);
    });

    it.each([
      ['TrafficSplit', 'split.smi-spec.io', split(), ['v1alpha1', 'v1alpha2', 'v1alpha3', 'v1alpha4']],
      ['VirtualService', 'networking.istio.io', virtualService(), ['v1', 'v1beta1', 'v1alpha3']],
      ['DestinationRule', 'networking.istio.io', destinationRule(), ['v1', 'v1beta1', 'v1alpha3']],
      ['HTTPRoute', 'gateway.networking.k8s.io', httpRoute({}), ['v1', 'v1beta1']],
    ])('of a %s show the same object', async (_, group, object, versions) => {
      for (const written of versions) {
        const { path, body } = await create({ ...object, apiVersion: `${group}/${written}` });
        expect(body.apiVersion).toBe(`${group}/${written}`);
        for (const version of versions) {
          const read = await api().get(path.replace(`/${written}/`, `/${version}/`));
          expect(read.body).toMatchObject({ apiVersion: `${group}/${version}`, spec: body.spec });
          expect(read.body.metadata.resourceVersion).toBe(body.metadata.resourceVersion);
        }
      }
    });

    it('a change by one version is seen by a watch of another', async () => {
      const { path, body } = await create(virtualService());
      const query = `watch=true&timeoutSeconds=5&resourceVersion=${body.metadata.resourceVersion}`;
      const events = api().watch(`${pathOf(virtualService()).replace('/v1/', '/v1beta1/')}?${query}`);
      await api().jsonPatch(path, [{ op: 'replace', path: '/spec/hosts/0', value: 'other' }]);
      const { value } = await events.next();
      expect(value).toMatchObject({
        type: 'MODIFIED',
        object: { apiVersion: 'networking.istio.io/v1beta1', spec: { hosts: ['other'] } },
      });
      await events.return(undefined);
    });

    it('a patch by a version that the object was not written in fits its weights', async () => {
      const { path } = await create({ ...split(), apiVersion: 'split.smi-spec.io/v1alpha4' });
      const operations = [
        { op: 'test', path: '/spec/backends/1/weight', value: 0 },
        { op: 'replace', path: '/spec/backends/1/weight', value: 10 },
      ];
      const answer = await api().jsonPatch(path.replace('v1alpha4', 'v1alpha1'), operations);
      expect(answer.body).toMatchObject({ apiVersion: 'split.smi-spec.io/v1alpha1', metadata: { generation: 2 } });
      expect(answer.body.spec.backends[1]).toEqual({ service: 'world-canary', weight: 10 });
    });
  });

  describe('what is refused of', () => {
    it.each(wrongs)('%s', async (_, object, field) => {
      const metadata = { name: `wrong-${randomUUID().slice(0, 8)}` };
      const { status, body } = await api().create(pathOf(object), { ...object, metadata });
      expect({ status, reason: body.reason }).toEqual({ status: 422, reason: 'Invalid' });
      expect(body.details.causes.map((cause: { field: string }) => cause.field)).toContain(field);
    });
  });

  describe('what is kept of', () => {
    it('a VirtualService: all that its schema knows, in its place', async () => {
      const { body } = await create(virtualService());
      expect(body.spec).toEqual(virtualService().spec);
      const unheard = { ...virtualService(), spec: { ...virtualService().spec, unheard: 'of' } };
      expect((await create(unheard)).body.spec).toEqual(virtualService().spec);
    });

    it('an Ingress: what was written, nothing else', async () => {
      const { body } = await create(ingress());
      expect(body.spec).toEqual(ingress().spec);
    });

    it('a ConfigMap: its data', async () => {
      const { body } = await create({ apiVersion: 'v1', kind: 'ConfigMap', data: { colour: 'blue' } });
      expect(body).toMatchObject({ data: { colour: 'blue' } });
    });

    it('a HorizontalPodAutoscaler: one replica at least, by CPU', async () => {
      const { body } = await create(autoscaler({ maxReplicas: 4 }));
      const target = { type: 'Utilization', averageUtilization: 80 };
      expect(body.spec).toMatchObject({
        minReplicas: 1,
        maxReplicas: 4,
        metrics: [{ type: 'Resource', resource: { name: 'cpu', target } }],
      });
    });
  });

  describe('generations', () => {
    it.each([
      ['TrafficSplit', split(), { op: 'replace', path: '/spec/backends/0/weight', value: 90 }],
      ['VirtualService', virtualService(), { op: 'replace', path: '/spec/http/0/route/0/weight', value: 90 }],
      ['Ingress', ingress(), { op: 'replace', path: '/spec/rules/0/host', value: 'b.example' }],
    ])('of a %s count the wish, not the marks', async (_, object, change) => {
      const { path } = await create(object);
      const marked = await api().mergePatch(path, { metadata: { annotations: { a: '1' } } });
      expect(marked.body.metadata.generation).toBe(1);
      expect((await api().jsonPatch(path, [change])).body.metadata.generation).toBe(2);
    });
  });
}
