/** What namerd in particular asks of its router: the traps of its dtabs, its answers and its versions. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createNamerdRouter } from '../../../../src/adapters/traffic/namerd/router.ts';
import type { Fence } from '../../../../src/app/ports/cluster.ts';
import type { TrafficRouter } from '../../../../src/app/ports/router.ts';
import type { Route, Target } from '../../../../src/core/plan.ts';
import { byHand, previewRequest, routePlaces } from '../../../../src/core/traffic.ts';
import { CANARY_ID, namerdTarget, STABLE_ID } from '../../../cluster/namerd-world.ts';
import { silent } from '../../../cluster/world.ts';
import { type FakeNamerd, startFakeNamerd } from '../../../support/fake-namerd.ts';

const DONE = { kind: 'done' };
const NAMER = '/srv=>/#/io.l5d.k8s/hello/http;/host=>/srv;/svc=>/host';
const dtab = (dst: string) => `${NAMER};/host/world=>${dst}`;
const fence = (seq: number, epoch = 1, rollout = 'world-1'): Fence => ({ rollout, epoch, seq });
const weight = (percent: number): Route => ({ weight: percent, preview: null, mirror: null });

let namerd: FakeNamerd;
let router: TrafficRouter;
let target: Target;
beforeEach(async () => {
  namerd = await startFakeNamerd();
  namerd.services.set(STABLE_ID, 2).set(CANARY_ID, 1);
  namerd.put('internal', dtab('/srv/world'));
  router = createNamerdRouter({ log: silent });
  target = namerdTarget(namerd.url, ['internal']);
});
afterEach(() => namerd.stop());

const own = (namespace = 'internal') => namerd.get(namespace).match(/\/host\/world=>([^;]*)/)?.[1];
const started = async () => {
  expect((await router.claim(target, fence(1))).kind).toBe('done');
};

describe('before anything starts', () => {
  const refusal = async (to: Target = target) => {
    const looked = await router.preflight(to);
    return looked.ok ? null : looked.refusals.join('\n');
  };
  const named = (names: string): Target => ({
    ...target,
    traffic: { router: 'namerd', url: namerd.url, namespaces: ['internal'], path: '/host/world', names },
  });

  it.each<[string, string, RegExp]>([
    ['no dentry to set', NAMER, /has no dentry with the prefix \/host\/world \(it has \/srv, \/host, \/svc\)/],
    ['two of them', `${dtab('/srv/world')};/host/world=>/srv/other`, /several dentries with the prefix/],
    [
      'a later one that is asked first',
      `/host/world=>/srv/world;${NAMER}`,
      /\/host => \/srv is asked before .*last in the dtab/,
    ],
    [
      'a later one for every name there',
      `${dtab('/srv/world')};/host/*=>/srv/any`,
      /\/host\/\* => \/srv\/any is asked before/,
    ],
    ['the pipeline that marks with /tmp', dtab('/tmp/world'), /managed by another pipeline/],
    ['the same in one branch', dtab('10*/tmp/world & 90*/srv/world'), /managed by another pipeline/],
    ['shares already', dtab('8*/srv/world & 2*/srv/other'), /shared out already/],
    ['shares in a fallback', dtab('/srv/world | /srv/a & /srv/b'), /shared out already/],
    ['the canary of nobody', dtab('/srv/world-canary'), /names the canary .* without a rollout/],
    ['no destination', dtab('! | ~'), /leads nowhere/],
  ])('refuses %s', async (_, text, said) => {
    namerd.put('internal', text);
    expect(await refusal()).toMatch(said);
    const version = namerd.version('internal');
    expect(await router.claim(target, fence(1))).toMatchObject({
      kind: 'refused',
      message: expect.stringMatching(said),
    });
    expect(namerd.version('internal')).toBe(version);
  });

  it.each<[string, string, RegExp]>([
    ['leads to no namer', '/srw/world-{version}', /\/srw\/world-canary leads to no namer/],
    [
      'leads elsewhere',
      '/srv/web-{version}',
      /leads to .*web-canary, but the canary is Kubernetes Service hello\/world-canary/,
    ],
  ])('refuses a name of the canary that %s', async (_, names, said) => {
    expect(await refusal(named(names))).toMatch(said);
  });

  it('leaves names of other namers to their owners', async () => {
    namerd.put('internal', `${dtab('/srv/world')};/fs=>/#/io.l5d.fs`);
    expect(await refusal(named('/fs/{version}'))).toBeNull();
  });

  it('refuses a destination that nothing serves: the canary would get everything', async () => {
    namerd.put('internal', dtab('/srv/wrold'));
    expect(await refusal()).toMatch(/leads to nothing with endpoints/);
  });

  it.each<[string, Target['versioned'], string]>([
    ['what serves', undefined, '/host/world => <name of what serves now>'],
    ['the version that serves', { base: 'world', canary: 'world-v2' }, '/host/world => /srv/world-v1'],
  ])(
    'names the dtab of the published example that lacks the dentry, and the dentry with %s',
    async (_, versioned, dentry) => {
      namerd.put('external', '/host=>/#/io.l5d.k8s/default/http/hello;/svc/*=>/host');
      const both = namerdTarget(namerd.url, ['internal', 'external']);
      const said = await refusal(
        versioned ? { ...both, deployment: 'world-v1', workload: 'versioned', versioned } : both,
      );
      expect(said).toContain(`add ${dentry} as its last one`);
      expect(said).toContain('dtab external');
      expect(said).toContain('take external out of traffic.namespaces');
      const added = '/srv=>/#/io.l5d.k8s/hello/http;/svc/world=>/host/world;/host/world=>/srv/world';
      namerd.put('external', `${namerd.get('external')};${added}`);
      expect(await refusal(both)).toBeNull();
    },
  );

  it('takes later dentries for other names, and for longer ones', async () => {
    namerd.put('internal', `${dtab('/srv/world')};/host/other=>/srv/other;/host/world/v9=>/srv/v9;/host/*/*=>/srv`);
    expect(await refusal()).toBeNull();
  });

  it('warns where one of the names that a wildcard stands for is asked before it', async () => {
    namerd.put(
      'internal',
      '/host=>/#/io.l5d.k8s/hello/http;/svc/*=>/host/world;/svc/a/b=>/host;/svc/world=>/host/world',
    );
    const all: Target = {
      ...target,
      traffic: {
        router: 'namerd',
        url: namerd.url,
        namespaces: ['internal'],
        path: '/svc/*',
        names: '/host/world-{version}',
      },
    };
    expect(await router.preflight(all)).toMatchObject({
      ok: true,
      warnings: [expect.stringMatching(/\/svc\/world => \/host\/world is asked before \/svc\/\*/)],
    });
  });

  it('takes a fallback as what is stable', async () => {
    namerd.put('internal', dtab('/srv/world | !'));
    expect(await refusal()).toBeNull();
    await started();
    await router.setRoute(target, weight(10), fence(2), false);
    expect(own()).toBe('10.00*/srv/world-canary & 90.00*(/srv/world | !)');
    expect(await router.getRoute(target)).toMatchObject({ route: weight(10) });
  });

  it('says where namerd was looked for when nobody answers', async () => {
    await namerd.stop();
    expect(await refusal()).toMatch(/cannot be looked at .*ECONNREFUSED.*: check traffic.url of service world/);
    namerd = await startFakeNamerd();
  });
});

