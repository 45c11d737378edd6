/**
 * A right is taken away when the look before a rollout has passed: the thread says which one is missing, what does not work
 * without it, and what to add to the Role. Given back, the rollout comes to its end, and nothing was written around its fence.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { allKinds } from '../../playground/api-server/kinds.ts';
import type { Verb } from '../../playground/api-server/request.ts';
import { NAMESPACE } from '../../playground/world.ts';
import { purposeOf } from '../../src/adapters/kubernetes/needs.ts';
import { createKeys } from '../../src/adapters/redis/keys.ts';
import { ABORT_STALLED_MS } from '../../src/core/schedule.ts';
import { play } from '../chaos/matrix.ts';
import type { Path } from '../chaos/observer.ts';
import { createPerson } from '../chaos/person.ts';
import { useAutoscaler } from '../scenarios/support/autoscaler.ts';
import { LONGEST } from '../scenarios/support/pairs.ts';
import type { Stage } from '../scenarios/support/stage.ts';
import { grantedIn } from '../support/granted.ts';
import { withRedis } from '../support/redis.ts';
import { onStage } from './support/open-stage.ts';
import { QUIET, whole } from './support/pairs.ts';

/** `patch httproutes` */
type Right = `${Verb} ${string}`;
/** When it is taken away. Before the start: where rules reviews are incomplete, they do not show what is missing. */
type Moment = 'before the start' | 'when stable is claimed' | 'at the last gate' | 'before an Abort at the last gate';
const WORDS = {
  'did not start': /did not start/,
  'does not get through': /does not get through/,
  halted: /halted/i,
  'stood still': /has stood still since/,
};
type Told = keyof typeof WORDS | 'nothing';
type Row = readonly [system: string, Right, Moment, Told, Path];

const AT_ALL_SYSTEMS: readonly Row[] = [
  ['gateway-api', 'create deployments', 'when stable is claimed', 'did not start', 'aborted'],
  ['gateway-api', 'create services', 'when stable is claimed', 'did not start', 'aborted'],
  ['gateway-api', 'patch deployments', 'when stable is claimed', 'does not get through', 'aborted'],
  ['gateway-api', 'watch endpointslices', 'when stable is claimed', 'stood still', 'approved'],
  ['gateway-api', 'watch services', 'when stable is claimed', 'stood still', 'approved'],
  ['gateway-api', 'watch deployments', 'at the last gate', 'stood still', 'approved'],
  ['gateway-api', 'patch deployments', 'at the last gate', 'halted', 'approved'],
  ['gateway-api', 'delete deployments', 'at the last gate', 'stood still', 'approved'],
  ['gateway-api', 'delete services', 'at the last gate', 'stood still', 'approved'],
  ['gateway-api', 'delete services', 'before an Abort at the last gate', 'does not get through', 'aborted'],
  ['gateway-api', 'patch services', 'before an Abort at the last gate', 'does not get through', 'aborted'],
  // The watched copies will do.
  ['gateway-api', 'get deployments', 'when stable is claimed', 'nothing', 'approved'],
  ['gateway-api', 'watch endpointslices', 'before an Abort at the last gate', 'nothing', 'aborted'],
  ['gateway-api, versioned', 'patch services', 'at the last gate', 'stood still', 'approved'],
  ['gateway-api, versioned', 'get httproutes', 'at the last gate', 'stood still', 'approved'],
];
const BY_SYSTEM: readonly Row[] = [
  ['gateway-api', 'patch httproutes', 'before the start', 'does not get through', 'aborted'],
  ['gateway-api', 'patch httproutes', 'when stable is claimed', 'does not get through', 'aborted'],
  ['gateway-api', 'patch httproutes', 'at the last gate', 'halted', 'approved'],
  ['gateway-api', 'watch httproutes', 'at the last gate', 'stood still', 'approved'],
  ['smi', 'create trafficsplits', 'before the start', 'did not start', 'aborted'],
  ['smi', 'patch trafficsplits', 'at the last gate', 'halted', 'approved'],
  ['smi', 'watch trafficsplits', 'at the last gate', 'stood still', 'approved'],
  // As in a mesh without ServiceProfiles.
  ['smi', 'watch serviceprofiles', 'at the last gate', 'nothing', 'approved'],
  ['istio', 'patch virtualservices', 'at the last gate', 'halted', 'approved'],
  ['istio', 'watch virtualservices', 'at the last gate', 'stood still', 'approved'],
  ['istio, by subsets', 'patch destinationrules', 'at the last gate', 'stood still', 'approved'],
  ['istio, by subsets', 'watch destinationrules', 'when stable is claimed', 'stood still', 'approved'],
  ['ingress-nginx', 'create ingresses', 'before the start', 'did not start', 'aborted'],
  ['ingress-nginx', 'patch ingresses', 'at the last gate', 'halted', 'approved'],
  ['ingress-nginx', 'watch ingresses', 'at the last gate', 'stood still', 'approved'],
  ['kubernetes', 'patch services', 'at the last gate', 'halted', 'approved'],
  ['in-place', 'watch replicasets', 'when stable is claimed', 'stood still', 'approved'],
  ['in-place', 'patch deployments', 'at the last gate', 'halted', 'approved'],
];
const ROWS = [...AT_ALL_SYSTEMS, ...BY_SYSTEM];
type Scaled = readonly [Right, Extract<Moment, 'when stable is claimed' | 'at the last gate'>, Told, RegExp];
const SCALED: readonly Scaled[] = [
  ['get horizontalpodautoscalers', 'when stable is claimed', 'stood still', /v2 is live/],
  ['patch horizontalpodautoscalers', 'when stable is claimed', 'does not get through', /did not start/],
  ['patch horizontalpodautoscalers', 'at the last gate', 'stood still', /v2 is live/],
];
const WITHOUT_PODS: Right = 'watch pods';
/** Lists are of the look before a rollout; while one runs only API servers before 1.32 are asked for some, in place of a watch. */
const BEFORE = /^list /;
/** Only after a write that was refused: the next try makes do with the watched copy, as without `get deployments`. */
const AFTER_REFUSAL = /^get (services|trafficsplits|virtualservices|destinationrules|ingresses)$/;

