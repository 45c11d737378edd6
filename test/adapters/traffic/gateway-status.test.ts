import { expect, it } from 'vitest';
import type { HTTPRoute, ParentRef } from '../../../src/adapters/kubernetes/gateway-objects.ts';
import type { Condition } from '../../../src/adapters/kubernetes/kinds.ts';
import { lookAtStatus, routeStatus } from '../../../src/adapters/traffic/gateway-status.ts';

const gateway: ParentRef = { name: 'public', namespace: 'default' };
const condition = (
  type: string,
  status: string,
  observedGeneration: number | undefined = 3,
  reason = 'X',
): Condition => ({
  type,
  status,
  reason,
  message: 'in words',
  ...(observedGeneration === 0 ? {} : { observedGeneration }),
});
const good = [condition('Accepted', 'True'), condition('ResolvedRefs', 'True')];
const parent = (parentRef: ParentRef, conditions: Condition[]) => ({ parentRef, controllerName: 'c', conditions });

function route(parentRefs: ParentRef[], parents: ReturnType<typeof parent>[]): HTTPRoute {
  const metadata = { name: 'world', namespace: 'hello', uid: 'u', resourceVersion: '1', generation: 3 };
  return { metadata, spec: { parentRefs }, status: { parents } };
}

it.each<[string, HTTPRoute, string]>([
  ['nobody has answered', route([gateway], []), 'pending'],
  ['there is no parent', route([], []), 'pending'],
  ['the controller took the newest generation', route([gateway], [parent(gateway, good)]), 'confirmed'],
  [
    'it still speaks of the last one',
    route([gateway], [parent(gateway, [condition('Accepted', 'True', 2)])]),
    'pending',
  ],
  [
    'it accepted the newest but resolved the last',
    route([gateway], [parent(gateway, [condition('Accepted', 'True'), condition('ResolvedRefs', 'True', 2)])]),
    'pending',
  ],
  ['an old refusal may be over', route([gateway], [parent(gateway, [condition('Accepted', 'False', 2)])]), 'pending'],
  ['it does not accept it', route([gateway], [parent(gateway, [condition('Accepted', 'False')])]), 'rejected'],
  [
    'it is still thinking',
    route([gateway], [parent(gateway, [condition('Accepted', 'False', 3, 'Pending')])]),
    'pending',
  ],
  [
    'a backend is missing',
    route(
      [gateway],
      [parent(gateway, [condition('Accepted', 'True'), condition('ResolvedRefs', 'False', 3, 'BackendNotFound')])],
    ),
    'rejected',
  ],
  [
    'it dropped some of the rules',
    route([gateway], [parent(gateway, [...good, condition('PartiallyInvalid', 'True', 3, 'UnsupportedValue')])]),
    'pending',
  ],
  [
    'it took all of the rules',
    route([gateway], [parent(gateway, [...good, condition('PartiallyInvalid', 'False')])]),
    'confirmed',
  ],
  [
    'it dropped some of the rules of before',
    route([gateway], [parent(gateway, [...good, condition('PartiallyInvalid', 'True', 2)])]),
    'confirmed',
  ],
  [
    'Linkerd calls the core group core, adds the namespace and counts no generations',
    route(
      [{ group: '', kind: 'Service', name: 'world', port: 80 }],
      [
        parent({ group: 'core', kind: 'Service', name: 'world', namespace: 'hello', port: 80 }, [
          condition('Accepted', 'True', 0),
        ]),
      ],
    ),
    'confirmed',
  ],
  ['another parent answered', route([gateway], [parent({ name: 'public' }, good)]), 'pending'],
  ['one of two parents answered', route([gateway, { name: 'inner' }], [parent(gateway, good)]), 'pending'],
  [
    'one of two controllers of a parent refuses',
    route([gateway], [parent(gateway, good), parent(gateway, [condition('Accepted', 'False')])]),
    'rejected',
  ],
  [
    'the answer is for another listener',
    route([{ ...gateway, sectionName: 'web' }], [parent({ ...gateway, sectionName: 'tls' }, good)]),
    'pending',
  ],
  ['the answer names no listener', route([{ ...gateway, sectionName: 'web' }], [parent(gateway, good)]), 'confirmed'],
])('when %s', (_, object, kind) => {
  expect(routeStatus(object).kind).toBe(kind);
});

it('says why in the words of the controller', () => {
  const status = routeStatus(
    route([gateway], [parent(gateway, [condition('ResolvedRefs', 'False', 3, 'BackendNotFound')])]),
  );
  expect(status).toEqual({
    kind: 'rejected',
    message: 'controller c of Gateway default/public: ResolvedRefs is False: BackendNotFound in words',
  });
});

it('warns before a rollout of rules that are left out', () => {
  const partly = condition('PartiallyInvalid', 'True', 3, 'UnsupportedValue');
  expect(lookAtStatus(route([gateway], [parent(gateway, [...good, partly])]))).toEqual({
    refusals: [],
    warnings: [
      expect.stringContaining(
        'is taken in parts only by controller c of Gateway default/public (UnsupportedValue in words), so nothing would confirm a weight',
      ),
    ],
  });
});

it.each([
  [
    ['a', 'b'],
    /^controller c of Gateway default\/a: Accepted is False: X in words; controller c of Gateway default\/b: [^;]*$/,
  ],
  [['a', 'b', 'c', 'd', 'e'], /default\/a: .*; .*default\/b: .*; .*default\/c: [^;]*; and 2 more$/],
])('names who refuses it, three at most: %j', (names, said) => {
  const parents = names.map((name) => ({ ...gateway, name }));
  const refusing = parents.map((one) => parent(one, [condition('Accepted', 'False')]));
  expect(routeStatus(route(parents, refusing))).toEqual({ kind: 'rejected', message: expect.stringMatching(said) });
});

it.each<[string, ParentRef[], ReturnType<typeof parent>, RegExp]>([
  [
    'of the second parent',
    [gateway, { name: 'inner', sectionName: 'web' }],
    parent({ name: 'inner', sectionName: 'web' }, [condition('Accepted', 'False', 3, 'NotAllowedByListeners')]),
    /already \(controller c of Gateway hello\/inner, listener web: Accepted is False: NotAllowedByListeners in words\).*mend what it names, or take that parentRef out of the route/,
  ],
  [
    'for a backend, whosever rule it is in',
    [{ group: '', kind: 'Service', name: 'world', port: 80 }],
    parent({ group: 'core', kind: 'Service', name: 'world' }, [
      condition('Accepted', 'True'),
      condition('ResolvedRefs', 'False', 3, 'BackendNotFound'),
    ]),
    /already \(controller c of Service hello\/world: ResolvedRefs is False: BackendNotFound in words\).*all of its rules.*those that no rollout touches/,
  ],
])('a route that is refused before a rollout says by whom: %s', (_, parents, refusing, said) => {
  const object = route(parents, [parent(gateway, good), refusing]);
  expect(lookAtStatus(object)).toEqual({ refusals: [expect.stringMatching(said)], warnings: [] });
});
