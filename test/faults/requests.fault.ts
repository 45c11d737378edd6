/** What a whole rollout (preview, 10, 50 and 100%, where that can be had) asks of the API server, on every traffic system. */
import { expect, test } from 'vitest';
import { play } from '../chaos/matrix.ts';
import { createPerson } from '../chaos/person.ts';
import { LONGEST } from '../scenarios/support/pairs.ts';
import { QUIET, whole } from './support/pairs.ts';

const LIMIT = 30;

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
        const list = [...seen].map(([what, { length }]) => `${length} ${what}`).join(', ');
        process.stdout.write(`${pair.name}: ${all} requests (since the start of the bot: ${list})\n`);
        expect(all, list).toBeLessThanOrEqual(LIMIT);
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
