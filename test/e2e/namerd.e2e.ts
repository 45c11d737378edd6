/** The router `namerd` against the independent namerd and the Linkerd 1 router of the shared folder. */
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createNamerdRouter } from '../../src/adapters/traffic/namerd/router.ts';
import type { TrafficRouter } from '../../src/app/ports/router.ts';
import type { Route, Target } from '../../src/core/plan.ts';
import { previewRequest } from '../../src/core/traffic.ts';
import { namerdTarget, namerdWorld } from '../cluster/namerd-world.ts';
import { silent } from '../cluster/world.ts';
import { routerContract } from '../contracts/router.ts';
import { ask, ids, startBackend, startNamerd } from './support/namerd.ts';

const DONE = { kind: 'done' };
const fence = (seq: number, epoch = 1) => ({ rollout: 'world-1', epoch, seq });
const weight = (percent: number): Route => ({ weight: percent, preview: null, mirror: null });

// The published example's storage is k8s, which shows the dtab of before for two reads more.
for (const [storage, reads] of [
  ['memory', 2],
  ['consul', 2],
  ['k8s', 7],
] as const) {
  const namerd = await startNamerd(['--storage', storage]);
  afterAll(() => namerd.close());
  routerContract(`namerd with storage ${storage}`, () => namerdWorld(namerd.dtabs, reads));
}

describe('the gray-release walkthrough', () => {
  const DTAB = '/host=>/#/io.l5d.k8s/hello/http;/svc/*=>/host/world';
  let namerd: Awaited<ReturnType<typeof startNamerd>>;
  let backends: Awaited<ReturnType<typeof startBackend>>[];
  let router: TrafficRouter;
  let target: Target;

  beforeEach(async () => {
    namerd = await startNamerd(['--proxy', '0', '--seed', '7']);
    backends = await Promise.all([startBackend('blue'), startBackend('green')]);
    await namerd.setBackends({ [ids.stable]: backends[0]?.url, [ids.canary]: backends[1]?.url });
    await namerd.dtabs.put('internal', DTAB);
    router = createNamerdRouter({ log: silent });
    const plain = namerdTarget(namerd.url, ['internal']);
    target = {
      ...plain,
      traffic: {
        router: 'namerd',
        url: namerd.url,
        namespaces: ['internal'],
        path: '/svc/*',
        names: '/host/world-{version}',
      },
    };
    expect(await router.preflight(target)).toMatchObject({ ok: true });
    expect((await router.claim(target, fence(1))).kind).toBe('done');
  });
  afterEach(() => {
    namerd.close();
    for (const backend of backends) backend.stop();
  });

  const count = async (requests: number) => {
    const answers = await Promise.all(Array.from({ length: requests }, () => ask(namerd.proxy ?? '', 'world')));
    expect(answers.filter((answer) => !answer.startsWith('200 '))).toEqual([]);
    return answers.filter((answer) => answer === '200 green').length;
  };

  it.each([
    ['8 to 2', 20],
    ['8 to 8', 50],
    ['one in a hundred', 1],
    ['all but one in a hundred', 99],
    ['nothing', 0],
    ['everything', 100],
  ])('%s of 300 requests, within three standard deviations', async (_, percent) => {
    expect(await router.setRoute(target, weight(percent), fence(2), false)).toEqual(DONE);
    expect(await router.confirmed(target)).toEqual({ kind: 'confirmed' });
    const share = percent / 100;
    expect(Math.abs((await count(300)) - 300 * share)).toBeLessThanOrEqual(3 * Math.sqrt(300 * share * (1 - share)));
  });

  it('testers reach the canary by the header that the gate shows, at weight 0, and nobody else does', async () => {
    const preview = { header: 'x-canary', value: 'always' };
    expect(await router.setRoute(target, { ...weight(0), preview }, fence(2), false)).toEqual(DONE);
    expect(await namerd.dtabs.get('internal')).toContain('/svc/*=>/host/world;');
    const sent = previewRequest(target, preview);
    if (!('header' in sent && 'value' in sent)) throw new Error('testers of namerd send a header');
    expect(sent.header).toBe('l5d-dtab');
    expect(await ask(namerd.proxy ?? '', 'world', { [sent.header]: sent.value })).toBe('200 green');
    expect(await count(50)).toBe(0);
  });

  it('an abort at every weight brings the dtab of before back, to the letter', async () => {
    for (const [index, percent] of [0, 10, 50, 100].entries()) {
      const by = { rollout: `world-${index + 2}`, epoch: 2 * index + 10, seq: 1 };
      await router.reset(target, { ...fence(9), epoch: 9 }, {}, true);
      await router.release(target, { ...fence(9), epoch: 9 });
      expect((await router.claim(target, by)).kind).toBe('done');
      await router.setRoute(target, weight(percent), { ...by, seq: 2 }, false);
      const abort = { ...by, epoch: by.epoch + 1, seq: 3 };
      expect(await router.reset(target, abort, {}, true)).toEqual(DONE);
      expect(await count(20)).toBe(0);
      expect(await router.release(target, abort)).toEqual(DONE);
      expect(await namerd.dtabs.get('internal')).toBe(DTAB);
    }
  });

  it('a weight costs one write and two reads, confirmed, and every write is one piece of JSON under a version', async () => {
    await namerd.forgetAsked();
    await router.setRoute(target, weight(10), fence(2), false);
    expect(await router.confirmed(target)).toEqual({ kind: 'confirmed' });
    const asked = await namerd.asked();
    expect(asked.map(({ method }) => method)).toEqual(['GET', 'PUT', 'GET']);
    expect(asked[1]).toMatchObject({ chunked: false, contentType: 'application/json', ifMatch: expect.any(String) });
  });

  it.each([
    { fault: '412' },
    { fault: 'race' },
    { fault: 'reset', method: 'PUT' },
    { fault: '500', method: 'PUT' },
    { fault: 'cut-after-commit', method: 'PUT' },
    { fault: '500-after-commit', method: 'PUT' },
    { fault: 'timeout-after-commit', method: 'PUT' },
  ])('goes through $fault', async (fault) => {
    await namerd.fault({ method: 'PUT', ...fault });
    expect(await router.setRoute(target, weight(10), fence(2), false)).toEqual(DONE);
    expect(await router.getRoute(target)).toMatchObject({ route: weight(10), marks: { seq: 2 } });
    expect((await namerd.dtabs.get('internal')).split(';').slice(0, 2)).toEqual([
      '/host=>/#/io.l5d.k8s/hello/http',
      '/svc/*=>10.00*/host/world-canary & 90.00*/host/world',
    ]);
  });

  it('is not confirmed while the name of the canary leads nowhere', async () => {
    await namerd.setServices([ids.stable]);
    await router.setRoute(target, weight(10), fence(2), false);
    expect(await router.confirmed(target)).toEqual({ kind: 'pending' });
    await namerd.setServices({ [ids.stable]: ['127.0.0.1:1'], [ids.canary]: [] });
    expect(await router.confirmed(target)).toEqual({ kind: 'pending' });
    await namerd.setServices([ids.stable, ids.canary]);
    expect(await router.confirmed(target)).toEqual({ kind: 'confirmed' });
  });
});
