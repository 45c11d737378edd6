/** Names of versions: what Kubernetes takes, and never the same for two of them. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Target } from '../../src/core/plan.ts';
import { sidesOf } from '../../src/core/sides.ts';
import { baseOf, promoted, slugOf, versionIn, versionName } from '../../src/core/versions.ts';
import { abortBy, ann, aPlan, createStory } from './support.ts';

describe('the name of a version', () => {
  it.each([
    ['v2', 'world-v2'],
    ['1.4.0', 'world-1-4-0'],
    ['main-3f2a1b', 'world-main--3f2a1b'],
    ['1.2.0-rc.1', 'world-1-2-0--rc-1'],
    ['2024-01-05', 'world-2024--01--05'],
  ])('of %s is %s', (version, name) => {
    expect(versionName('world', version)).toBe(name);
  });

  it.each(['V2', 'v_2', 'v1..2', 'v1-', 'v1.-2', 'x'.repeat(80)])('of %s has a hash behind it', (version) => {
    expect(versionName('world', version)).toMatch(/^world-[a-z0-9-]+---[0-9a-f]{8}$/);
  });

  it.each(['v2', '1.4.0', 'main-3f2a1b', '1.2.0-rc.1'])('of %s tells the version again', (version) => {
    expect(versionIn('world', versionName('world', version))).toBe(version);
  });

  it('with a hash behind it does not: its own part stands for it', () => {
    expect(versionName('world', 'V1_2')).toBe(`world-${versionIn('world', versionName('world', 'V1_2'))}`);
  });

  const version = fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/);
  /** Those that look alike are the ones that matter. */
  const alike = fc.array(fc.constantFrom('a', 'A', '1', '.', '-', '_', '--', '..'), { minLength: 1, maxLength: 6 });
  const lookalike = alike.map((parts) => parts.join(''));
  const base = fc.stringMatching(/^[a-z][a-z0-9-]{0,38}[a-z0-9]$/);

  it('is always one that a Kubernetes Service may have', () => {
    fc.assert(
      fc.property(base, fc.oneof(version, lookalike), (of, one) => {
        expect(versionName(of, one)).toMatch(/^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$/);
      }),
    );
  });

  it('is never that of another version', () => {
    const any = fc.oneof(version, lookalike);
    fc.assert(
      fc.property(base, any, any, (of, one, other) => {
        expect(versionName(of, one) === versionName(of, other)).toBe(one === other);
      }),
      { numRuns: 2_000 },
    );
  });

  it('fits in the room there is', () => {
    fc.assert(
      fc.property(version, fc.integer({ min: 12, max: 60 }), (one, room) => {
        expect(slugOf(one, room).length).toBeLessThanOrEqual(room);
      }),
    );
  });
});

const target: Target = {
  service: 'world',
  namespace: 'hello',
  deployment: 'world-v1',
  container: 'world',
  workload: 'versioned',
  traffic: { router: 'gateway-api', routes: ['hello/world'] },
  versioned: { base: 'world', canary: 'world-v2' },
};

describe('the sides of a rollout', () => {
  it('are the versions themselves, of which stable stays', () => {
    expect(sidesOf(target)).toEqual({ stable: 'world-v1', canary: 'world-v2', keepsStable: true });
    expect(sidesOf({ deployment: 'world' })).toEqual({ stable: 'world-stable', canary: 'world-canary' });
  });

  it('change places with the promotion', () => {
    expect(promoted(target).deployment).toBe('world-v2');
    expect(baseOf(promoted(target))).toBe('world');
    expect(promoted({ deployment: 'world' })).toEqual({ deployment: 'world' });
  });
});

describe('an abort', () => {
  const plan = aPlan();
  const at = (phase: string, names: Partial<Target>) =>
    createStory({ ...plan, target: { ...plan.target, ...names } })
      .until(phase)
      .tell(abortBy(ann));

  it.each(['promoting template', 'promoting ready', 'promoting route'])('works while a version is %s', (phase) => {
    expect(at(phase, target).rollout.phase.kind).toBe('aborting');
  });

  it('comes too late once a version has its place, or a Deployment its template', () => {
    expect(() => at('promoting confirm', target)).toThrow(/already promoted/);
    expect(() => at('promoting route', {})).toThrow(/already promoted/);
  });
});
