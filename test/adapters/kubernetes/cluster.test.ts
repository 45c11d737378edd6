/** The way to the API server, asked of a small server that answers as the test tells it to. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, onTestFinished, vi } from 'vitest';
import { type Cluster, createCluster } from '../../../src/adapters/kubernetes/cluster.ts';
import { Deployments, Services } from '../../../src/adapters/kubernetes/objects.ts';
import { silent } from '../../cluster/world.ts';

const ref = { namespace: 'hello', name: 'world' };
const service = (version: string, annotations = {}) => ({
  metadata: { ...ref, uid: 'u', resourceVersion: version, annotations },
  spec: {},
});

type Seen = { method: string; url: URL; headers: IncomingMessage['headers']; body: string };
let server: Server;
let seen: Seen[];
let answer: (request: Seen, response: ServerResponse) => void;
let folder: string;
let cluster: Cluster;

const json = (response: ServerResponse, body: unknown, status = 200) =>
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));

beforeEach(async () => {
  seen = [];
  answer = (_, response) => json(response, service('5'));
  server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    const url = new URL(request.url ?? '', 'http://server');
    const one = { method: request.method ?? '', url, headers: request.headers, body };
    seen.push(one);
    answer(one, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  folder = await mkdtemp(join(tmpdir(), 'sluice-'));
  const kubeconfig = join(folder, 'kubeconfig');
  const config = {
    'current-context': 'test',
    clusters: [{ name: 'test', cluster: { server: `http://127.0.0.1:${port}`, 'insecure-skip-tls-verify': true } }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
    users: [{ name: 'test', user: { token: 'secret' } }],
  };
  await writeFile(kubeconfig, JSON.stringify(config));
  cluster = createCluster({ kubeconfig, log: silent });
});

afterEach(async () => {
  await cluster.close();
  server.closeAllConnections();
  server.close();
  await rm(folder, { recursive: true });
});

it('carries its own name and credentials, in watches too', async () => {
  await cluster.get(Services, ref);
  answer = (_, response) => {
    response.writeHead(200);
    response.write(`${JSON.stringify({ type: 'ADDED', object: service('5') })}\n`);
    const end = { metadata: { resourceVersion: '6', annotations: { 'k8s.io/initial-events-end': 'true' } } };
    response.write(`${JSON.stringify({ type: 'BOOKMARK', object: end })}\n`);
  };
  expect(await cluster.view(Services, 'hello').get('world')).toMatchObject({ metadata: { resourceVersion: '5' } });
  for (const { headers } of seen) {
    expect(headers).toMatchObject({
      'user-agent': expect.stringMatching(/^sluice\/\d/),
      authorization: 'Bearer secret',
    });
  }
  expect(seen.map(({ url }) => url.searchParams.get('watch'))).toEqual([null, 'true']);
  expect(cluster.view(Services, 'hello')).toBe(cluster.view(Services, 'hello'));
});

it('sends JSON Patch and makes the server name fields that it does not know', async () => {
  const ops = [{ op: 'replace', path: '/spec/x', value: 1 }] as const;
  expect(await cluster.patch(Services, ref, ops)).toMatchObject({
    ok: true,
    object: { metadata: { resourceVersion: '5' } },
  });
  const [sent] = seen;
  expect(sent).toMatchObject({ method: 'PATCH', headers: { 'content-type': 'application/json-patch+json' } });
  expect(sent?.url.pathname).toBe('/api/v1/namespaces/hello/services/world');
  expect(sent?.url.searchParams.get('fieldValidation')).toBe('Strict');
  expect(JSON.parse(sent?.body ?? '')).toEqual(ops);
});

it('deletes exactly what was read', async () => {
  answer = (_, response) => json(response, { kind: 'Status' });
  expect(await cluster.remove(Services, service('5'))).toEqual({ ok: true, object: null });
  expect(JSON.parse(seen[0]?.body ?? '').preconditions).toEqual({ uid: 'u', resourceVersion: '5' });
});

it.each<[string, (response: ServerResponse) => unknown]>([
  ['does not answer', () => undefined],
  ['breaks the connection', (response) => response.destroy()],
  ['is overloaded', (response) => json(response, { message: 'slow down' }, 429)],
  ['is broken', (response) => response.writeHead(502).end('<html>')],
])('throws within seconds, with the subject, when the server %s', async (_, respond) => {
  answer = (__, response) => respond(response);
  const started = Date.now();
  await expect(cluster.patch(Deployments, ref, [])).rejects.toThrow(/Deployment hello\/world/);
  expect(Date.now() - started).toBeLessThan(4_000);
});

it('never queues behind calls that hang', async () => {
  answer = (request, response) => {
    if (request.method === 'PATCH') json(response, service('6'));
  };
  const hanging = Array.from({ length: 200 }, () => cluster.get(Services, ref).catch(() => 'late'));
  await vi.waitFor(() => expect(seen).toHaveLength(200), 2_500);
  const started = Date.now();
  expect((await cluster.patch(Services, ref, [])).ok).toBe(true);
  expect(Date.now() - started).toBeLessThan(500);
  server.closeAllConnections();
  expect(new Set(await Promise.all(hanging))).toEqual(new Set(['late']));
});

it('asks once for its rights for all that look at the same time, and again where one was missing: somebody may have granted it', async () => {
  let resourceRules: readonly object[] = [];
  answer = (_, response) => json(response, { status: { resourceRules } }, 201);
  const needs = [{ kind: Services, verbs: ['get'] as const, to: 'see them' }];
  const said = await Promise.all([cluster.missingRights('hello', needs), cluster.missingRights('hello', needs)]);
  expect(said.flat()).toHaveLength(2);
  expect(seen).toHaveLength(1);
  expect(JSON.parse(seen[0]?.body ?? '').spec).toEqual({ namespace: 'hello' });
  resourceRules = [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }];
  for (let n = 0; n < 3; n++) expect(await cluster.missingRights('hello', needs)).toEqual([]);
  expect(seen).toHaveLength(2);
  resourceRules = [];
  const later = vi.spyOn(performance, 'now').mockReturnValue(performance.now() + 2_001);
  expect(await cluster.missingRights('hello', needs)).toHaveLength(1);
  later.mockRestore();
});

it('does not ask again where only what is optional was missing', async () => {
  answer = (_, response) => json(response, { status: { resourceRules: [] } }, 201);
  const needs = [{ kind: Services, verbs: ['list'] as const, to: 'see them', isOptional: true as const }];
  for (let n = 0; n < 3; n++) expect(await cluster.missingRights('hello', needs)).toHaveLength(1);
  expect(seen).toHaveLength(1);
});

it.each<[string, object, number, boolean]>([
  ['has a kind', { resources: [{ name: 'backendtlspolicies' }] }, 200, true],
  ['has the version, but not the kind', { resources: [{ name: 'httproutes' }] }, 200, false],
  ['has no such version', {}, 404, false],
])('tells where the API server %s', async (_, body, status, has) => {
  answer = (_, response) => json(response, body, status);
  const kind = { group: 'gateway.networking.k8s.io', version: 'v1', plural: 'backendtlspolicies' };
  expect(await cluster.serves(kind)).toBe(has);
  expect(seen.map(({ url }) => url.pathname)).toEqual(['/apis/gateway.networking.k8s.io/v1']);
});

it('names an object that cannot be read again when it was gone meanwhile', async () => {
  const broken = { ...service('4'), spec: { ports: 'http' } };
  const warn = vi.spyOn(silent, 'warn');
  for (const items of [[broken], [broken], [], [broken]]) {
    answer = (_, response) => json(response, { metadata: { resourceVersion: '6' }, items });
    expect(await cluster.list(Services, 'hello')).toEqual([]);
  }
  expect(warn).toHaveBeenCalledTimes(2);
  warn.mockRestore();
});

it('one object that cannot be read keeps nobody from the others, and is named to who asks for it', async () => {
  const broken = { ...service('4'), metadata: { ...service('4').metadata, name: 'strange' }, spec: { ports: 'http' } };
  const named = /^Service hello\/strange cannot be read \(spec\.ports: .*\): correct or delete it$/;
  answer = ({ url }, response) => {
    if (!url.searchParams.has('watch')) {
      json(response, { metadata: { resourceVersion: '6' }, items: [broken, service('5')] });
      return;
    }
    const end = { metadata: { resourceVersion: '6', annotations: { 'k8s.io/initial-events-end': 'true' } } };
    response.writeHead(200);
    for (const object of [broken, service('5')]) response.write(`${JSON.stringify({ type: 'ADDED', object })}\n`);
    response.write(`${JSON.stringify({ type: 'BOOKMARK', object: end })}\n`);
  };
  const warn = vi.spyOn(silent, 'warn');
  for (const _ of ['once', 'again'])
    expect(await cluster.list(Services, 'hello')).toMatchObject([{ metadata: { name: 'world' } }]);
  expect(warn.mock.calls.map(([about, words]) => [words, Object.keys(about)])).toEqual([
    ['an object is left out', ['name', 'err']],
  ]);
  warn.mockRestore();
  const view = cluster.view(Services, 'hello');
  expect(await view.all()).toMatchObject([{ metadata: { name: 'world' } }]);
  await expect(view.get('strange')).rejects.toThrow(named);
  answer = (_, response) => json(response, broken);
  await expect(cluster.get(Services, { ...ref, name: 'strange' })).rejects.toThrow(named);
});

it('tells once for a burst whose objects changed', async () => {
  const told: (readonly [string, string | null])[] = [];
  const stop = cluster.onChange((...change) => told.push(change));
  const marks = { 'sluice.dev/rollout': 'world-1', 'sluice.dev/epoch': '1', 'sluice.dev/phase': 'active' };
  let push: (version: string) => void = () => undefined;
  answer = (_, response) => {
    const end = { metadata: { resourceVersion: '6', annotations: { 'k8s.io/initial-events-end': 'true' } } };
    response.writeHead(200).write(`${JSON.stringify({ type: 'BOOKMARK', object: end })}\n`);
    push = (version) => response.write(`${JSON.stringify({ type: 'ADDED', object: service(version, marks) })}\n`);
  };
  const view = cluster.view(Services, 'hello');
  await view.all();
  for (const version of ['7', '8', '9']) push(version);
  await vi.waitFor(() => expect(told).toEqual([['hello', 'world-1']]));
  stop();
  push('10');
  await vi.waitFor(async () => expect((await view.get('world'))?.metadata.resourceVersion).toBe('10'));
  expect(told).toHaveLength(1);
});

it('reads its credentials again after a 401, and asks once more', async () => {
  const kubeconfig = join(folder, 'kubeconfig');
  const renewed = (await readFile(kubeconfig, 'utf8')).replace('secret', 'renewed');
  await cluster.get(Services, ref);
  await writeFile(kubeconfig, renewed);
  answer = ({ headers }, response) =>
    headers.authorization === 'Bearer renewed' ? json(response, service('6')) : json(response, {}, 401);
  // Not at each answer: credentials that are wrong on disk as well are not read in a loop.
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  vi.spyOn(Date, 'now').mockReturnValue(Date.now() - 3_600_000);
  onTestFinished(() => void vi.restoreAllMocks());
  expect(await cluster.get(Services, ref)).toMatchObject({ metadata: { resourceVersion: '6' } });
  expect(seen.map(({ headers }) => headers.authorization)).toEqual([
    'Bearer secret',
    'Bearer secret',
    'Bearer renewed',
  ]);
});

it.each([429, 503])('a %i says how long the server asks to be left alone', async (code) => {
  answer = (_, response) => json(response.setHeader('retry-after', '7'), { message: 'too many requests' }, code);
  const failed = await cluster.get(Services, ref).catch((error: Error) => error.cause);
  expect(failed).toMatchObject({ status: code, retryAfterMs: 7_000 });
});

it('goes on with the versions that were served when the API server does not list them again', async () => {
  answer = (_, response) => json(response, { versions: [{ version: 'v1' }] });
  expect(await cluster.versions('networking.istio.io')).toEqual(['v1']);
  answer = (_, response) => json(response, { message: 'overloaded' }, 500);
  const later = vi.spyOn(performance, 'now').mockReturnValue(performance.now() + 3_600_000);
  expect(await cluster.versions('networking.istio.io')).toEqual(['v1']);
  later.mockRestore();
  // Nobody waits for the answer.
  await expect.poll(() => seen.length).toBe(2);
  await expect(cluster.versions('split.smi-spec.io')).rejects.toThrow();
});
