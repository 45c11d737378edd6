/**
 * Somebody changes or deletes what a rollout works with, while traffic goes to the canary. No checks are configured: what is
 * noticed here is noticed by looking at the objects themselves.
 */
import { beforeEach, describe, expect, test } from 'vitest';
import { kinds } from '../../playground/api-server/kinds.ts';
import { useStage } from '../scenarios/support/use-stage.ts';
import { createEdits } from './support/edits.ts';

const set = useStage({ service: { checks: [], tests: [] } });
const soon = { timeoutMs: 8_000 };

const edits = () => createEdits(set().stage);

/** At the gate of 50%: both versions have traffic. */
async function atTheGate() {
  await set().stage.slack.command('ana', 'world v2 brisk');
  await set().gate('Approve 100%');
}

/** Stable has all the traffic and is what it was, nothing of the canary is left, the thread says why. */
async function expectAborted(why: RegExp, serving = 'v1') {
  const { stage, said, cleaned, image } = set();
  const result = await said(/is aborted/);
  expect(stage.slack.words(result)).toMatch(why);
  await cleaned();
  expect(stage.weights).toEqual([0, 50, 0]);
  expect(image('world')).toBe(`buoyantio/world:${serving}`);

  await stage.slack.until(
    () => stage.get(kinds.httpRoutes, 'world')?.metadata.annotations?.['sluice.dev/phase'] !== 'active',
    { what: 'the route is released', ...soon },
  );
  for (const name of ['world-canary', 'world-stable']) expect(stage.get(kinds.services, name)).toBeUndefined();
}

/** Stopped, with the difference in words; nothing moved. */
async function expectAsked(difference: RegExp) {
  const { stage, gate } = set();
  const asked = await gate('Re-apply');
  expect(stage.slack.words(asked)).toMatch(difference);
  expect(stage.weights.at(-1)).toBe(50);
}

describe('what the canary needs is gone: all traffic goes back at once, and the thread says what was gone', () => {
  beforeEach(atTheGate);

  test.each<[string, () => void, RegExp]>([
    [
      'the canary Deployment is deleted',
      () => edits().remove(kinds.deployments, 'world-canary'),
      /Deployment hello\/world-canary is gone/,
    ],
    [
      'the canary runs another image',
      () => edits().setImage('world-canary', 'buoyantio/world:v3'),
      /Deployment hello\/world-canary.*buoyantio\/world:v3/,
    ],
    [
      'the canary has lost its marks',
      () => edits().strip(kinds.deployments, 'world-canary'),
      /Deployment hello\/world-canary.*marks/,
    ],
    [
      "the canary's Kubernetes Service is deleted",
      () => edits().remove(kinds.services, 'world-canary'),
      /Service hello\/world-canary is gone/,
    ],
    [
      "the canary's Kubernetes Service selects other pods",
      () => edits().select('world-canary', { app: 'other' }),
      /Service hello\/world-canary.*selector/,
    ],
    [
      "stable's Kubernetes Service of the rollout is deleted",
      () => edits().remove(kinds.services, 'world-stable'),
      /Service hello\/world-stable is gone/,
    ],
    [
      "stable's Kubernetes Service of the rollout selects other pods",
      () => edits().select('world-stable', { app: 'world-canary' }),
      /Service hello\/world-stable.*selector/,
    ],
  ])('%s', async (_, change, why) => {
    change();
    await expectAborted(why);
  });
});

test('a canary that is scaled to 0 by hand is scaled up again, and the rollout goes on', async () => {
  const { stage, press, gate } = set();
  await atTheGate();
  edits().scale('world-canary', 0);
  await stage.slack.until(() => stage.get(kinds.deployments, 'world-canary')?.spec.replicas === 1, {
    what: 'the canary is back',
    ...soon,
  });
  await press('bo', 'Approve 100%');
  await gate('Promote');
  expect(stage.weights).toEqual([0, 50, 100]);
});

describe('a bot that has to be started anew at the gate notices the same', () => {
  beforeEach(atTheGate);
  const breakIt = () => edits().remove(kinds.deployments, 'world-canary');

  test('what happened while no bot ran', async () => {
    await set().bot.kill();
    breakIt();
    await set().stage.startBot();
    await expectAborted(/Deployment hello\/world-canary is gone/);
  });

  test('what happens after its start', async () => {
    await set().bot.kill();
    await set().stage.startBot();
    breakIt();
    await expectAborted(/Deployment hello\/world-canary is gone/);
  });
});

