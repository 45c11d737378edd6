/** Whether a service's cool-down is long enough for what happens at its end. */
import type { Service } from '../core/config.ts';
import { supportOf } from '../core/support.ts';
import type { WorkloadFacts } from './ports/workload.ts';

/**
 * Resource metrics are a minute old at worst, and looked at every 15 s; those of an adapter are rates over a minute or more
 * (docs/decisions/0011-autoscalers-see-late.md).
 */
const METRICS_LAG_MS = 120_000;

/** Istio gathers changes for up to 10 s before it tells its proxies (PILOT_DEBOUNCE_MAX); others are faster. */
const PROXIES_LAG_MS = 10_000;

export function coolDownWarnings(
  { name, coolDownMs, target }: Pick<Service, 'name' | 'coolDownMs' | 'target'>,
  { autoscaler }: Pick<WorkloadFacts, 'autoscaler'>,
): readonly string[] {
  const { router } = target.traffic;
  const seconds = `${coolDownMs / 1000} s (coolDown)`;
  return [
    ...(supportOf(target).unconfirmed && coolDownMs < PROXIES_LAG_MS
      ? [
          `The canary goes ${seconds} after the route sends nothing to it any more, and nothing says when ${router} has taken that: requests may fail. Set coolDown of service ${name} to 10s or more.`,
        ]
      : []),
    ...(autoscaler !== undefined && coolDownMs < METRICS_LAG_MS
      ? [
          `${autoscaler} gets its minReplicas back ${seconds} after stable has its traffic again. Its metrics may be older than that, and then it takes away pods that are busy: set coolDown of service ${name} to 2m or more.`,
        ]
      : []),
  ];
}
