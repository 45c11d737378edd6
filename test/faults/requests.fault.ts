/**
 * What a whole rollout (preview, 10, 50 and 100%, where that can be had) asks of the API server, on every traffic system; and
 * that the manifests allow what is asked, and nothing else.
 */
import { existsSync } from 'node:fs';
import { expect, test } from 'vitest';
import { play } from '../chaos/matrix.ts';
import { createPerson } from '../chaos/person.ts';
import { LONGEST } from '../scenarios/support/pairs.ts';
import { grantedIn } from '../support/granted.ts';
import { QUIET, whole } from './support/pairs.ts';

const LIMIT = 30;
/** Besides these it asks once what it may do. */
const REVIEWS = 1;
/** Verbs and resources that were asked for, by traffic system. */
const asked = new Map<string, ReadonlySet<string>>();
const AFTER_REFUSAL = ['a write that was refused', 'test/adapters/traffic/meanwhile.test.ts'] as const;
/** Where a watch cannot begin with what is there, as on older API servers. */
const lists = (...resources: readonly string[]) =>
  Object.fromEntries(
    resources.map((one) => [`list ${one}`, ['an older API server', 'test/adapters/kubernetes/view.test.ts'] as const]),
  );
/** Rights that none of these rollouts needs: what does, in which test. */
const ELSEWHERE: Readonly<Record<string, readonly [why: string, test: string]>> = {
  ...lists('deployments', 'endpointslices', 'pods', 'replicasets'),
  'watch pods': ['a Deployment that takes long says why', 'test/contracts/workload.ts'],
  'get horizontalpodautoscalers': ['stable has one', 'test/contracts/autoscaler.ts'],
  'patch horizontalpodautoscalers': ['stable has one', 'test/contracts/autoscaler.ts'],
  'list referencegrants': [
    'a route in another namespace than its service',
    'test/adapters/traffic/gateway-api.suite.ts',
  ],
  'get ingresses': AFTER_REFUSAL,
  'get trafficsplits': AFTER_REFUSAL,
  'get destinationrules': ['a write that was refused', 'test/adapters/traffic/istio-subsets.test.ts'],
};

test.concurrent.each(LONGEST.map((pair) => [pair.name, pair] as const))(`%s: at most ${LIMIT} requests`, (_, pair) =>
  play(
    pair,
    ({ stage, observer }) =>
      whole(stage, observer, async () => {
        const bot = await stage.startBot();
        const before = await requestsOf(bot.url());
        const person = createPerson(stage, observer, { strategy: pair.strategy });
        expect(await person.deploy()).toBe(true);
        expect(await person.approveUpTo(pair.weights.length)).toBe(true);
        await person.settle();
        const { typed, problems } = person.result();
        expect([...problems, ...(await observer.violations(['approved'], typed))]).toEqual([]);
        const all = (await requestsOf(bot.url())) - before;
        // Without reviews of rights and discovery, which it does not count.
        const seen = Map.groupBy(
          stage.playground.api.requests({ userAgent: 'sluice' }),
          ({ verb, resource }) => `${verb} ${resource}`,
        );
        asked.set(pair.name, new Set(seen.keys()));
        const list = [...seen].map(([what, { length }]) => `${length} ${what}`).join(', ');
        process.stdout.write(`${pair.name}: ${all} requests (since the start of the bot: ${list})\n`);
        expect(all - REVIEWS, list).toBeLessThanOrEqual(LIMIT);
      }),
    QUIET,
  ),
);

/** As the bot counts them itself, whatever came of them. */
async function requestsOf(botUrl: string): Promise<number> {
  const text = await (await fetch(new URL('/metrics', botUrl))).text();
  const counts = text.matchAll(/^sluice_kubernetes_requests_total\{.*\} (\d+)$/gm);
  return counts.reduce((sum, [, count]) => sum + Number(count), 0);
}

test('every right of the manifests is used on the way or named with its reason, and no other one is needed', ({
  skip,
}) => {
  skip(asked.size < LONGEST.length, 'only some systems were played');
  const granted = new Set(grantedIn('manifests').map(({ verb, plural }) => `${verb} ${plural}`));
  const used = new Set([...asked.values()].flatMap((one) => [...one]));
  expect([...granted].filter((right) => !used.has(right) && !(right in ELSEWHERE))).toEqual([]);
  expect([...used].filter((right) => !granted.has(right))).toEqual([]);
  expect(Object.entries(ELSEWHERE).filter(([right, [, path]]) => !granted.has(right) || !existsSync(path))).toEqual([]);
});
