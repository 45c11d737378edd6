/**
 * What every router promises (`TrafficRouter` in src/app/ports/router.ts), asked of whatever holds its routes. Each test gets a
 * service of its own, which nobody has touched. A new router gives a `RouterWorld`: two routers that share nothing but the
 * outside, a target, ways to look at the routes as stored, and the hands of somebody else.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { differences } from '../../src/adapters/traffic/foresee.ts';
import type { Fence, Written } from '../../src/app/ports/cluster.ts';
import type { TrafficRouter } from '../../src/app/ports/router.ts';
import { type Route, STABLE_ROUTE, type Target } from '../../src/core/plan.ts';
import { unsayable } from '../../src/core/support.ts';
import { routePlaces } from '../../src/core/traffic.ts';
import type { Foreseen } from '../../src/core/writes.ts';

export type RouterWorld = {
  readonly router: TrafficRouter;
  /** Another replica: it shares nothing with `router` but the API server. */
  readonly other: TrafficRouter;
  readonly target: Target;
  /** What the router's words about the route objects contain; left out: the target's namespace. */
  readonly subject?: string;
  /** After the release no mark stays on the route objects: how high epochs were is known from the Deployment alone. */
  readonly forgets?: true;
  /** Reads of each place for one weight; left out: one. More where a write is read back, since routes may show late. */
  readonly reads?: number;
  /** Verbs of the requests that `router` has sent, as in a Role; a watch counts when it is opened. */
  sent(): readonly string[];
  /** The route objects as stored, without Sluice's marks and the server's own metadata. */
  read(): Promise<unknown>;
  /** Each object that holds a part of the routes, without Sluice's marks, by the name that `foresee` gives it. */
  fields(): Promise<Readonly<Record<string, unknown>>>;
  /** What became of one of them, in the words of `foresee`; left out: by the paths of fields. */
  changes?(before: unknown, after: unknown): readonly string[];
  /** Sluice's marks on the route object, by their short names. */
  marks(): Promise<Readonly<Record<string, string>>>;
  /** Changes with every write to the route objects. */
  revision(): Promise<string>;
  /** Somebody else sets the weights of a claimed route; left out: it says none, the share follows the pods. */
  setWeight?(weight: number): Promise<void>;
  /** Somebody else edits a field that Sluice does not own. */
  editOther(): Promise<void>;
  /** Somebody else takes Sluice's marks off. */
  unmark(): Promise<void>;
  /** Another rollout controller takes the route. */
  giveAway(): Promise<void>;
  remove(): Promise<void>;
  /** Where the route object is made by Sluice for another one: the hands of those whose that is. */
  readonly owner?: {
    /** To the host `moved.example.com`, where the route object repeats it. */
    move?(): Promise<unknown>;
    remove(): Promise<unknown>;
    /** Whether the route object is gone. */
    hasLeft(): Promise<boolean>;
  };
  end(): Promise<void>;
};

const fence = (seq: number, epoch = 1, rollout = 'world-1'): Fence => ({ rollout, epoch, seq });
const spoken = (lines: readonly (readonly [object: string, readonly string[]])[]) =>
  Object.fromEntries(
    lines.filter(([, found]) => found.length > 0).map(([object, found]) => [object, found.toSorted().map(whole)]),
  );
