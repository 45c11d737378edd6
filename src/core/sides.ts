/** What stands for stable and canary while a rollout runs. */
import type { Target } from './plan.ts';

/** Names of Kubernetes Services; the canary's is its Deployment's too. */
export type Sides = {
  readonly stable: string;
  readonly canary: string;
  /** Stable's stays where the rollout ends: it was not made for it. */
  readonly keepsStable?: true;
};

export const sidesOf = ({ deployment, versioned }: Pick<Target, 'deployment' | 'versioned'>): Sides =>
  versioned
    ? { stable: deployment, canary: versioned.canary, keepsStable: true }
    : { stable: `${deployment}-stable`, canary: `${deployment}-canary` };

/** Whether a Kubernetes Service is there for the rollout alone, so that nothing of it may be left behind. */
export const isForRollout = (name: string, { stable, canary, keepsStable }: Sides): boolean =>
  name === canary || (name === stable && keepsStable !== true);