describe('stable is changed: the rollout stops and asks', () => {
  beforeEach(atTheGate);

  test('CI sets another image: Re-apply brings the old one back, and the rollout goes on', async () => {
    const { press, said, image } = set();
    edits().setImage('world', 'buoyantio/world:v3');
    await expectAsked(/Deployment hello\/world\b.*buoyantio\/world:v3/s);
    await press('bo', 'Re-apply');
    await press('bo', 'Approve 100%');
    expect(image('world')).toBe('buoyantio/world:v1');
    await press('bo', 'Promote');
    await said(/v2 is live/);
    expect(image('world')).toBe('buoyantio/world:v2');
  });

  test('CI sets another image: an abort leaves it there, and does not claim that the old version serves', async () => {
    const { stage, press, said, cleaned, image } = set();
    edits().setImage('world', 'buoyantio/world:v3');
    await expectAsked(/v3/);
    await press('bo', 'Abort');
    const result = await said(/aborted by @bo/);
    await cleaned();
    expect(image('world')).toBe('buoyantio/world:v3');
    expect(stage.slack.words(result)).not.toMatch(/traffic is on v1/);
    expect(stage.weights).toEqual([0, 50, 0]);
  });

  test('it is scaled to 0: nothing moves towards it without a person', async () => {
    const { stage, press, gate } = set();
    edits().scale('world', 0);
    await expectAsked(/Deployment hello\/world.*scaled to 0/s);
    edits().scale('world', 2);
    await press('bo', 'Re-apply');
    await gate('Approve 100%');
    expect(stage.weights).toEqual([0, 50]);
  });

  test('it is deleted: nothing moves towards it without a person', async () => {
    const { stage, gate } = set();
    edits().remove(kinds.deployments, 'world');
    await expectAsked(/Deployment hello\/world.*gone/s);
    expect(await gate('Abort')).toBeTruthy();
    expect(stage.weights).toEqual([0, 50]);
    expect(stage.get(kinds.deployments, 'world-canary')?.spec.replicas).toBe(1);
  });

  test('it loses its marks: after Re-apply an abort in the promotion still finds the old version', async () => {
    const { stage, press, cleaned, image } = set();
    edits().strip(kinds.deployments, 'world');
    await expectAsked(/Deployment hello\/world.*marks/s);
    await press('bo', 'Re-apply');
    await press('bo', 'Approve 100%');
    await press('bo', 'Promote');
    await stage.slack.until(() => image('world') === 'buoyantio/world:v2', { what: 'the promotion', ...soon });
    await stage.slack.click('bo', stage.slack.root(), 'Abort');
    await cleaned();
    expect(image('world')).toBe('buoyantio/world:v1');
  });
});

describe('the route is changed: the rollout stops and asks', () => {
  beforeEach(atTheGate);

  test.each<[string, () => void, RegExp]>([
    [
      'its rule sends somewhere else',
      () =>
        edits().edit(kinds.httpRoutes, 'world', (route) => ({
          ...route,
          spec: {
            ...route.spec,
            rules: (route.spec.rules ?? []).map((rule) => ({
              ...rule,
              backendRefs: [{ group: '', kind: 'Service', name: 'world', port: 80, weight: 1 }],
            })),
          },
        })),
      /HTTPRoute hello\/world/,
    ],
    ['its marks are stripped', () => edits().strip(kinds.httpRoutes, 'world'), /HTTPRoute hello\/world.*marks/s],
  ])('%s, and Re-apply puts it right', async (_, change, difference) => {
    const { stage, press, gate } = set();
    change();
    expect(stage.slack.words(await gate('Re-apply'))).toMatch(difference);
    await press('bo', 'Re-apply');
    await gate('Approve 100%');
    expect(stage.weights.at(-1)).toBe(50);
    expect(stage.get(kinds.httpRoutes, 'world')?.metadata.annotations?.['sluice.dev/phase']).toBe('active');
  });

  test('it is deleted: an abort ends the rollout without it', async () => {
    const { stage, press, said, cleaned, gate } = set();
    edits().remove(kinds.httpRoutes, 'world');
    expect(stage.slack.words(await gate('Re-apply'))).toMatch(/HTTPRoute hello\/world.*gone/s);
    await press('bo', 'Abort');
    await said(/aborted by @bo/);
    await cleaned();
    expect(stage.get(kinds.httpRoutes, 'world')).toBeUndefined();
  });
});

test('another holder with a higher epoch takes the route: the rollout stops and leaves it to them', async () => {
  const { stage, said, cleaned } = set();
  await atTheGate();
  const marks = { 'sluice.dev/rollout': 'world-zzzzzz', 'sluice.dev/epoch': '900' };
  edits().edit(kinds.httpRoutes, 'world', ({ metadata, ...route }) => ({
    ...route,
    metadata: { ...metadata, annotations: { ...metadata.annotations, ...marks } },
  }));
  const result = await said(/is stopped/);
  expect(stage.slack.words(result)).toMatch(/world-zzzzzz has taken over/);
  await cleaned();
  expect(stage.get(kinds.httpRoutes, 'world')?.metadata.annotations).toMatchObject(marks);
});
