/** The ways to run a second version: a new one is a file, its tests, and a line here. */
import type { Log } from '../../app/ports/log.ts';
import type { Workload } from '../../app/ports/workload.ts';
import type { Target } from '../../core/plan.ts';
import type { Cluster } from './cluster.ts';
import { createInPlace } from './in-place.ts';
import { createTwin } from './twin.ts';
import { createVersioned } from './versioned.ts';

export const createWorkloads = (deps: {
  cluster: Cluster;
  log: Log;
}): Readonly<Record<Target['workload'], Workload>> => ({
  twin: createTwin(deps),
  versioned: createVersioned(deps),
  'in-place': createInPlace(deps),
});