describe('writing', () => {
  it.each<[number, string]>([
    [0, '/srv/world'],
    [1, '/srv/world-canary & 99.00*/srv/world'],
    [10, '10.00*/srv/world-canary & 90.00*/srv/world'],
    [99, '99.00*/srv/world-canary & /srv/world'],
    [100, '/srv/world-canary'],
  ])('%i% is %s', async (percent, printed) => {
    await started();
    expect(await router.setRoute(target, weight(percent), fence(2), false)).toEqual(DONE);
    expect(own()).toBe(printed);
    expect(await router.getRoute(target)).toMatchObject({ route: weight(percent) });
  });

  it('marks what it holds beside it, and leaves everything else to the letter', async () => {
    const before = dtab('/srv/world');
    await started();
    expect(namerd.get('internal')).toBe(
      `${before};/sluice/world=>/world-1/1/1;/sluice/world/restore=>/srv/world;/sluice/world/env=>/default`,
    );
    await router.setRoute(target, weight(10), fence(2), false);
    expect(namerd.get('internal').replace(own() ?? '', '/srv/world')).toBe(
      `${before};/sluice/world=>/world-1/1/2;/sluice/world/restore=>/srv/world;/sluice/world/env=>/default;/sluice/world/route=>/10`,
    );
    expect(await router.reset(target, fence(3), {}, false)).toEqual(DONE);
    expect(await router.release(target, fence(4))).toEqual(DONE);
    expect(namerd.get('internal')).toBe(before);
  });

  it('costs one write and two reads, confirmed and always under a version', async () => {
    await started();
    namerd.requests.length = 0;
    await router.setRoute(target, weight(10), fence(2), false);
    expect(await router.confirmed(target)).toEqual({ kind: 'confirmed' });
    expect(namerd.requests.map(({ method }) => method)).toEqual(['GET', 'PUT', 'GET']);
    expect(namerd.requests.filter(({ method, ifMatch }) => method === 'PUT' && ifMatch === undefined)).toEqual([]);
  });

  it('reads until a store that lags behind shows the write', async () => {
    namerd.lag(3);
    await started();
    expect(await router.setRoute(target, weight(10), fence(2), false)).toEqual(DONE);
    expect(await router.getRoute(target)).toMatchObject({ route: weight(10), marks: { seq: 2 } });
  });

  it.each<[string, number | 'cut', boolean]>([
    ['a version that is old by the time it is sent', 412, false],
    ['an answer that is lost after the write', 'cut', true],
    ['an error after the write', 500, true],
    ['a connection that breaks before the write', 'cut', false],
    ['an error of the store', 500, false],
  ])('goes through %s, once', async (_, answer, after) => {
    await started();
    const version = namerd.version('internal');
    namerd.fail({ method: 'PUT', answer, after });
    expect(await router.setRoute(target, weight(10), fence(2), false)).toEqual(DONE);
    expect(own()).toBe('10.00*/srv/world-canary & 90.00*/srv/world');
    expect(namerd.version('internal')).toBe(version + 1);
  });

  it('is a fault when namerd goes on failing, and done when it is repeated', async () => {
    await started();
    for (let n = 0; n < 2; n++) namerd.fail({ method: 'PUT', answer: 503, after: false });
    await expect(router.setRoute(target, weight(10), fence(2), false)).rejects.toThrow(/HTTP 503/);
    expect(await router.setRoute(target, weight(10), fence(2), false)).toEqual(DONE);
    expect(own()).toMatch(/^10/);
  });

  it('says what namerd says when it cannot read the dtab', async () => {
    await started();
    namerd.fail({ method: 'PUT', answer: 400, after: false });
    expect(await router.setRoute(target, weight(10), fence(2), false)).toMatchObject({ kind: 'refused' });
  });

  it('keeps an edit of another service that came in between', async () => {
    await started();
    const read = namerd.get('internal');
    namerd.fail({ method: 'PUT', answer: 412, after: false });
    const writing = router.setRoute(target, weight(10), fence(2), false);
    namerd.put('internal', `${read};/host/hello=>/srv/hello`);
    expect(await writing).toEqual(DONE);
    expect(namerd.get('internal')).toContain('/host/hello=>/srv/hello');
    expect(own()).toMatch(/^10/);
  });

  it('moves two services of one dtab at once', async () => {
    namerd.put('internal', `${dtab('/srv/world')};/host/hello=>/srv/hello`);
    const hello: Target = {
      ...target,
      service: 'hello',
      deployment: 'hello',
      traffic: {
        router: 'namerd',
        url: namerd.url,
        namespaces: ['internal'],
        path: '/host/hello',
        names: '/srv/hello-{version}',
      },
    };
    const both = [target, hello].map(async (one) => {
      const by = fence(1, 1, `${one.service}-1`);
      expect((await router.claim(one, by)).kind).toBe('done');
      for (const [index, percent] of [10, 50, 100].entries())
        expect(await router.setRoute(one, weight(percent), { ...by, seq: index + 2 }, false)).toEqual(DONE);
    });
    await Promise.all(both);
    expect(namerd.get('internal')).toMatch(/\/host\/world=>\/srv\/world-canary;\/host\/hello=>\/srv\/hello-canary/);
    expect((await router.listMarked(routePlaces(target))).map(({ marks }) => marks.rollout).sort()).toEqual([
      'hello-1',
      'world-1',
    ]);
  });

  it('never sends in chunks: namerd would take them for an empty dtab', async () => {
    expect(await namerd.putChunked('internal', '/a=>/b', 'application/dtab')).toBe(204);
    expect(namerd.get('internal')).toBe('');
    expect(await namerd.putChunked('internal', '[]', 'application/json')).toBe(400);
  });
});

