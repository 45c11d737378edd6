/** How a container behaves, read from the tag of its image: `v2`, `v2-err20`, `v2-slow800`. */
import { setTimeout as sleep } from 'node:timers/promises';

export type Behaviour = {
  readonly image: string;
  /** The whole tag. */
  readonly version: string;
  /** 0 to 100 */
  readonly failPercent: number;
  readonly slowMs: number;
};

export type Answer = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
};

export function behaviourOf(image: string): Behaviour {
  const version = image.slice(image.lastIndexOf(':') + 1);
  const number = (pattern: RegExp) => Number(pattern.exec(version)?.[1] ?? 0);
  return { image, version, failPercent: number(/-err(\d+)/), slowMs: number(/-slow(\d+)/) };
}

/** 2 to 10 ms, and as its tag says. Its health does not show what its users see. */
export async function behave(
  { image, version, failPercent, slowMs }: Behaviour,
  pod: string,
  path: string,
): Promise<Answer> {
  await sleep(2 + Math.random() * 8 + slowMs);
  const status = path !== '/healthz' && Math.random() * 100 < failPercent ? 500 : 200;
  return {
    status,
    headers: { 'content-type': 'application/json', 'x-version': version },
    body: JSON.stringify({ pod, version, image, path, status }),
  };
}
