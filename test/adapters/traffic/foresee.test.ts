/** What a plan says of the fields it would write, before it writes them. */
import { afterAll, expect, it } from 'vitest';
import { createPlayground } from '../../../playground/playground.ts';
import { createCluster } from '../../../src/adapters/kubernetes/cluster.ts';
import { differences } from '../../../src/adapters/traffic/foresee.ts';
import { createRouter } from '../../../src/adapters/traffic/index.ts';
import { STABLE_ROUTE, type Target } from '../../../src/core/plan.ts';
import { silent } from '../../cluster/world.ts';

it.each<[string, unknown, unknown, readonly string[]]>([
  ['nothing', { a: [1] }, { a: [1] }, []],
  ['a value', { a: { b: 1 } }, { a: { b: 2 } }, ['a.b: 1 → 2']],
  ['a new field', { a: {} }, { a: { b: 'x' } }, ['a.b: "x" (new)']],
  ['a field that is gone', { a: 1 }, {}, ['a: gone']],
  ['what is put in front of a list', { a: [{ b: 1 }] }, { a: [{ c: 2 }, { b: 1 }] }, ['a[0]: {"c":2} (new)']],
  ['what is put behind a list', { a: [{ b: 1 }] }, { a: [{ b: 1 }, { c: 2 }] }, ['a[1]: {"c":2} (new)']],
  ['what goes from the start of a list', { a: [{ c: 2 }, { b: 1 }] }, { a: [{ b: 1 }] }, ['a[0]: gone']],
  [
    'what is put in between, in places of their own',
    { a: [{ b: 1 }, { c: 1 }] },
    { a: [{ x: 1 }, { b: 2 }, { x: 1 }, { c: 2 }] },
    ['a[0]: {"x":1} (new)', 'a[0].b: 1 → 2', 'a[2]: {"x":1} (new)', 'a[1].c: 1 → 2'],
  ],
  [
    'what is taken out in between',
    { a: [{ x: 1 }, { b: 2 }, { x: 1 }, { c: 2 }] },
    { a: [{ b: 1 }, { c: 1 }] },
    ['a[0]: gone', 'a[1].b: 2 → 1', 'a[2]: gone', 'a[3].c: 2 → 1'],
  ],
  ['a key that is no word', { a: {} }, { a: { 'x.y/z': '1' } }, ['a["x.y/z"]: "1" (new)']],
])('%s', (_, before, after, lines) => expect(differences(before, after)).toEqual(lines));

const playground = await createPlayground({ readyAfterMs: 20, drainMs: 20, world: { traffic: 'ingress-nginx' } });
const cluster = createCluster({ kubeconfig: playground.kubeconfig, log: silent });
afterAll(async () => {
  await cluster.close();
  await playground.stop();
});

it('an object that is not made yet is foreseen too, to the letter', async () => {
  const prefix = 'nginx.ingress.kubernetes.io';
  const target: Target = {
    service: 'world',
    namespace: 'hello',
    deployment: 'world',
    container: 'world',
    workload: 'twin',
    traffic: { router: 'ingress-nginx', ingress: 'hello/world', annotations: prefix },
  };
  const preview = { cookie: 'beta', value: 'always' };
  const routes = [
    { ...STABLE_ROUTE, preview },
    { ...STABLE_ROUTE, weight: 10 },
  ];
  const annotation = (name: string) => `metadata.annotations["${prefix}/${name}"]`;
  expect(await createRouter('ingress-nginx', { cluster, log: silent }).foresee?.(target, routes)).toEqual([
    {
      object: 'Ingress hello/world-canary',
      isNew: true,
      routes: [
        [`${annotation('canary-by-cookie')}: "beta" (new)`],
        [`${annotation('canary-weight')}: "0" → "10"`, `${annotation('canary-by-cookie')}: gone`],
      ],
      back: [`${annotation('canary-weight')}: "10" → "0"`],
    },
  ]);
});