describe('several dtab namespaces', () => {
  let both: Target;
  beforeEach(async () => {
    namerd.put('external', dtab('/srv/world'));
    both = namerdTarget(namerd.url, ['internal', 'external']);
    expect((await router.claim(both, fence(1))).kind).toBe('done');
  });

  it('move together, and back', async () => {
    await router.setRoute(both, weight(10), fence(2), false);
    expect([own(), own('external')]).toEqual(Array(2).fill('10.00*/srv/world-canary & 90.00*/srv/world'));
    expect(await router.reset(both, fence(3, 2), {}, true)).toEqual(DONE);
    expect([own(), own('external')]).toEqual(['/srv/world', '/srv/world']);
  });

  it('are lowered again when one of them was changed by somebody else', async () => {
    await router.setRoute(both, weight(10), fence(2), false);
    namerd.put(
      'external',
      namerd.get('external').replace(own('external') ?? '', '33*/srv/world-canary & 67*/srv/world'),
    );
    expect(await router.setRoute(both, weight(50), fence(3), false)).toMatchObject({
      kind: 'drifted',
      drift: { object: expect.stringContaining('dtab external'), weight: 33 },
    });
    expect(own()).toBe('10.00*/srv/world-canary & 90.00*/srv/world');
    expect(await router.getRoute(both)).toMatchObject({ route: null });
    expect(await router.setRoute(both, weight(50), fence(4), true)).toEqual(DONE);
    expect([own(), own('external')]).toEqual(Array(2).fill('50.00*/srv/world-canary & 50.00*/srv/world'));
  });

  it('are lowered again when one of them cannot be written, and raised by the same write later', async () => {
    await router.setRoute(both, weight(10), fence(2), false);
    for (let n = 0; n < 2; n++) namerd.fail({ method: 'PUT', answer: 500, after: false, namespace: 'external' });
    await expect(router.setRoute(both, weight(50), fence(3), false)).rejects.toThrow(/HTTP 500/);
    expect([own(), own('external')]).toEqual(Array(2).fill('10.00*/srv/world-canary & 90.00*/srv/world'));
    expect(await router.setRoute(both, weight(50), fence(3), false)).toEqual(DONE);
    expect([own(), own('external')]).toEqual(Array(2).fill('50.00*/srv/world-canary & 50.00*/srv/world'));
  });

  it('are aborted even when one is gone', async () => {
    await router.setRoute(both, weight(10), fence(2), false);
    namerd.remove('external');
    expect(await router.getRoute(both)).toMatchObject({ route: weight(10), marks: { seq: 2 } });
    expect(await router.reset(both, fence(3, 2), {}, true)).toEqual(DONE);
    expect(own()).toBe('/srv/world');
    namerd.remove('internal');
    expect(await router.getRoute(both)).toBeNull();
  });
});

