/** A playground that serves fewer versions than the simulation knows. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { kinds } from '../../playground/api-server/kinds.ts';
import { createPlayground, type Playground } from '../../playground/playground.ts';
import { type ApiClient, createApiClient } from './api-client.ts';

const smi = 'split.smi-spec.io';
let playground: Playground;
let api: ApiClient;
beforeAll(async () => {
  playground = await createPlayground({
    versions: { [smi]: ['v1alpha1', 'v1alpha2'], 'networking.istio.io': ['v1beta1'], 'keda.sh': [] },
  });
  api = createApiClient({ server: playground.api.url, token: playground.api.token });
});
afterAll(async () => {
  await api.close();
  await playground.stop();
});

const groups = async () => {
  const { body } = await api.get('/apis');
  return Object.fromEntries(
    body.groups.map(({ name, versions }: { name: string; versions: { version: string }[] }) => [
      name,
      versions.map(({ version }) => version),
    ]),
  );
};
const virtualServices = (version: string) => `/apis/networking.istio.io/${version}/namespaces/hello/virtualservices`;

describe('a group', () => {
  it('shows the versions that are served, the best first', async () => {
    expect(await groups()).toMatchObject({
      [smi]: ['v1alpha2', 'v1alpha1'],
      'networking.istio.io': ['v1beta1'],
      'gateway.networking.k8s.io': ['v1', 'v1beta1'],
      'linkerd.io': ['v1alpha2'],
    });
  });

  it('is not there when nothing of it is installed', async () => {
    expect(Object.keys(await groups())).not.toContain('keda.sh');
    expect((await api.get('/apis/keda.sh')).status).toBe(404);
    const answer = await api.get('/apis/keda.sh/v1alpha1/namespaces/hello/scaledobjects');
    expect(answer).toMatchObject({
      status: 404,
      body: { message: 'the server could not find the requested resource' },
    });
  });

  it('is read and written by the versions that are served only', async () => {
    const object = { kind: 'VirtualService', metadata: { name: 'world' }, spec: { hosts: ['world'] } };
    const written = await api.create(virtualServices('v1beta1'), {
      ...object,
      apiVersion: 'networking.istio.io/v1beta1',
    });
    expect(written).toMatchObject({ status: 201, body: { apiVersion: 'networking.istio.io/v1beta1' } });
    expect((await api.get(`${virtualServices('v1')}/world`)).status).toBe(404);
  });

  it('gains and loses versions while the server runs', async () => {
    playground.api.serve('networking.istio.io', ['v1', 'v1beta1']);
    expect((await api.get(virtualServices('v1'))).body).toMatchObject({ apiVersion: 'networking.istio.io/v1' });
    playground.api.serve('networking.istio.io', []);
    expect((await api.get(virtualServices('v1'))).status).toBe(404);
    playground.api.serve('networking.istio.io', undefined);
    expect((await groups())['networking.istio.io']).toEqual(['v1', 'v1beta1', 'v1alpha3']);
  });
});

describe('what is served only here', () => {
  it.each([
    ['a ScaledObject', kinds.scaledObjects, { scaleTargetRef: { name: 'world' }, triggers: [{ type: 'cron' }] }],
    ['a ServiceProfile', kinds.serviceProfiles, { dstOverrides: [{ authority: 'world.hello.svc', weight: 1 }] }],
    ['a StatefulSet', kinds.statefulSets, { serviceName: 'world' }],
  ])('%s is listed', async (_, kind, spec) => {
    playground.api.serve(kind.group, undefined);
    const path = `/apis/${kind.group}/${kind.version}/namespaces/hello/${kind.plural}`;
    const object = { apiVersion: `${kind.group}/${kind.version}`, kind: kind.kind, metadata: { name: 'world' }, spec };
    expect((await api.create(path, object)).status).toBe(201);
    expect((await api.get(path)).body).toMatchObject({ kind: `${kind.kind}List`, items: [{ spec }] });
  });

  it('half a weight is refused by the versions of TrafficSplit that know whole numbers only', async () => {
    playground.api.serve(smi, undefined);
    const spec = { service: 'world', backends: [{ service: 'world', weight: 0.5 }] };
    const create = (version: string) =>
      api.create(`/apis/${smi}/${version}/namespaces/hello/trafficsplits`, {
        apiVersion: `${smi}/${version}`,
        kind: 'TrafficSplit',
        metadata: { name: version },
        spec,
      });
    const statuses = await Promise.all(['v1alpha1', 'v1alpha2', 'v1alpha3', 'v1alpha4'].map(create));
    expect(statuses.map(({ status }) => status)).toEqual([201, 201, 422, 422]);
  });
});
