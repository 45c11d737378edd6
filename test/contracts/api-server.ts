/**
 * What Sluice relies on in a Kubernetes API server. It holds on the real one (test/e2e), so it must hold on the simulated
 * one (test/playground): where they differ, the simulated one is wrong.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ApiClient, type Connection, collect, createApiClient, take } from '../playground/api-client.ts';
import { trafficKinds } from './api-server-kinds.ts';

const gateway = '/apis/gateway.networking.k8s.io/v1';

export function apiServerContract(name: string, connect: () => Promise<Connection>): void {
  const namespace = `contract-${randomUUID().slice(0, 8)}`;
  const routes = `${gateway}/namespaces/${namespace}/httproutes`;
  const services = `/api/v1/namespaces/${namespace}/services`;
  const deployments = `/apis/apps/v1/namespaces/${namespace}/deployments`;
  let api: ApiClient;

  describe(`API server: ${name}`, () => {
    beforeAll(async () => {
      api = createApiClient(await connect());
      await api.create('/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
    });
    afterAll(async () => {
      await api.remove(`/api/v1/namespaces/${namespace}`);
      await api.close();
    });

    /** A fresh HTTPRoute; the answer is what the server stored. */
    async function newRoute(annotations?: Record<string, string>) {
      const { status, body } = await api.create(routes, httpRoute(`route-${randomUUID().slice(0, 8)}`, annotations));
      expect(status).toBe(201);
      return { path: `${routes}/${body.metadata.name}`, body };
    }

    describe('JSON Patch', () => {
      const there = { 'sluice.dev/rollout': 'r1' };
      const add = { op: 'add', path: '/metadata/annotations/new', value: 'yes' };
      it.each([
        ['add below a missing annotations map is refused', undefined, [add], 422],
        ['add of the map where null is expected and none is there passes', undefined, claim(), 200],
        ['add of the map where null is expected and one is there is refused', there, claim(), 422],
        ['test of a missing key against null passes', there, [test('/metadata/annotations/x', null), add], 200],
        ['test of a key of a missing map is refused', undefined, [test('/metadata/annotations/x', null)], 422],
        ['replace of a missing annotation passes', there, [{ ...add, op: 'replace' }], 200],
        ['remove of a missing annotation is refused', there, [{ op: 'remove', path: add.path }], 422],
        ['test of another value is refused', there, [test('/metadata/annotations/sluice.dev~1rollout', 'r2')], 422],
        ['test of a stale resourceVersion is refused', there, [test('/metadata/resourceVersion', '1'), add], 422],
        ['test of another uid is refused', there, [test('/metadata/uid', 'other'), add], 422],
        ['test of a number against text is refused', there, [test('/spec/rules/0/backendRefs/0/port', '80')], 422],
        ['a list index out of range is refused', there, [test('/spec/rules/1', null)], 422],
        ['add at the end of a list passes', there, [{ op: 'add', path: '/spec/rules/-', value: {} }], 200],
        ['add beyond the end of a list is refused', there, [{ op: 'add', path: '/spec/rules/2', value: {} }], 422],
        ['an unknown operation is refused', there, [{ op: 'put', path: '/spec', value: {} }], 422],
        ['move passes', there, [{ op: 'move', from: '/spec/hostnames', path: '/spec/hostnames' }], 200],
        ['move of a missing value is refused', there, [{ op: 'move', from: '/spec/none', path: '/spec/x' }], 422],
        ['no operations pass', there, [], 200],
        ['a map of operations is refused as malformed', there, {}, 400],
      ])('%s', async (_, annotations, operations, status) => {
        const route = await newRoute(annotations);
        const answer = await api.jsonPatch(route.path, operations);
        expect(answer.status).toBe(status);
        if (status === 422) {
          const message = 'the server rejected our request due to an error in our request';
          expect(answer.body).toMatchObject({ kind: 'Status', reason: 'Invalid', message, details: {}, code: 422 });
          expect(answer.body.details).toEqual({});
        }
      });

      it('tests by value, whatever the order of keys', async () => {
        const { path, body } = await newRoute();
        const [backend] = body.spec.rules[0].backendRefs;
        const { weight, port, name: backendName, kind, group } = backend;
        const value = [{ weight, port, name: backendName, kind, group }];
        expect((await api.jsonPatch(path, [test('/spec/rules/0/backendRefs', value)])).status).toBe(200);
      });

      it('is all or nothing', async () => {
        const { path, body } = await newRoute();
        const operations = [
          { op: 'add', path: '/spec/hostnames/-', value: 'b.example' },
          test('/metadata/name', 'other'),
        ];
        expect((await api.jsonPatch(path, operations)).status).toBe(422);
        expect((await api.get(path)).body.spec).toEqual(body.spec);
      });

      it('answers a dry run with what would be stored, and stores nothing', async () => {
        const { path, body } = await newRoute({ a: '1' });
        const change = [{ op: 'replace', path: '/metadata/annotations/a', value: '2' }];
        const answer = await api.jsonPatch(`${path}?dryRun=All`, change);
        expect(answer).toMatchObject({ status: 200, body: { metadata: { annotations: { a: '2' } } } });
        const { metadata } = (await api.get(path)).body;
        expect(metadata).toMatchObject({ resourceVersion: body.metadata.resourceVersion, annotations: { a: '1' } });
        expect((await api.jsonPatch(`${path}?dryRun=All`, [test('/metadata/annotations/a', '2')])).status).toBe(422);
      });

      it('answers a stale resourceVersion that is set, not tested, with a conflict', async () => {
        const { path } = await newRoute({ a: '1' });
        const operations = [
          { op: 'replace', path: '/metadata/resourceVersion', value: '1' },
          { op: 'add', path: '/metadata/annotations/b', value: '2' },
        ];
        expect((await api.jsonPatch(path, operations)).body).toMatchObject({ code: 409, reason: 'Conflict' });
      });

      it('keeps the resourceVersion when nothing changes', async () => {
        const { path, body } = await newRoute({ a: '1' });
        const answer = await api.jsonPatch(path, [{ op: 'replace', path: '/metadata/annotations/a', value: '1' }]);
        expect(answer).toMatchObject({
          status: 200,
          body: { metadata: { resourceVersion: body.metadata.resourceVersion } },
        });
      });

      it('names the field of a value that the schema refuses', async () => {
        const { path, body } = await newRoute();
        const answer = await api.jsonPatch(path, [
          { op: 'replace', path: '/spec/rules/0/backendRefs/0/weight', value: -1 },
        ]);
        expect(answer.body).toMatchObject({
          code: 422,
          reason: 'Invalid',
          details: {
            name: body.metadata.name,
            kind: 'HTTPRoute',
            causes: [{ reason: 'FieldValueInvalid', field: 'spec.rules[0].backendRefs[0].weight' }],
          },
        });
      });

      it.each([
        ['the uid', { op: 'replace', path: '/metadata/uid', value: 'other' }, 422],
        ['the name', { op: 'replace', path: '/metadata/name', value: 'other' }, 400],
      ])('refuses to change %s', async (_, operation, status) => {
        expect((await api.jsonPatch((await newRoute()).path, [operation])).status).toBe(status);
      });

      it('ignores a change of what the server owns', async () => {
        const { path, body } = await newRoute();
        const operations = ['generation', 'creationTimestamp'].map((field) => ({
          op: 'replace',
          path: `/metadata/${field}`,
          value: field === 'generation' ? 99 : '2020-01-01T00:00:00Z',
        }));
        expect((await api.jsonPatch(path, operations)).body.metadata).toMatchObject({
          generation: 1,
          creationTimestamp: body.metadata.creationTimestamp,
          resourceVersion: body.metadata.resourceVersion,
        });
      });

      it('answers a missing object with 404', async () => {
        expect((await api.jsonPatch(`${routes}/none`, [])).body).toMatchObject({ code: 404, reason: 'NotFound' });
      });
    });

    describe('merge and strategic patches', () => {
      it('a merge patch removes what is null and keeps what is not named', async () => {
        const { path } = await newRoute({ a: '1', b: '2' });
        const answer = await api.mergePatch(path, { metadata: { annotations: { a: null, c: '3' } } });
        expect(answer.body.metadata.annotations).toEqual({ b: '2', c: '3' });
      });

      it('a merge patch with a stale resourceVersion is a conflict', async () => {
        const { path } = await newRoute();
        const answer = await api.mergePatch(path, { metadata: { resourceVersion: '1', annotations: { a: '1' } } });
        expect(answer.status).toBe(409);
      });

      it('a strategic patch of a custom resource is not supported', async () => {
        const answer = await api.strategicPatch((await newRoute()).path, {});
        expect(answer.body).toMatchObject({ code: 415, reason: 'UnsupportedMediaType' });
      });

      it('a strategic patch of a Deployment merges containers by name', async () => {
        await api.create(deployments, deployment('strategic'));
        const spec = { template: { spec: { containers: [{ name: 'main', image: 'world:v2' }] } } };
        const { body } = await api.strategicPatch(`${deployments}/strategic`, { spec });
        expect(body.spec.template.spec.containers).toMatchObject([
          { image: 'world:v2', ports: [{ containerPort: 7778 }] },
        ]);
      });
    });

    describe('create', () => {
      it('refuses a name that is taken', async () => {
        const { body } = await newRoute();
        const again = await api.create(routes, httpRoute(body.metadata.name));
        expect(again.body).toMatchObject({ code: 409, reason: 'AlreadyExists', details: { name: body.metadata.name } });
      });

      it('refuses a namespace that does not exist', async () => {
        const answer = await api.create(routes.replace(namespace, 'nowhere'), httpRoute('x'));
        expect(answer.body).toMatchObject({ code: 404, details: { kind: 'namespaces', name: 'nowhere' } });
      });

      it('fills in the defaults of a route', async () => {
        const { body } = await newRoute();
        expect(body.spec).toEqual({
          hostnames: ['world.example'],
          parentRefs: [{ group: 'gateway.networking.k8s.io', kind: 'Gateway', name: 'none' }],
          rules: [
            {
              backendRefs: [{ group: '', kind: 'Service', name: 'world', port: 80, weight: 1 }],
              matches: [{ path: { type: 'PathPrefix', value: '/' } }],
            },
          ],
        });
        expect(body.metadata).toMatchObject({ generation: 1, namespace, uid: expect.any(String) });
      });

      it('drops fields that the schema does not know', async () => {
        const route = httpRoute('pruned');
        const { body } = await api.create(routes, { ...route, spec: { ...route.spec, unheard: 'of' } });
        expect(body.spec).not.toHaveProperty('unheard');
      });

      it.each([
        ['HTTPRoute', routes, httpRoute('strict')],
        ['Deployment', deployments, deployment('strict')],
      ])('refuses unknown fields of %s when asked to be strict', async (_, path, object) => {
        const strict = `${path}?fieldValidation=Strict`;
        const refused = await api.create(strict, { ...object, spec: { ...object.spec, unheard: 'of' } });
        expect(refused.body).toMatchObject({ code: 400, reason: 'BadRequest' });
        expect(refused.body.message).toContain('strict decoding error: unknown field "spec.unheard"');
        expect((await api.create(strict, object)).status).toBe(201);
        const operations = [{ op: 'add', path: '/spec/unheard', value: 'of' }];
        const patched = await api.jsonPatch(`${path}/strict?fieldValidation=Strict`, operations);
        expect(patched.body).toMatchObject({ code: 422, reason: 'Invalid' });
        expect(patched.body.message).toContain('strict decoding error: unknown field "spec.unheard"');
      });

      it('fills in the defaults of a Deployment', async () => {
        const { body } = await api.create(deployments, deployment('defaults'));
        expect(body.spec).toMatchObject({
          replicas: 1,
          progressDeadlineSeconds: 600,
          revisionHistoryLimit: 10,
          strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: '25%', maxUnavailable: '25%' } },
          template: { spec: { containers: [{ imagePullPolicy: 'IfNotPresent', ports: [{ protocol: 'TCP' }] }] } },
        });
      });

      it('refuses a Deployment whose selector does not match its template', async () => {
        const wrong = deployment('mismatch');
        const spec = { ...wrong.spec, selector: { matchLabels: { app: 'other' } } };
        const answer = await api.create(deployments, { ...wrong, spec });
        expect(answer.body).toMatchObject({
          code: 422,
          details: { causes: [{ field: 'spec.template.metadata.labels' }] },
        });
      });
    });

    describe('update', () => {
      it('refuses a stale resourceVersion, and takes the current one', async () => {
        const { path, body } = await newRoute();
        const changed = { ...body, spec: { ...body.spec, hostnames: ['b.example'] } };
        const stale = { ...changed, metadata: { ...body.metadata, resourceVersion: '1' } };
        expect((await api.replace(path, stale)).body).toMatchObject({ code: 409, reason: 'Conflict' });
        expect(await api.replace(path, changed)).toMatchObject({ status: 200, body: { metadata: { generation: 2 } } });
      });

      it('refuses a route without a resourceVersion', async () => {
        const { path, body } = await newRoute();
        const { resourceVersion: _, ...metadata } = body.metadata;
        expect((await api.replace(path, { ...body, metadata })).status).toBe(422);
      });

      it('counts generations of the wish, not of marks or status', async () => {
        const { path } = await newRoute({ a: '1' });
        const marked = await api.mergePatch(path, { metadata: { annotations: { a: '2' } } });
        expect(marked.body.metadata.generation).toBe(1);
        const status = {
          parents: [{ parentRef: { name: 'none' }, controllerName: 'sluice.dev/test', conditions: [accepted] }],
        };
        await api.mergePatch(`${path}/status`, { status, spec: { hostnames: ['ignored.example'] } });
        const after = await api.get(path);
        expect(after.body).toMatchObject({ metadata: { generation: 1 }, spec: { hostnames: ['world.example'] } });
        expect(after.body.status.parents).toHaveLength(1);
      });

      it('ignores the status outside of its subresource', async () => {
        const { path, body } = await newRoute();
        const answer = await api.jsonPatch(path, [{ op: 'add', path: '/status', value: { parents: [] } }]);
        expect(answer.body).toMatchObject({ metadata: { resourceVersion: body.metadata.resourceVersion } });
        expect(answer.body.status).toBeUndefined();
      });

      it('never changes the selector of a Deployment', async () => {
        await api.create(deployments, deployment('fixed'));
        const answer = await api.jsonPatch(`${deployments}/fixed`, [
          { op: 'replace', path: '/spec/selector/matchLabels/app', value: 'b' },
          { op: 'replace', path: '/spec/template/metadata/labels/app', value: 'b' },
        ]);
        expect(answer.body).toMatchObject({ code: 422, details: { causes: [{ field: 'spec.selector' }] } });
      });

      it('scales a Deployment by its subresource', async () => {
        await api.create(deployments, deployment('scaled'));
        const scale = `${deployments}/scaled/scale`;
        const one = test('/spec/replicas', 1);
        const answer = await api.jsonPatch(scale, [one, { ...one, op: 'replace', value: 2 }]);
        expect(answer.body).toMatchObject({ kind: 'Scale', spec: { replicas: 2 } });
        expect((await api.jsonPatch(scale, [one])).status).toBe(422);
        expect((await api.get(`${deployments}/scaled`)).body).toMatchObject({ spec: { replicas: 2 } });
      });

      it('shows no replicas in the scale of a Deployment that has none', async () => {
        await api.create(deployments, deployment('gone'));
        const answer = await api.mergePatch(`${deployments}/gone/scale`, { spec: { replicas: 0 } });
        expect(answer.body).toMatchObject({ kind: 'Scale', spec: {} });
        expect(answer.body.spec).not.toHaveProperty('replicas');
        expect((await api.get(`${deployments}/gone`)).body.spec.replicas).toBe(0);
      });
    });

    describe('delete', () => {
      it.each([
        ['uid', { uid: 'other' }],
        ['resourceVersion', { resourceVersion: '1' }],
      ])('refuses another %s than the expected one', async (_, preconditions) => {
        const { path } = await newRoute();
        const answer = await api.remove(path, { kind: 'DeleteOptions', apiVersion: 'v1', preconditions });
        expect(answer.body).toMatchObject({ code: 409, reason: 'Conflict' });
        expect((await api.get(path)).status).toBe(200);
      });

      it('deletes what fits, once', async () => {
        const { path, body } = await newRoute();
        const { uid, resourceVersion } = body.metadata;
        const answer = await api.remove(path, {
          kind: 'DeleteOptions',
          apiVersion: 'v1',
          preconditions: { uid, resourceVersion },
        });
        expect(answer.body).toMatchObject({ status: 'Success', details: { uid } });
        expect((await api.remove(path)).body).toMatchObject({ code: 404, reason: 'NotFound' });
      });
    });

    describe('list and watch', () => {
      const labelled = (serviceName: string, track: string) => service(serviceName, { track });

      it.each([
        ['labelSelector=track%3Da', ['list-a']],
        ['labelSelector=track%20in%20(a%2Cb)', ['list-a', 'list-b']],
        ['labelSelector=track%2Ctrack!%3Da', ['list-b']],
        ['fieldSelector=metadata.name%3Dlist-b', ['list-b']],
      ])('lists by %s', async (query, names) => {
        await api.create(services, labelled('list-a', 'a'));
        await api.create(services, labelled('list-b', 'b'));
        const { body } = await api.get(`${services}?${query}`);
        expect(body.items.map((item: { metadata: { name: string } }) => item.metadata.name)).toEqual(names);
        expect(body).toMatchObject({ kind: 'ServiceList', metadata: { resourceVersion: expect.any(String) } });
      });

      it('starts with all that exists when no resourceVersion is given', async () => {
        await api.create(services, labelled('watch-all', 'all'));
        const events = api.watch(`${services}?watch=true&timeoutSeconds=5&labelSelector=track%3Dall`);
        expect(await take(events, 1)).toEqual(['ADDED watch-all']);
        await events.return(undefined);
      });

      it('tells only what happens after the given resourceVersion', async () => {
        await api.create(services, labelled('before', 'later'));
        const { resourceVersion } = (await api.get(services)).body.metadata;
        const query = `watch=true&timeoutSeconds=5&labelSelector=track%3Dlater&resourceVersion=${resourceVersion}`;
        const events = api.watch(`${services}?${query}`);
        await api.create(services, labelled('after', 'later'));
        await api.mergePatch(`${services}/after`, { metadata: { annotations: { a: '1' } } });
        await api.remove(`${services}/after`);
        expect(await take(events, 3)).toEqual(['ADDED after', 'MODIFIED after', 'DELETED after']);
        await events.return(undefined);
      });

      it('tells of an object that enters or leaves the selection as added or deleted', async () => {
        await api.create(services, labelled('moving', 'here'));
        const { resourceVersion } = (await api.get(services)).body.metadata;
        const query = `watch=true&timeoutSeconds=5&labelSelector=track%3Dhere&resourceVersion=${resourceVersion}`;
        const events = api.watch(`${services}?${query}`);
        await api.mergePatch(`${services}/moving`, { metadata: { labels: { track: 'there' } } });
        await api.mergePatch(`${services}/moving`, { metadata: { labels: { track: 'here' } } });
        expect(await take(events, 2)).toEqual(['DELETED moving', 'ADDED moving']);
        await events.return(undefined);
      });

      it('answers a resourceVersion that is too old with an ERROR event of code 410, then ends', async () => {
        const events = await collect(api.watch(`${routes}?watch=true&resourceVersion=1`));
        expect(events).toMatchObject([{ type: 'ERROR', object: { kind: 'Status', code: 410, reason: 'Expired' } }]);
      });

      it('ends a watch after its timeout', async () => {
        const { resourceVersion } = (await api.get(services)).body.metadata;
        const path = `${services}?watch=true&timeoutSeconds=1&resourceVersion=${resourceVersion}`;
        expect(await collect(api.watch(path))).toEqual([]);
      });

      it('marks the end of the initial events with a bookmark when asked to', async () => {
        await api.create(services, labelled('marked', 'mark'));
        const query =
          'allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&timeoutSeconds=5';
        const events = api.watch(`${services}?watch=true&labelSelector=track%3Dmark&${query}`);
        expect(await take(events, 2)).toEqual(['ADDED marked', 'BOOKMARK undefined']);
        await events.return(undefined);
      });
    });

    trafficKinds(namespace, () => api);

    it('reviews the rights of the caller', async () => {
      const path = '/apis/authorization.k8s.io/v1/selfsubjectrulesreviews';
      const review = { apiVersion: 'authorization.k8s.io/v1', kind: 'SelfSubjectRulesReview', spec: { namespace } };
      const { status, body } = await api.create(path, review);
      expect(status).toBe(201);
      expect(body.status.resourceRules).toContainEqual({ verbs: ['*'], apiGroups: ['*'], resources: ['*'] });
    });

    it('refuses a caller that it does not know', async () => {
      const stranger = createApiClient({ ...(await connect()), token: 'unknown' });
      expect((await stranger.get(services)).body).toMatchObject({ code: 401, reason: 'Unauthorized' });
      await stranger.close();
    });
  });
}

