/** What the real server fills in or refuses beyond the shape of a spec, by resource. */
import type { JsonObject } from '../json.ts';
import { checkAutoscaler, fillAutoscaler } from './autoscalers.ts';
import type { Check } from './causes.ts';
import { checkDeployment, fillStrategy } from './deployments.ts';
import { checkIngress } from './ingresses.ts';
import { checkRoute } from './routes.ts';
import { checkService, fillService } from './services.ts';

type Extra = {
  /** Defaults that depend on more than their own field. */
  readonly fill?: (spec: JsonObject, old: JsonObject | undefined) => JsonObject;
  readonly check: Check;
};

export const extras: Readonly<Record<string, Extra>> = {
  deployments: { fill: fillStrategy, check: checkDeployment },
  services: { fill: fillService, check: checkService },
  ingresses: { check: checkIngress },
  horizontalpodautoscalers: { fill: fillAutoscaler, check: checkAutoscaler },
  httproutes: { check: checkRoute },
};
