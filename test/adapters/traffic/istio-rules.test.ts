import { describe, expect, it } from 'vitest';
import type { Destination, IstioRoute } from '../../../src/adapters/kubernetes/route-objects.ts';
import {
  isHost,
  isRestored,
  journalOf,
  readRoute,
  render,
  restoreOps,
} from '../../../src/adapters/traffic/istio-rules.ts';
import { byHosts } from '../../../src/adapters/traffic/istio-split.ts';
import { STABLE_ROUTE } from '../../../src/core/plan.ts';
import { sidesOf } from '../../../src/core/sides.ts';
import { applyPatch } from '../../cluster/json-patch.ts';

const split = byHosts(sidesOf({ deployment: 'world' }));
const isWorld = (to: Destination) => isHost(to, 'world', 'hello', 'hello');
const to = (host: string, port?: number) => [{ destination: { host, ...(port && { port: { number: port } }) } }];
const preview = { header: 'x-canary', value: 'always' };
const headers = { 'x-canary': { exact: 'always' } };
const previewed = { ...STABLE_ROUTE, preview };
const back = (http: readonly IstioRoute[], journal: ReturnType<typeof journalOf>) =>
  applyPatch({ spec: { http } }, restoreOps(http, journal, split));

describe('a preview in a VirtualService', () => {
  const http: IstioRoute[] = [
    { name: 'other', match: [{ uri: { prefix: '/other' } }], route: to('other') },
    { name: 'api', match: [{ uri: { prefix: '/api' } }], route: to('world') },
    { name: 'teapot', match: [{ uri: { prefix: '/teapot' } }], route: to('teapot') },
    { route: to('world') },
  ];
  const journal = journalOf(http, isWorld, []);
  const written = render(http, journal, split, previewed);

  it('takes no request from the routes of others: each stands right before its own route', () => {
    expect(written.map(({ name, match }) => [name, match])).toEqual([
      ['other', http[0]?.match],
      ['sluice-preview', [{ uri: { prefix: '/api' }, headers }]],
      ['api', http[1]?.match],
      ['teapot', http[2]?.match],
      ['sluice-preview', [{ headers }]],
      [undefined, undefined],
    ]);
  });

  it('can be read, written again, and given back', () => {
    expect(readRoute(written, journal, split)).toEqual(previewed);
    expect(render(written, journal, split, previewed)).toEqual(written);
    expect(back(written, journal)).toEqual({ spec: { http } });
  });

  it('is for its header alone where the list of matches is empty, which means all requests', () => {
    const all: IstioRoute[] = [{ match: [], route: to('world') }];
    const own = journalOf(all, isWorld, []);
    const [first] = render(all, own, split, previewed);
    expect(first?.match).toEqual([{ headers }]);
    expect(readRoute(render(all, own, split, previewed), own, split)).toEqual(previewed);
  });
});

it('reads a preview back that matches as another route of the service does', () => {
  const http: IstioRoute[] = [{ name: 'qa', match: [{ headers }], route: to('world') }, { route: to('world') }];
  const journal = journalOf(http, isWorld, []);
  const written = render(http, journal, split, previewed);
  expect(readRoute(written, journal, split)).toEqual(previewed);
  expect(render(written, journal, split, previewed)).toEqual(written);
  expect(back(written, journal)).toEqual({ spec: { http } });
});

it.each([
  ['world', true],
  ['world.hello', true],
  ['world.hello.svc', true],
  ['world.hello.svc.cluster.local', true],
  ['world.hello.svc.example.org', true],
  ['world.hello.example.com', false],
  ['world.else.svc.cluster.local', false],
])('host %s is the Kubernetes Service world in hello: %s', (host, expected) => {
  expect(isWorld({ host })).toBe(expected);
});

it('gives a route whose match was edited meanwhile the port that it had', () => {
  const http: IstioRoute[] = [
    { match: [{ uri: { prefix: '/' } }], route: to('world', 80) },
    { match: [{ uri: { prefix: '/grpc' } }], route: to('world', 8080) },
  ];
  const journal = journalOf(http, isWorld, []);
  const edited = render(http, journal, split, { ...STABLE_ROUTE, weight: 50 }).toReversed();
  const [grpc, rest] = edited;
  if (!grpc || !rest) throw new Error('two routes are rendered above');
  const after = back([{ ...grpc, match: [{ uri: { prefix: '/v2/grpc' } }] }, rest], journal) as {
    spec: { http: IstioRoute[] };
  };
  expect(after.spec.http.map(({ route }) => route)).toEqual([to('world', 8080), to('world', 80)]);
  expect(isRestored(after.spec.http, split)).toBe(true);
});
