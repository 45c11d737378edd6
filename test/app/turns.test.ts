/** Turns: what was acknowledged is worked on a few at a time, in the order in which it came. */
import { expect, it } from 'vitest';
import { createTurns } from '../../src/app/turns.ts';

function aJob(order: string[], name: string) {
  let end: () => void = () => undefined;
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  const work = async () => {
    order.push(name);
    await ended;
    return name;
  };
  return { work, end };
}

it('begins as many as there are places, the rest in order as places become free', async () => {
  const order: string[] = [];
  const inTurn = createTurns(2);
  const jobs = ['a', 'b', 'c', 'd'].map((name) => aJob(order, name));
  const done = jobs.map(({ work }) => inTurn(work));
  expect(order).toEqual(['a', 'b']);
  jobs[1]?.end();
  await expect(done[1]).resolves.toBe('b');
  await expect.poll(() => order).toEqual(['a', 'b', 'c']);
  for (const { end } of jobs) end();
  await expect(Promise.all(done)).resolves.toEqual(['a', 'b', 'c', 'd']);
});

it('hands the place on when work fails', async () => {
  const inTurn = createTurns(1);
  const failed = inTurn(() => Promise.reject(new Error('broken')));
  const next = inTurn(async () => 'next');
  await expect(failed).rejects.toThrow('broken');
  await expect(next).resolves.toBe('next');
});