const LONG = { timeoutMs: 60_000 };

/** As if what only people can mend had begun to fail half a minute ago. */
const hurry = ({ corner: { url, env } }: Stage) =>
  withRedis(url, async (redis) => {
    const [seconds] = await redis.time();
    const ago = Number(seconds) * 1_000 - ABORT_STALLED_MS;
    for (const left of await redis.keys(`${createKeys(env).lease('tick:world-*')}:left`))
      if (Number((await redis.hget(left, 'lasting')) ?? 0) > ago) await redis.hset(left, 'lasting', ago);
  });

/** One right of the bot on this stage. */
function rightOn(stage: Stage, right: Right) {
  const { slack, playground } = stage;
  const [verb, resource] = right.split(' ') as [Verb, string];
  const { group = '' } = allKinds.find(({ plural }) => plural === resource) ?? {};
  const line = `- { apiGroups: ["${group}"], resources: ["${resource}"], verbs: [${verb}] }`;
  const purpose = purposeOf(verb, { group, plural: resource });
  const sentence = `The bot may not ${right} in namespace ${NAMESPACE}, so it cannot ${purpose}: add to its Role: ${line}`;

  function take(): void {
    playground.api.rights.deny({ verb, resource });
    // A watch that is open stays open.
    playground.api.dropConnections();
  }
  return {
    take,
    takeAtClaim(): void {
      const unsubscribe = playground.store.subscribe(({ object: { metadata, kind } }) => {
        if (kind !== 'Deployment' || metadata.annotations?.['sluice.dev/phase'] !== 'active') return;
        unsubscribe();
        take();
      });
    },
    takeUnseen(): void {
      playground.api.rights.reviewIncompletely();
      take();
    },
    /** Waits until people read of it, in one message; then it is given back. */
    async toldAndGivenBack(told: Told): Promise<void> {
      if (told === 'nothing') return;
      const saying = () => slack.thread().filter((one) => slack.words(one).includes(sentence));
      const end = Date.now() + LONG.timeoutMs;
      while (told === 'stood still' && saying().length === 0 && Date.now() < end) {
        await hurry(stage);
        await pause(1_000);
      }
      await slack.until(() => saying().length > 0, { what: `"${sentence}"`, ...LONG });
      expect(saying().map((one) => WORDS[told].test(slack.words(one)))).toEqual([true]);
      expect(slack.transcript()).not.toMatch(/is forbidden|HTTP 403|Something broke/);
      playground.api.rights.allowEverything();
    },
  };
}

