import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { kinds } from '../../playground/api-server/kinds.ts';
import { type ApiServer, startApiServer } from '../../playground/api-server/server.ts';
import { createStore } from '../../playground/api-server/store.ts';
import { type ApiClient, collect, createApiClient, take } from './api-client.ts';

const services = '/api/v1/namespaces/hello/services';
const world = `${services}/world`;
const mark = { metadata: { annotations: { marked: 'yes' } } };
let server: ApiServer;
let client: ApiClient;

beforeAll(async () => {
  const store = createStore();
  server = await startApiServer(store);
  client = createApiClient({ server: server.url, token: server.token });
  store.create(kinds.namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'hello' } });
  const spec = { ports: [{ port: 80 }] };
  store.create(kinds.services, {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'world', namespace: 'hello' },
    spec,
  });
});
afterEach(async () => {
  server.calm();
  server.rights.allowEverything();
  await client.mergePatch(world, { metadata: { annotations: null } });
  server.forget();
});
afterAll(async () => {
  await client.close();
  await server.stop();
});

const isMarked = () => server.store.demand(kinds.services, 'hello', 'world').metadata.annotations?.marked === 'yes';

describe('a disturbance of the API server', () => {
  it('answers the second matching request with a status, and only that', async () => {
    const fault = server.disturb({
      verb: 'patch',
      resource: 'services',
      skip: 1,
      effect: { kind: 'status', code: 503 },
    });
    const answers = [
      await client.mergePatch(world, mark),
      await client.mergePatch(world, {}),
      await client.mergePatch(world, {}),
    ];
    expect(answers.map(({ status }) => status)).toEqual([200, 503, 200]);
    expect(answers[1]?.body).toMatchObject({ kind: 'Status', code: 503 });
    expect(fault.hits()).toBe(1);
  });

  it('loses the answer of a write that was done', async () => {
    server.disturb({ verb: 'patch', effect: { kind: 'answer lost' } });
    await expect(client.mergePatch(world, mark)).rejects.toThrow();
    expect(isMarked()).toBe(true);
  });

  it('breaks the connection before anything is done', async () => {
    server.disturb({ verb: ['patch', 'update'], name: 'world', effect: { kind: 'broken' } });
    await expect(client.mergePatch(world, mark)).rejects.toThrow();
    expect(isMarked()).toBe(false);
  });

  it('lets a write land late', async () => {
    server.disturb({ verb: 'patch', effect: { kind: 'late', ms: 60 } });
    const write = client.mergePatch(world, mark);
    await sleep(20);
    expect(isMarked()).toBe(false);
    expect((await write).status).toBe(200);
    expect(isMarked()).toBe(true);
  });

  it('answers late what was done at once', async () => {
    server.disturb({ verb: 'patch', effect: { kind: 'late answer', ms: 60 } });
    const began = performance.now();
    const write = client.mergePatch(world, mark);
    await expect.poll(isMarked, { interval: 5 }).toBe(true);
    expect((await write).status).toBe(200);
    expect(performance.now() - began).toBeGreaterThan(55);
  });

  it('strikes only the named user agent, and can be taken back', async () => {
    const fault = server.disturb({ userAgent: 'nobody', times: Number.POSITIVE_INFINITY, effect: { kind: 'hang' } });
    expect((await client.get(world)).status).toBe(200);
    const all = server.disturb({ times: Number.POSITIVE_INFINITY, effect: { kind: 'status', code: 500 } });
    expect((await client.get(world)).status).toBe(500);
    all.stop();
    expect((await client.get(world)).status).toBe(200);
    expect(fault.hits()).toBe(0);
  });
});

describe('the API server of the playground', () => {
  it('counts requests by verb, resource and user agent', async () => {
    await client.get(world);
    await client.get(services);
    await client.mergePatch(world, {});
    expect(server.requests().map(({ verb, resource, name }) => [verb, resource, name])).toEqual([
      ['get', 'services', 'world'],
      ['list', 'services', ''],
      ['patch', 'services', 'world'],
    ]);
    expect(server.requests({ verb: ['patch', 'create'] })).toHaveLength(1);
    expect(server.requests({ userAgent: 'nobody' })).toEqual([]);
  });

  it('refuses what the caller has no right to, and says so in a review', async () => {
    server.rights.deny({ verb: 'patch', resource: 'services', namespace: 'hello' });
    expect((await client.mergePatch(world, mark)).body).toMatchObject({
      code: 403,
      reason: 'Forbidden',
      details: { name: 'world' },
    });
    const path = '/apis/authorization.k8s.io/v1/selfsubjectrulesreviews';
    const rules = async (namespace: string) => {
      const { body } = await client.create(path, { spec: { namespace } });
      return body.status.resourceRules.find(({ resources }: { resources: string[] }) => resources.includes('services'))
        .verbs;
    };
    expect(await rules('hello')).not.toContain('patch');
    expect(await rules('other')).toContain('patch');
    server.rights.reviewIncompletely();
    expect((await client.create(path, { spec: { namespace: 'hello' } })).body.status.incomplete).toBe(true);
  });

  it('answers 410 to a watch from before a compaction', async () => {
    const { resourceVersion } = (await client.get(services)).body.metadata;
    await client.mergePatch(world, mark);
    server.store.compact();
    const [event] = await collect(client.watch(`${services}?watch=true&resourceVersion=${resourceVersion}`));
    expect(event).toMatchObject({ type: 'ERROR', object: { code: 410 } });
  });

  it('ends watches when connections are dropped, and comes back at the same address after a stop', async () => {
    const events = client.watch(`${services}?watch=true`);
    expect(await take(events, 1)).toEqual(['ADDED world']);
    server.dropConnections();
    await expect(events.next()).rejects.toThrow();
    await server.stop();
    await expect(client.get(world)).rejects.toThrow();
    await server.start();
    expect((await client.get(world)).status).toBe(200);
  });

  it('describes itself', async () => {
    expect((await client.get('/readyz')).body).toBe('ok');
    expect((await client.get('/version')).body).toMatchObject({ major: '1' });
    expect((await client.get('/apis')).body.groups).toContainEqual(expect.objectContaining({ name: 'apps' }));
    const { body } = await client.get('/apis/apps/v1');
    expect(body.resources).toContainEqual(expect.objectContaining({ name: 'deployments/scale', kind: 'Scale' }));
    expect((await client.get('/apis/unheard.of/v1/things')).status).toBe(404);
  });
});
