/**
 * Router `kubernetes` with the workload `in-place`: users reach whatever pods the Deployment has, so the share follows them.
 * The Kubernetes Service only carries the marks and the weight that its pods were given last; nothing of its spec is written.
 */
import { isDeepStrictEqual } from 'node:util';
import type { TrafficRouter } from '../../app/ports/router.ts';
import { STABLE_ROUTE } from '../../core/plan.ts';
import { IN_PLACE_SUPPORT } from '../../core/support.ts';
import { readJournal } from '../kubernetes/in-place-fields.ts';
import { nameOf } from '../kubernetes/kinds.ts';
import { isOurs, readRouteMark } from '../kubernetes/marks.ts';
import { Deployments, type Service, Services } from '../kubernetes/objects.ts';
import { deploymentOf, findServing } from '../kubernetes/serving.ts';
import type { Dialect, RouterDeps } from './dialect.ts';
import { routedService } from './kubernetes.ts';
import { lastRoute } from './object-intents.ts';
import { createObjectRouter } from './object-router.ts';

/** There is nothing to give back; it only tells a claimed Kubernetes Service from one that lost its marks. */
type Journal = { readonly service: string };
const EMPTY: Journal = { service: '' };

export function createPodsRouter(deps: RouterDeps): TrafficRouter {
  const { cluster } = deps;
  return createObjectRouter<Service, Journal>(deps, {
    supports: IN_PLACE_SUPPORT,
    kind: async () => Services,
    refs: (target) => [routedService(target)],
    isRoute: (object) => !isOurs(object),
    async look(_, target, [service = null]) {
      const subject = nameOf(Services, routedService(target));
      const absent = `${subject} does not exist: name an existing one in traffic.service of service ${target.service}.`;
      const serving = service && (await findServing(cluster, target));
      const refusals = !service ? [absent] : serving && !serving.ok ? [serving.refusal] : [];
      return { refusals, warnings: [], several: [] };
    },
    async dialect(target) {
      const deployment = await cluster.view(Deployments, target.namespace).get(deploymentOf(target).name);
      const journal = deployment && readJournal(deployment);
      return dialectOf(journal !== null && !isDeepStrictEqual(deployment?.spec.template, journal.template));
    },
  });
}

/** `hasRolled`: the Deployment has been given the new template. */
function dialectOf(hasRolled: boolean): Dialect<Service, Journal> {
  return {
    parse(restore) {
      const found: unknown = restore === null ? null : parse(restore);
      const isJournal = typeof found === 'object' && found !== null && 'service' in found;
      return isJournal ? { service: String(found.service) } : EMPTY;
    },
    isEmpty: ({ service }) => service === '',
    take: ({ metadata }) => ({ service: metadata.name }),
    say: () => [],
    restore: () => [],
    // Between the first new pod and the first note nobody knows the share.
    read: (object) => (hasRolled && readRouteMark(object) === null ? null : (lastRoute(object) ?? STABLE_ROUTE)),
    shows: () => true,
    isRestored: (object) => lastRoute(object) === null,
    missing: () => null,
    canSay: () => true,
    describe: () => 'its notes were changed',
    words: {
      nothing: 'it cannot be claimed',
      mend: 'abort',
      undo: 'still carries a note of a share: take its annotation sluice.dev/route off',
    },
  };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