test.concurrent.each(ROWS)(
  '%s without %s %s: people hear of it ("%s"), and it ends %s',
  (title, right, moment, told, path) => {
    const pair = LONGEST.find(({ system }) => system.title === title);
    if (!pair) throw new Error(`no system is called ${title}`);
    const act: Parameters<typeof play<void>>[1] = async ({ stage, observer }) => {
      const { slack } = stage;
      const it = rightOn(stage, right);
      const person = createPerson(stage, observer, { strategy: pair.strategy, limitMs: 110_000 });
      const last = pair.weights.length - 1;
      await stage.startBot();
      if (moment === 'before the start') it.takeUnseen();
      if (moment === 'when stable is claimed') it.takeAtClaim();
      await person.deploy();
      if (moment.endsWith('at the last gate')) {
        await person.approveUpTo(last);
        await person.gateOpens(last);
        it.take();
      }
      const driven = moment.startsWith('before an Abort') ? person.abort() : person.approveUpTo(last + 1);
      await it.toldAndGivenBack(told);
      if (told === 'halted') await slack.click('bo', slack.thread().at(-1), 'Retry');
      await driven;
      await person.settle();
      const { typed, problems } = person.result();
      const isUntouched = moment === 'before the start';
      const all = [...problems, ...(await observer.violations([path], typed))];
      expect(all.filter((one) => !isUntouched || one !== 'nothing was seen of what routes')).toEqual([]);
    };
    return play(pair, (given) => whole(given.stage, given.observer, () => act(given)), QUIET);
  },
);

const BARE = { checks: [], tests: [], coolDown: '1s' };

test.concurrent.each(SCALED)(
  'with an autoscaler, without %s %s: people hear of it ("%s")',
  (right, moment, told, ended) =>
    onStage({ world: { replicas: 4 }, service: BARE }, async ({ stage, press, gate, said, cleaned }) => {
      const { appear, least, released } = useAutoscaler(stage);
      const it = rightOn(stage, right);
      appear();
      if (moment === 'when stable is claimed') it.takeAtClaim();
      await stage.slack.command('ana', 'world v2 brisk');
      if (moment === 'at the last gate') {
        await press('bo', 'Approve 100%');
        await gate('Promote');
        it.take();
        await press('bo', 'Promote');
      }
      await it.toldAndGivenBack(told);
      if (moment === 'when stable is claimed' && told === 'stood still') {
        await press('bo', 'Approve 100%');
        await press('bo', 'Promote');
      }
      await said(ended);
      await cleaned();
      if (told === 'stood still') await released();
      expect(least()).toBe(1);
    }),
);

test.concurrent(`a version that does not start, without ${WITHOUT_PODS}: people hear of it, and then why it does not`, () =>
  onStage({ service: BARE }, async ({ stage, said, cleaned }) => {
    const it = rightOn(stage, WITHOUT_PODS);
    it.takeUnseen();
    await stage.slack.command('ana', 'world v5-missing brisk');
    await it.toldAndGivenBack('stood still');
    await said(/goes on again/);
    const why = () => stage.slack.thread().find(({ text }) => /ImagePullBackOff|ErrImagePull/.test(text));
    await stage.slack.until(why, { what: "the pods' words", ...LONG });
    await cleaned();
  }));

test('every right of the manifests is taken away here, or nothing needs it once a rollout runs', () => {
  const taken = new Set<string>([...ROWS.map(([, right]) => right), ...SCALED.map(([right]) => right), WITHOUT_PODS]);
  const granted = new Set(grantedIn('manifests').map(({ verb, plural }) => `${verb} ${plural}`));
  expect([...taken].filter((right) => !granted.has(right))).toEqual([]);
  const others = [...granted].filter((right) => !taken.has(right));
  expect(others.filter((right) => !BEFORE.test(right) && !AFTER_REFUSAL.test(right))).toEqual([]);
});
