/** What users notice of a rollout: by whom they are answered, and whether they are. */
import { expect } from 'vitest';
import type { World } from './world.ts';

/**
 * `percent` of what is drawn are hits, within three standard deviations. Chance leaves these once in 370 draws, so one that
 * does is repeated; where nothing is left to chance (0 and 100) there is no second draw.
 */
export async function expectDrawn(
  percent: number,
  draw: () => Promise<{ readonly sent: number; readonly hits: number }>,
  again = true,
): Promise<void> {
  const { sent, hits } = await draw();
  const share = percent / 100;
  const threeSigma = 3 * Math.sqrt(sent * share * (1 - share));
  const off = Math.abs(hits - sent * share);
  if (off > threeSigma && threeSigma > 0 && again) return expectDrawn(percent, draw, false);
  expect(off, `${hits} of ${sent}, ${percent}% wanted`).toBeLessThanOrEqual(threeSigma);
}

/** Of 300 requests v2 answers `percent`. */
export const expectShare = ({ users }: Pick<World, 'users'>, percent: number, headers?: Record<string, string>) =>
  expectDrawn(percent, async () => {
    const { sent, byVersion } = await users.send(300, headers);
    return { sent, hits: byVersion.v2 ?? 0 };
  });

/** Every request was answered, by a version, with 200. */
export async function expectUnnoticed(load: ReturnType<World['users']['stream']>) {
  const { sent, failed, byStatus } = await load.stop();
  expect({ failed, byStatus }).toEqual({ failed: [], byStatus: { 200: sent } });
}