describe('confirming', () => {
  const preview = { header: 'x-canary', value: 'always' };

  it.each<[string, number | null, string]>([
    ['leads nowhere yet', null, 'pending'],
    ['has no endpoints', 0, 'pending'],
    ['has endpoints', 1, 'confirmed'],
  ])('waits for the name of the canary: one that %s', async (_, addresses, kind) => {
    await started();
    namerd.services.delete(CANARY_ID);
    if (addresses !== null) namerd.services.set(CANARY_ID, addresses);
    for (const [index, route] of [weight(10), { ...weight(0), preview }].entries()) {
      await router.setRoute(target, route, fence(index + 2), false);
      expect((await router.confirmed(target)).kind).toBe(kind);
    }
    await router.reset(target, fence(9), {}, false);
    expect((await router.confirmed(target)).kind).toBe('confirmed');
  });

  it.each<[string, string, () => unknown]>([
    ['stable is gone, so the canary gets everything', 'pending', () => namerd.services.set(STABLE_ID, 0)],
    [
      'another dentry is asked first',
      'pending',
      () => namerd.put('internal', `${namerd.get('internal')};/host/*=>/srv/world`),
    ],
    [
      'one that is asked first leads nowhere',
      'confirmed',
      () => namerd.put('internal', `${namerd.get('internal')};/host/*=>/srv/nowhere`),
    ],
    ['everything is as written', 'confirmed', () => undefined],
  ])('asks namerd what the weights come to: %s', async (_, kind, happens) => {
    namerd.put('internal', dtab('/srv/nowhere | /srv/world'));
    await started();
    await router.setRoute(target, weight(7), fence(2), false);
    happens();
    // Another replica, which has not seen what the write of this one came to.
    expect(await createNamerdRouter({ log: silent }).confirmed(target)).toEqual({ kind });
  });

  it.each<[string, number | 'cut']>([
    ['waits for a namer', 503],
    ['has no delegator', 501],
    ['gives no answer', 'cut'],
  ])('is for later where namerd %s: the write is read back instead', async (_, answer) => {
    await started();
    namerd.fail({ method: 'GET', answer, after: false, namespace: 'delegate/internal' });
    expect(await router.setRoute(target, weight(10), fence(2), false)).toEqual(DONE);
    namerd.requests.length = 0;
    expect(await router.confirmed(target)).toEqual({ kind: 'confirmed' });
    expect(namerd.requests.map(({ path }) => path)).toEqual(['/api/1/dtabs/internal', '/api/1/delegate/internal']);
  });

  it('is no longer known from the write before, once another one is tried', async () => {
    await started();
    await router.setRoute(target, weight(10), fence(2), false);
    namerd.services.delete(CANARY_ID);
    await router.setRoute(target, weight(10), fence(3), false);
    expect(await router.confirmed(target)).toEqual({ kind: 'pending' });
  });
});