/** The order of keys, and so that of lines, is the API server's. */
function whole(line: string) {
  const [, field, value] = /^(.*?): ([{[].*) \(new\)$/.exec(line) ?? [];
  return value === undefined ? line : { field, value: JSON.parse(value) };
}
const preview = { header: 'x-canary', value: 'always' };

export function routerContract(name: string, make: () => Promise<RouterWorld>): void {
  describe(`${name} as a router`, () => {
    let world: RouterWorld;
    let router: TrafficRouter;
    let target: Target;
    let subject: string;
    beforeEach(async () => {
      world = await make();
      ({ router, target } = world);
      subject = world.subject ?? target.namespace;
    });
    const shares = () => router.supports.weight === true;
    /** All of the traffic where a router knows nothing between nothing and all. */
    const at = (weight: number, changes: Partial<Route> = {}): Route => ({
      ...STABLE_ROUTE,
      weight: weight === 0 || shares() ? weight : 100,
      ...changes,
    });
    /** Somebody else's weight, other than Sluice's. */
    const foreign = () => (shares() ? 30 : 0);
    afterEach(() => world.end());

    const claimed = async () => {
      const { journal = {}, ...written } = await router.claim(target, fence(1));
      expect(written).toEqual({ kind: 'done' });
      return journal;
    };
    const routed = async (weight: number) => {
      const journal = await claimed();
      expect(await router.setRoute(target, at(weight), fence(2), false)).toEqual({ kind: 'done' });
      return journal;
    };

    /** What a write changes, by object; those in which it changes nothing are left out. */
    const changesBy = async (write: () => Promise<Written | null>) => {
      const before = await world.fields();
      expect(await write()).toEqual({ kind: 'done' });
      const after = await world.fields();
      const names = Object.keys({ ...before, ...after });
      const { changes = differences } = world;
      return spoken(names.map((name) => [name, changes(before[name], after[name])]));
    };

    describe('looking', () => {
      it('accepts a route that is there and says how high its epoch is', async () => {
        // What a controller says of a new route at first may be older than the Kubernetes Services that it names.
        const accepted = () => expect.poll(() => router.preflight(target), { timeout: 5_000, message: 'is accepted' });
        await accepted().toMatchObject({ ok: true, facts: { epoch: 0 } });
        await claimed();
        await router.release(target, fence(2, 7));
        await accepted().toMatchObject({ ok: true, facts: { epoch: world.forgets ? 0 : 7 } });
      });

      it('refuses a route that does not exist, and names it', async () => {
        await world.remove();
        expect(await world.other.preflight(target)).toMatchObject({
          ok: false,
          refusals: expect.arrayContaining([expect.stringContaining(subject)]),
        });
      });

      it('refuses a route that another controller manages', async () => {
        await world.giveAway();
        expect(await world.other.preflight(target)).toMatchObject({
          ok: false,
          refusals: expect.arrayContaining([expect.stringMatching(/managed by/)]),
        });
      });

      it('refuses a route that another rollout holds, with the command that ends it', async () => {
        await claimed();
        expect(await router.preflight(target)).toMatchObject({
          ok: false,
          refusals: expect.arrayContaining([expect.stringMatching(/rollout world-1 .*\/deploy abort world/)]),
        });
      });
    });

    describe('claiming', () => {
      it('moves no traffic', async () => {
        const before = await world.read();
        await claimed();
        expect(await world.read()).toEqual(before);
        expect(await router.getRoute(target)).toMatchObject({
          route: STABLE_ROUTE,
          marks: { rollout: 'world-1', epoch: 1, phase: 'active' },
        });
      });

      it('answers a repeat with the same journal and writes nothing', async () => {
        const journal = await claimed();
        const revision = await world.revision();
        expect(await world.other.claim(target, fence(1))).toEqual({ kind: 'done', journal });
        expect(await world.revision()).toBe(revision);
      });

      it('keeps the journal when the same rollout claims again with a higher epoch', async () => {
        const journal = await routed(50);
        expect(await world.other.claim(target, fence(3, 2))).toEqual({ kind: 'done', journal });
        expect((await router.setRoute(target, at(100), fence(4), false)).kind).toBe('fenced');
      });

      it('is refused while another rollout is active', async () => {
        await claimed();
        expect(await router.claim(target, fence(1, 2, 'world-2'))).toMatchObject({
          kind: 'refused',
          message: expect.stringMatching(/rollout world-1 .*\/deploy abort world/),
        });
      });

      it('is open to anyone after a release, above the epoch that was', async () => {
        await claimed();
        await router.release(target, fence(2));
        if (!world.forgets) expect((await router.claim(target, fence(1, 1, 'world-2'))).kind).toBe('fenced');
        expect((await router.claim(target, fence(1, 2, 'world-2'))).kind).toBe('done');
      });

      it('is refused when the route is gone', async () => {
        await world.remove();
        expect((await world.other.claim(target, fence(1))).kind).toBe('refused');
      });
    });

    describe('routing', () => {
      it.each<[string, () => Route]>([
        ['a share of the traffic', () => ({ ...STABLE_ROUTE, weight: 10 })],
        ['all of the traffic', () => at(100)],
        ['a preview by header at weight 0', () => at(0, { preview })],
        ['a preview by a pattern of a header', () => at(0, { preview: { header: 'x-user', pattern: '^qa-.*' } })],
        ['a preview by cookie', () => at(0, { preview: { cookie: 'canary', value: 'always' } })],
        ['a preview by another value of a cookie', () => at(0, { preview: { cookie: 'who', value: 'a.b/c=d' } })],
        ['a preview beside a share', () => at(25, { preview })],
        ['copies of a share', () => at(0, { mirror: 20 })],
        ['copies of all', () => at(0, { mirror: 100 })],
        ['preview, copies and share together', () => at(5, { preview, mirror: 50 })],
      ])('writes %s and reads it back, or says why it cannot', async (_, route) => {
        const why = unsayable(route(), router.supports);
        if (why !== null) {
          expect(why).toMatch(/\w/);
          expect(await router.setRoute(target, route(), fence(2), false)).toMatchObject({
            kind: 'refused',
            message: why,
          });
          return;
        }
        await claimed();
        expect(await router.setRoute(target, route(), fence(2), false)).toEqual({ kind: 'done' });
        expect(await router.getRoute(target)).toMatchObject({ route: route(), marks: { seq: 2 } });
        expect(await world.other.getRoute(target)).toMatchObject({ route: route() });
        expect(await world.other.drift(target, route(), fence(2))).toBeNull();
      });

      it.each([preview, { header: 'x-user', pattern: '^qa-.*' }, { cookie: 'canary', value: 'always' }])(
        'leaves nothing of the step before: %o',
        async (before) => {
          const mirror = router.supports.mirror === true ? 50 : null;
          await claimed();
          await router.setRoute(target, at(5, { preview: before, mirror }), fence(2), false);
          await router.setRoute(target, at(10), fence(3), false);
          expect(await router.getRoute(target)).toMatchObject({ route: at(10) });
        },
      );

      it.each(['as it was', "with the canary in stable's place"])(
        'foresees each field that it writes and no other, until the route is left %s, and writes nothing for that',
        async (end) => {
          const settles = end !== 'as it was';
          if (settles && !target.versioned) return;
          const routes = [at(0, { preview }), at(5, { preview, mirror: 50 }), at(5), at(100)].filter(
            (route) => unsayable(route, router.supports) === null,
          );
          const revision = await world.revision();
          const foreseen = (await router.foresee?.(target, routes)) ?? [];
          expect(await world.revision()).toBe(revision);
          const journal = await claimed();
          expect(Object.keys(await world.fields())).toEqual(
            expect.arrayContaining(foreseen.map(({ object }) => object)),
          );
          expect(foreseen.length).toBe(routePlaces(target).length);
          const said = (pick: (one: Foreseen) => readonly string[] | undefined) =>
            spoken(foreseen.map((one) => [one.object, pick(one) ?? []]));
          for (const [n, route] of routes.entries()) {
            const made = await changesBy(() => router.setRoute(target, route, fence(n + 2), false));
            expect(made, JSON.stringify(route)).toEqual(said((one) => one.routes[n]));
          }
          const last = fence(routes.length + 2);
          if (settles) {
            const made = await changesBy(async () => (await router.settle?.(target, last, journal, false)) ?? null);
            expect(made).toEqual(said(({ settled }) => settled));
          } else {
            const made = await changesBy(() => router.reset(target, last, journal, false));
            expect(made).toEqual(said(({ back }) => back));
          }
        },
      );

      it('changes the weight with one write and at most one read, its confirmation included', async () => {
        await claimed();
        const places = routePlaces(target).length;
        for (const [n, weight] of (shares() ? [10, 50, 100] : [100]).entries()) {
          const before = world.sent().length;
          expect(await router.setRoute(target, at(weight), fence(n + 2), false)).toEqual({ kind: 'done' });
          await router.confirmed(target);
          // One that is opened goes on for as long as the rollout does.
          const made = world
            .sent()
            .slice(before)
            .filter((verb) => verb !== 'watch');
          const reads = made.filter((verb) => verb === 'get' || verb === 'list').length;
          const writes = made.filter((verb) => verb === 'patch' || verb === 'update').length;
          expect({ writes, others: made.length - reads - writes }).toEqual({ writes: places, others: 0 });
          expect(reads).toBeLessThanOrEqual((world.reads ?? 1) * places);
        }
      });

      it('answers a repeat with done and writes nothing', async () => {
        await routed(10);
        const revision = await world.revision();
        expect(await router.setRoute(target, at(10), fence(2), false)).toEqual({ kind: 'done' });
        expect(await world.other.setRoute(target, at(10), fence(2), false)).toEqual({ kind: 'done' });
        expect(await world.revision()).toBe(revision);
      });

      it.each<[string, Fence]>([
        ['an older epoch of the same rollout', fence(9, 1)],
        ['another rollout', fence(9, 2, 'world-0')],
      ])('refuses a late writer: %s', async (_, late) => {
        await routed(10);
        expect((await world.other.claim(target, fence(3, 2))).kind).toBe('done');
        const before = await world.read();
        expect(await router.setRoute(target, at(100), late, false)).toMatchObject({
          kind: 'fenced',
          by: { rollout: 'world-1', epoch: 2 },
        });
        expect(await router.setRoute(target, at(100), late, true)).toMatchObject({ kind: 'fenced' });
        expect(await world.read()).toEqual(before);
      });

      it('refuses a writer that has fallen behind its own rollout', async () => {
        await routed(10);
        await world.other.setRoute(target, at(50), fence(5), false);
        const revision = await world.revision();
        const by = { kind: 'fenced', by: { rollout: 'world-1', epoch: 1, seq: 5, phase: 'active' } };
        expect(await router.setRoute(target, at(100), fence(4), false)).toMatchObject(by);
        expect(await router.setRoute(target, at(100), fence(4), true)).toMatchObject(by);
        expect(await router.reset(target, fence(4), {}, false)).toMatchObject(by);
        expect(await router.claim(target, fence(1))).toMatchObject(by);
        expect(await router.release(target, fence(4))).toMatchObject(by);
        expect(await world.revision()).toBe(revision);
      });

      it('is refused when the route is gone', async () => {
        await claimed();
        await world.remove();
        expect(await router.setRoute(target, at(10), fence(2), false)).toMatchObject({ kind: 'refused' });
      });

      it('never touches the fields of others, not even those that change meanwhile', async () => {
        await claimed();
        await router.setRoute(target, at(10, { preview }), fence(2), false);
        await world.editOther();
        expect(await router.setRoute(target, at(50), fence(3), false)).toEqual({ kind: 'done' });
        await router.reset(target, fence(4), {}, false);
        await router.release(target, fence(5));
        const after = await world.read();
        const fresh = await make();
        await fresh.editOther();
        expect(JSON.stringify(after)).toBe(
          JSON.stringify(await fresh.read()).replaceAll(fresh.target.namespace, target.namespace),
        );
        await fresh.end();
      });
    });

    describe('meeting a foreign edit', () => {
      it('says what differs and which weight it found, and writes nothing', async () => {
        if (!world.setWeight) return;
        await routed(10);
        await world.setWeight(foreign());
        const drift = { weight: foreign(), object: expect.stringContaining(subject) };
        const before = await world.read();
        expect(await world.other.drift(target, at(10), fence(2))).toMatchObject(drift);
        expect(await router.setRoute(target, at(50), fence(3), false)).toMatchObject({ kind: 'drifted', drift });
        expect(await world.read()).toEqual(before);
      });

      it('replaces it when told to', async () => {
        if (!world.setWeight) return;
        await routed(10);
        await world.setWeight(foreign());
        expect(await router.setRoute(target, at(10), fence(3), true)).toEqual({ kind: 'done' });
        expect(await router.getRoute(target)).toMatchObject({ route: at(10) });
        expect(await world.other.drift(target, at(10), fence(3))).toBeNull();
      });

      it('takes missing marks for one', async () => {
        await routed(10);
        await world.unmark();
        expect(await world.other.drift(target, at(10), fence(2))).toMatchObject({ weight: null });
        expect((await world.other.setRoute(target, at(50), fence(3), false)).kind).toBe('drifted');
      });

      it('does not take a write of another replica for one', async () => {
        await routed(10);
        await router.getRoute(target);
        await world.other.setRoute(target, at(50), fence(3), false);
        expect(await router.drift(target, at(10), fence(2))).toBeNull();
      });
    });

    describe('being made for another object', () => {
      it('repeats what that is now: an edit of it is a foreign one, and re-applied it is followed', async () => {
        if (!world.owner?.move) return;
        const moved = async () => JSON.stringify(await world.read()).match(/moved\.example\.com/g)?.length;
        await routed(10);
        expect(await router.drift(target, at(10), fence(2))).toBeNull();
        await world.owner.move();
        const drift = await world.other.drift(target, at(10), fence(2));
        expect(drift).toMatchObject({
          weight: null,
          difference: expect.stringMatching(/any more: .*moved\.example\.com/),
        });
        expect(await moved()).toBe(1);
        expect(await world.other.setRoute(target, at(10), fence(3), true)).toEqual({ kind: 'done' });
        expect(await moved()).toBe(2);
        expect(await router.getRoute(target)).toMatchObject({ route: at(10) });
        for (const one of [router, world.other]) expect(await one.drift(target, at(10), fence(3))).toBeNull();
      });

      it.each(['in a rollout', 'at rest'])(
        'goes when that goes, %s',
        async (when) => {
          if (!world.owner) return;
          const { owner } = world;
          await routed(10);
          if (when === 'at rest') {
            await router.reset(target, fence(3), {}, false);
            await router.release(target, fence(4));
          }
          expect(await owner.hasLeft()).toBe(false);
          await owner.remove();
          await expect.poll(owner.hasLeft, { timeout: 40_000 }).toBe(true);
          expect(await world.other.reset(target, fence(5, 2), {}, true)).toEqual({ kind: 'done' });
        },
        60_000,
      );
    });

    describe('giving back', () => {
      it('restores exactly what was there and keeps the claim until the release', async () => {
        const before = await world.read();
        await routed(50);
        expect(await router.reset(target, fence(3), {}, false)).toEqual({ kind: 'done' });
        expect(await world.read()).toEqual(before);
        expect(await router.getRoute(target)).toMatchObject({ route: STABLE_ROUTE, marks: { phase: 'active' } });
        expect(await router.drift(target, STABLE_ROUTE, fence(3))).toBeNull();
      });

      it('leaves only the terminal marks after the release', async () => {
        await routed(50);
        await router.reset(target, fence(3), {}, false);
        expect(await router.release(target, fence(4))).toEqual({ kind: 'done' });
        const marks = { rollout: 'world-1', epoch: '1', seq: '4', phase: 'done' };
        expect(await world.marks()).toEqual(world.forgets ? {} : marks);
        expect(await router.release(target, fence(4))).toEqual({ kind: 'done' });
      });

      it('does not release what is still routed', async () => {
        await routed(50);
        expect((await router.release(target, fence(3))).kind).toBe('refused');
      });

      it('refuses writes after the release', async () => {
        await routed(50);
        await router.reset(target, fence(3), {}, false);
        await router.release(target, fence(4));
        const before = await world.read();
        const late = await router.setRoute(target, at(100), fence(9), false);
        expect(late.kind).toBe(world.forgets ? 'drifted' : 'fenced');
        expect(await world.read()).toEqual(before);
      });
    });

    describe('aborting', () => {
      it('beats an older write that arrives late', async () => {
        const before = await world.read();
        await routed(10);
        expect(await world.other.reset(target, fence(3, 2), {}, true)).toEqual({ kind: 'done' });
        expect(await router.setRoute(target, at(50), fence(4), false)).toMatchObject({
          kind: 'fenced',
          by: { epoch: 2 },
        });
        expect(await world.read()).toEqual(before);
      });

      it('does not care which weight it meets', async () => {
        const before = await world.read();
        await routed(10);
        await router.getRoute(target);
        await world.other.setRoute(target, at(50, { preview }), fence(3), false);
        expect(await router.reset(target, fence(4, 2), {}, true)).toEqual({ kind: 'done' });
        expect(await world.read()).toEqual(before);
      });

      it('does not care about foreign edits of weights', async () => {
        if (!world.setWeight) return;
        const before = await world.read();
        await routed(10);
        await world.setWeight(shares() ? 77 : 0);
        expect(await router.reset(target, fence(3, 2), {}, true)).toEqual({ kind: 'done' });
        expect(await world.read()).toEqual(before);
      });

      it('works when the marks are gone, by the journal that was kept elsewhere', async () => {
        const before = await world.read();
        const journal = await routed(10);
        await world.unmark();
        expect(await world.other.reset(target, fence(3, 2), journal, true)).toEqual({ kind: 'done' });
        expect(await world.read()).toEqual(before);
      });

      it('may be repeated', async () => {
        await routed(10);
        expect(await router.reset(target, fence(3, 2), {}, true)).toEqual({ kind: 'done' });
        const revision = await world.revision();
        expect(await router.reset(target, fence(3, 2), {}, true)).toEqual({ kind: 'done' });
        expect(await world.other.reset(target, fence(3, 2), {}, true)).toEqual({ kind: 'done' });
        expect(await world.revision()).toBe(revision);
      });

      it('before the claim, claims: the claim itself comes too late', async () => {
        const before = await world.read();
        expect(await router.reset(target, fence(3, 2), {}, true)).toEqual({ kind: 'done' });
        expect((await world.other.claim(target, fence(1, 1))).kind).toBe('fenced');
        expect(await world.read()).toEqual(before);
      });

      it('is over when the route is gone', async () => {
        await routed(10);
        await world.remove();
        expect(await router.reset(target, fence(3, 2), {}, true)).toEqual({ kind: 'done' });
      });

      it('does not touch the next rollout', async () => {
        await claimed();
        await router.release(target, fence(2));
        await router.claim(target, fence(1, 5, 'world-2'));
        expect(await router.reset(target, fence(3, 2), {}, true)).toMatchObject({
          kind: 'fenced',
          by: { rollout: 'world-2' },
        });
        expect(await router.reset(target, fence(3, 9), {}, true)).toMatchObject({
          kind: 'fenced',
          by: { rollout: 'world-2' },
        });
      });
    });

    describe('without Redis', () => {
      it('aborts by what the route itself carries, and says who did', async () => {
        const before = await world.read();
        await routed(50);
        expect(await world.other.blindAbort(target, 'world-1', 'U0BO@now')).toEqual({ kind: 'done' });
        expect(await world.read()).toEqual(before);
        const marks = { rollout: 'world-1', epoch: 2, phase: 'active', abort: 'U0BO@now' };
        expect(await world.other.getRoute(target)).toMatchObject({ route: STABLE_ROUTE, marks });
        expect((await router.setRoute(target, at(100), fence(3), false)).kind).toBe('fenced');
        expect(await world.other.blindAbort(target, 'world-1', 'U0EVE@now')).toEqual({ kind: 'done' });
        expect(await router.listMarked(routePlaces(target))).toMatchObject(routePlaces(target).map(() => ({ marks })));
      });

      it('marks the abort and leaves the traffic where no old pod could answer it, until asked again', async () => {
        await routed(100);
        const before = await world.read();
        for (const who of ['U0BO@now', 'U0EVE@now']) {
          expect(await world.other.blindAbort(target, 'world-1', who, true)).toEqual({ kind: 'done' });
        }
        expect(await world.read()).toEqual(before);
        expect(await world.marks()).toMatchObject({ epoch: '2', phase: 'active', abort: 'U0BO@now' });
        expect((await router.setRoute(target, STABLE_ROUTE, fence(3), false)).kind).toBe('fenced');
        expect(await world.other.blindAbort(target, 'world-1', 'U0BO@later')).toEqual({ kind: 'done' });
        expect(await world.other.getRoute(target)).toMatchObject({ route: STABLE_ROUTE, marks: { epoch: 3 } });
      });

      it.each([
        ['another rollout holds', 'world-9'],
        ['nobody holds any more', 'world-1'],
      ])('refuses a route that %s', async (_, rollout) => {
        await routed(50);
        if (rollout === 'world-1') {
          await router.reset(target, fence(3), {}, false);
          await router.release(target, fence(4));
        }
        const before = await world.read();
        expect((await world.other.blindAbort(target, rollout, 'U0BO@now')).kind).toBe('refused');
        expect(await world.read()).toEqual(before);
      });

      it('lists what is marked, and nothing else', async () => {
        expect(await router.listMarked(routePlaces(target))).toEqual([]);
        await claimed();
        expect(await world.other.listMarked(routePlaces(target))).toMatchObject(
          routePlaces(target).map(() => ({
            object: expect.stringContaining(subject),
            marks: { rollout: 'world-1', phase: 'active' },
            env: 'default',
          })),
        );
      });
    });
  });
}