const accepted = {
  type: 'Accepted',
  status: 'True',
  reason: 'Accepted',
  message: '',
  lastTransitionTime: '2026-01-01T00:00:00Z',
};

function test(path: string, value: unknown) {
  return { op: 'test', path, value };
}

/** The annotations map is made only where there is none. */
function claim() {
  const path = '/metadata/annotations';
  return [
    test(path, null),
    { op: 'add', path, value: {} },
    { op: 'add', path: `${path}/sluice.dev~1rollout`, value: 'r1' },
  ];
}

function httpRoute(name: string, annotations?: Record<string, string>) {
  return {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    metadata: { name, ...(annotations && { annotations }) },
    spec: {
      parentRefs: [{ name: 'none' }],
      hostnames: ['world.example'],
      rules: [{ backendRefs: [{ name: 'world', port: 80 }] }],
    },
  };
}

function service(name: string, labels: Record<string, string>) {
  const spec = { selector: { app: name }, ports: [{ port: 80 }] };
  return { apiVersion: 'v1', kind: 'Service', metadata: { name, labels }, spec };
}

function deployment(name: string) {
  const containers = [{ name: 'main', image: 'world:v1', ports: [{ containerPort: 7778 }] }];
  const template = { metadata: { labels: { app: name } }, spec: { containers } };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name },
    spec: { selector: { matchLabels: { app: name } }, template },
  };
}
