/** The parts of Gateway API's objects that Sluice reads: https://gateway-api.sigs.k8s.io/reference/spec/ */
import { z } from 'zod';
import { condition, metadata, of } from './kinds.ts';

const parentRef = z.looseObject({
  group: z.string().optional(),
  kind: z.string().optional(),
  namespace: z.string().optional(),
  name: z.string(),
  sectionName: z.string().optional(),
  port: z.number().optional(),
});
export type ParentRef = z.infer<typeof parentRef>;

const backendRef = z.looseObject({
  group: z.string().optional(),
  kind: z.string().optional(),
  namespace: z.string().optional(),
  name: z.string(),
  port: z.number().optional(),
  weight: z.number().optional(),
});
export type BackendRef = z.infer<typeof backendRef>;

const filter = z.looseObject({
  type: z.string(),
  requestMirror: z.looseObject({ backendRef, percent: z.number().optional() }).optional(),
});
export type Filter = z.infer<typeof filter>;

const valueMatches = z.array(z.looseObject({ type: z.string().optional(), name: z.string(), value: z.string() }));
const match = z.looseObject({
  path: z.looseObject({ type: z.string().optional(), value: z.string().optional() }).optional(),
  method: z.string().optional(),
  headers: valueMatches.optional(),
  queryParams: valueMatches.optional(),
});
export type Match = z.infer<typeof match>;

const rule = z.looseObject({
  name: z.string().optional(),
  matches: z.array(match).optional(),
  filters: z.array(filter).optional(),
  backendRefs: z.array(backendRef).optional(),
});
export type Rule = z.infer<typeof rule>;

/** Owned fields of one rule as they were before the claim; `sluice.dev/restore` of a route is a list of them. */
const journalEntry = z.object({ matches: z.array(match).optional(), backendRefs: z.array(backendRef) });
export type JournalEntry = z.infer<typeof journalEntry>;
export const journalSchema = z.array(journalEntry);

const httpRoute = z.looseObject({
  metadata,
  spec: z.looseObject({
    parentRefs: z.array(parentRef).optional(),
    hostnames: z.array(z.string()).optional(),
    rules: z.array(rule).optional(),
  }),
  status: z
    .looseObject({
      parents: z
        .array(z.looseObject({ parentRef, controllerName: z.string(), conditions: z.array(condition).optional() }))
        .optional(),
    })
    .optional(),
});
export type HTTPRoute = z.infer<typeof httpRoute>;

const gateway = z.looseObject({ metadata, spec: z.looseObject({ gatewayClassName: z.string() }) });

const gatewayClass = z.looseObject({
  metadata: metadata.extend({ namespace: z.string().default('') }),
  status: z
    .looseObject({
      // Names alone in Gateway API before 1.2.
      supportedFeatures: z
        .array(z.union([z.string(), z.looseObject({ name: z.string() }).transform(({ name }) => name)]))
        .optional(),
    })
    .optional(),
});

const referenceGrant = z.looseObject({
  metadata,
  spec: z.looseObject({
    from: z.array(z.looseObject({ group: z.string(), kind: z.string(), namespace: z.string() })),
    to: z.array(z.looseObject({ group: z.string(), kind: z.string(), name: z.string().optional() })),
  }),
});

/** The same object in both: v1beta1 was all there was before Gateway API 1.0. */
export const HTTP_ROUTE_VERSIONS = ['v1', 'v1beta1'] as const;
export const HTTPRoutes = of('HTTPRoute', 'gateway.networking.k8s.io/v1', 'httproutes', httpRoute);
export const Gateways = of('Gateway', 'gateway.networking.k8s.io/v1', 'gateways', gateway);
/** Of the whole cluster: reached with an empty namespace. */
export const GatewayClasses = of('GatewayClass', 'gateway.networking.k8s.io/v1', 'gatewayclasses', gatewayClass);
export const ReferenceGrants = of(
  'ReferenceGrant',
  'gateway.networking.k8s.io/v1beta1',
  'referencegrants',
  referenceGrant,
);