it('tells while a rollout runs that another dentry is asked first now, and writes no weight past it', async () => {
  await started();
  await router.setRoute(target, weight(10), fence(2), false);
  namerd.put('internal', `${namerd.get('internal')};/host=>/srv/other`);
  const drift = { weight: null, difference: 'its dentry /host => /srv/other is asked before /host/world' };
  expect(await router.drift(target, weight(10), fence(2))).toMatchObject(drift);
  expect(await router.setRoute(target, weight(50), fence(3), false)).toMatchObject({ kind: 'drifted', drift });
  expect(await router.reset(target, fence(4, 2), {}, true)).toEqual(DONE);
  expect(own()).toBe('/srv/world');
});

describe('what is lost', () => {
  it('is known from the shares that are left, when marks and journal are gone', async () => {
    await started();
    await router.setRoute(target, weight(10), fence(2), false);
    namerd.put('internal', namerd.get('internal').replace(/;\/sluice.*/, ''));
    expect(await router.reset(target, fence(3, 2), {}, true)).toEqual(DONE);
    expect(own()).toBe('/srv/world');
  });

  it('is known to Redis, when people have the route applied again', async () => {
    const { journal = {} } = await router.claim(target, fence(1));
    await router.setRoute(target, weight(100), fence(2), false);
    namerd.put('internal', namerd.get('internal').replace(/;\/sluice.*/, ''));
    expect(await router.setRoute(target, weight(50), fence(3), true, journal)).toEqual(DONE);
    expect(own()).toBe('50.00*/srv/world-canary & 50.00*/srv/world');
  });

  it('is told with what to do, when nothing is left that says it', async () => {
    await started();
    await router.setRoute(target, weight(100), fence(2), false);
    namerd.put('internal', namerd.get('internal').replace(/;\/sluice.*/, ''));
    await expect(router.reset(target, fence(3, 2), {}, true)).rejects.toThrow(
      /nobody knows what was there before.*by hand/,
    );
    const { commands, edit } = byHand(target, { [`dtab internal of ${namerd.url}`]: '/srv/world' });
    expect(commands[0]).toBe(`namerctl --base-url ${namerd.url} dtab get internal > internal.dtab`);
    expect(edit).toMatch(/read \/host\/world => \/srv\/world$/);
  });
});

it('shows testers the header that reaches the canary', () => {
  expect(previewRequest(target, { header: 'x-canary', value: 'always' })).toEqual({
    header: 'l5d-dtab',
    value: '/host/world => /srv/world-canary',
  });
});
