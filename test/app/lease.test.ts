import { afterEach, beforeEach, expect, it } from 'vitest';
import { hold } from '../../src/app/lease.ts';
import { pause } from '../../src/app/pause.ts';
import { openCorner } from './support.ts';

let corner: ReturnType<typeof openCorner>;
beforeEach(() => {
  corner = openCorner();
});
afterEach(() => corner.close());

it('a lease lives as long as the work, and not longer', async () => {
  const held = await hold(corner.store, 'work', 200);
  for (let n = 0; n < 5; n++) {
    await pause(100);
    expect(await hold(corner.store, 'work', 200)).toBeNull();
  }
  expect(await held?.release()).toBe(true);
  const next = await hold(corner.store, 'work', 200);
  expect(await next?.release()).toBe(true);
});

it('who stood still for longer than the lease hears so at the end', async () => {
  const held = await hold(corner.store, 'work', 100);
  for (const end = performance.now() + 200; performance.now() < end; );
  const other = await corner.store.lease('work', 60_000);
  expect(other).not.toBeNull();
  expect(await held?.release()).toBe(false);
});
