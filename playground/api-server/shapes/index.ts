/** Shapes of the kinds whose defaults or validation Sluice meets. HTTPRoute is whole; most of the built-in kinds stays open. */
import type { Kind } from '../kinds.ts';
import type { Shape } from '../shape.ts';
import { httpRoute } from './gateway-api.ts';
import { ingress } from './ingress.ts';
import { destinationRule, virtualService } from './istio.ts';
import { count, list, name, open, or, text } from './parts.ts';
import { serviceProfile, trafficSplits } from './splits.ts';
import { autoscaler, deployment, podSpec, service, template } from './workloads.ts';

const shapes: Readonly<Record<string, Shape>> = {
  httproutes: httpRoute,
  virtualservices: virtualService,
  destinationrules: destinationRule,
  serviceprofiles: serviceProfile,
  ingresses: ingress,
  deployments: deployment,
  replicasets: open({ replicas: or(1, count), template }),
  pods: podSpec,
  services: service,
  horizontalpodautoscalers: autoscaler,
  scaledobjects: open({ scaleTargetRef: open({ name }, ['name']), triggers: list(open({ type: text }, ['type'])) }, [
    'scaleTargetRef',
    'triggers',
  ]),
  networkpolicies: open({ policyTypes: or(['Ingress'], list(text)) }),
};

/** Shape of `spec` in a version of the kind; undefined: it takes what it is given. */
export function shapeOf({ plural }: Kind, version: string): Shape | undefined {
  return plural === 'trafficsplits' ? trafficSplits[version] : shapes[plural];
}
