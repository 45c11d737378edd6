/** How kinds of Kubernetes objects are named, reached and read, and what all of them have. */
import { z } from 'zod';

export const strings = z.record(z.string(), z.string());

export const metadata = z.looseObject({
  name: z.string(),
  namespace: z.string(),
  uid: z.string(),
  resourceVersion: z.string(),
  generation: z.number().optional(),
  creationTimestamp: z.string().nullish(),
  labels: strings.optional(),
  annotations: strings.optional(),
  ownerReferences: z
    .array(
      z.looseObject({
        apiVersion: z.string(),
        kind: z.string(),
        name: z.string(),
        uid: z.string().optional(),
        controller: z.boolean().optional(),
      }),
    )
    .optional(),
});
export const held = z.looseObject({ metadata });
export type Held = z.infer<typeof held>;

/** What every object has, whatever else it is. */
const head = z.object({
  metadata: z.object({ name: z.string(), namespace: z.string().default(''), resourceVersion: z.string() }),
});
/** undefined: it is no object at all. */
export const headOf = (object: unknown) => head.safeParse(object).data?.metadata;

/** Where a watch stands. */
export const bookmarkSchema = z.object({
  metadata: z.object({ resourceVersion: z.string(), annotations: strings.optional() }),
});

export const condition = z.looseObject({
  type: z.string(),
  status: z.string(),
  reason: z.string().optional(),
  message: z.string().optional(),
  observedGeneration: z.number().optional(),
  lastTransitionTime: z.string().nullish(),
});
export type Condition = z.infer<typeof condition>;

/** How a kind of object is reached and read. */
export type Kind<T extends Held = Held> = {
  readonly kind: string;
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly schema: z.ZodType<T>;
};

export const of = <T extends Held>(kind: string, apiVersion: string, plural: string, schema: z.ZodType<T>): Kind<T> => {
  const [version = '', group = ''] = apiVersion.split('/').reverse();
  return { kind, group, version, plural, schema };
};

export const apiVersion = (kind: Pick<Kind, 'group' | 'version'>) =>
  kind.group ? `${kind.group}/${kind.version}` : kind.version;

/** `/apis/apps/v1/namespaces/hello/deployments/world`; without a name the collection, without a namespace the cluster's. */
export function pathOf(kind: Kind, namespace: string, name?: string): string {
  const root = kind.group ? `/apis/${apiVersion(kind)}` : `/api/${kind.version}`;
  const place = namespace === '' ? root : `${root}/namespaces/${encodeURIComponent(namespace)}`;
  const collection = `${place}/${kind.plural}`;
  return name === undefined ? collection : `${collection}/${encodeURIComponent(name)}`;
}

/** An answer as its kind is read; throws, with the object's name, where it has another shape. */
export function read<T extends Held>(kind: Kind<T>, object: unknown): T {
  const parsed = kind.schema.safeParse(object);
  if (parsed.success) return parsed.data;
  const ref = headOf(object);
  const [issue] = parsed.error.issues;
  const wrong = issue ? `${issue.path.join('.')}: ${issue.message}` : parsed.error.message;
  throw new Error(`${ref ? nameOf(kind, ref) : kind.kind} cannot be read (${wrong}): correct or delete it`);
}

export type Ref = { readonly namespace: string; readonly name: string };
/** From `namespace/name`. */
export function refOf(object: string): Ref {
  const [namespace = '', name = ''] = object.split('/');
  return { namespace, name };
}
/** How an object is called in sentences: `HTTPRoute hello/world`. */
export const nameOf = (kind: Pick<Kind, 'kind'>, ref: Ref) =>
  `${kind.kind} ${ref.namespace === '' ? '' : `${ref.namespace}/`}${ref.name}`;
