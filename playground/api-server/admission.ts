/** What happens to an object on its way into the store: defaults, then the checks that the real server makes. */
import { type Cause, invalid } from './errors.ts';
import { isArray, isEqual, isObject, type Json, type JsonObject } from './json.ts';
import type { Kind } from './kinds.ts';
import type { KubeObject, Labels, NewObject } from './objects.ts';
import { applyShape } from './shape.ts';
import { specShapes } from './shapes.ts';

/** Returns the object with its defaults, or throws a 422 that names the fields. `old`: what it replaces. */
export function admit<T extends NewObject>(kind: Kind, object: T, old?: KubeObject): T {
  const shape = specShapes[kind.plural];
  const { name } = object.metadata;
  const causes = [...checkName(name), ...checkMeta(object)];
  if (!shape || object.spec === undefined) {
    if (shape) causes.push(required('spec'));
    if (causes.length > 0) throw invalid(kind, name, causes);
    return object;
  }
  const shaped = applyShape(shape, object.spec, 'spec');
  causes.push(...shaped.causes);
  if (causes.length > 0 || !isObject(shaped.value)) throw invalid(kind, name, causes);
  const spec = extras[kind.plural]?.fill?.(shaped.value, old?.spec) ?? shaped.value;
  const refused = extras[kind.plural]?.check(spec, old?.spec) ?? [];
  if (refused.length > 0) throw invalid(kind, name, refused);
  return { ...object, spec: kind.custom ? sortKeys(spec) : spec };
}

type Extra = {
  /** Defaults that depend on more than their own field. */
  readonly fill?: (spec: JsonObject, old: JsonObject | undefined) => JsonObject;
  readonly check: (spec: JsonObject, old: JsonObject | undefined) => readonly Cause[];
};

const extras: Readonly<Record<string, Extra>> = {
  deployments: { fill: fillStrategy, check: checkDeployment },
  services: { fill: fillService, check: checkService },
  httproutes: { check: checkBackendPorts },
};

function fillStrategy(spec: JsonObject): JsonObject {
  const strategy = asObject(spec.strategy);
  if (strategy.type !== 'RollingUpdate') return spec;
  const rollingUpdate = { maxUnavailable: '25%', maxSurge: '25%', ...asObject(strategy.rollingUpdate) };
  return { ...spec, strategy: { ...strategy, rollingUpdate } };
}

function checkDeployment(spec: JsonObject, old: JsonObject | undefined): readonly Cause[] {
  const selector = asObject(asObject(spec.selector).matchLabels);
  const labels = asObject(asObject(asObject(spec.template).metadata).labels);
  const matches = Object.entries(selector).every(([key, value]) => labels[key] === value);
  if (!matches) {
    const message = `Invalid value: ${JSON.stringify(labels)}: \`selector\` does not match template \`labels\``;
    return [invalidValue('spec.template.metadata.labels', message)];
  }
  if (old && !isEqual(old.selector, spec.selector)) {
    return [invalidValue('spec.selector', `Invalid value: ${JSON.stringify(spec.selector)}: field is immutable`)];
  }
  return [];
}

let lastClusterIp = 0;

function fillService(spec: JsonObject, old: JsonObject | undefined): JsonObject {
  const ports = asArray(spec.ports).map((port) => ({ targetPort: asObject(port).port, ...asObject(port) }));
  const clusterIP = spec.clusterIP ?? old?.clusterIP ?? `10.96.${++lastClusterIp >> 8}.${lastClusterIp & 255}`;
  return { ...spec, ports, clusterIP, clusterIPs: [clusterIP] };
}

function checkService(spec: JsonObject, old: JsonObject | undefined): readonly Cause[] {
  if (old && old.clusterIP !== spec.clusterIP) {
    return [invalidValue('spec.clusterIPs[0]', `Invalid value: ["${spec.clusterIP}"]: may not change once set`)];
  }
  const ports = asArray(spec.ports);
  if (ports.length === 0 && spec.clusterIP !== 'None') return [required('spec.ports')];
  if (ports.length === 1) return [];
  return ports.flatMap((port, index) => (asObject(port).name ? [] : [required(`spec.ports[${index}].name`)]));
}

function checkBackendPorts(spec: JsonObject): readonly Cause[] {
  return asArray(spec.rules).flatMap((rule, r) =>
    asArray(asObject(rule).backendRefs).flatMap((backend, b) => {
      const { group, kind, port } = asObject(backend);
      if (group !== '' || kind !== 'Service' || port !== undefined) return [];
      return [
        invalidValue(`spec.rules[${r}].backendRefs[${b}]`, 'Invalid value: Must have port for Service reference'),
      ];
    }),
  );
}

const dnsName = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

function checkName(name: string): readonly Cause[] {
  if (!name) return [required('metadata.name', 'name or generateName is required')];
  if (dnsName.test(name) && name.length <= 253) return [];
  const rule = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.'";
  return [invalidValue('metadata.name', `Invalid value: "${name}": ${rule}`)];
}

function checkMeta({ metadata }: NewObject): readonly Cause[] {
  return (['labels', 'annotations'] as const).flatMap((field) =>
    Object.entries<unknown>(metadata[field] ?? {})
      .filter(([, value]) => typeof value !== 'string')
      .map(([key, value]) =>
        invalidValue(`metadata.${field}`, `Invalid value: ${JSON.stringify(value)}: "${key}" is not a string`),
      ),
  );
}

/** Null values of labels and annotations read back as empty strings, and empty maps not at all. */
export function cleanLabels(labels: Labels | undefined): Labels | undefined {
  const entries = Object.entries<string | null>(labels ?? {}).map(([key, value]) => [key, value ?? ''] as const);
  return entries.length > 0 ? Object.fromEntries(entries) : undefined;
}

function sortKeys(value: JsonObject): JsonObject {
  const sorted = (item: Json | undefined): Json => {
    if (isArray(item)) return item.map(sorted);
    return isObject(item) ? sortKeys(item) : (item ?? null);
  };
  const keys = Object.keys(value).sort();
  return Object.fromEntries(keys.filter((key) => value[key] !== undefined).map((key) => [key, sorted(value[key])]));
}

function invalidValue(field: string, message: string): Cause {
  return { field, reason: 'FieldValueInvalid', message };
}

function required(field: string, why = ''): Cause {
  return { field, reason: 'FieldValueRequired', message: why ? `Required value: ${why}` : 'Required value' };
}

function asObject(value: Json | undefined): JsonObject {
  return isObject(value) ? value : {};
}

function asArray(value: Json | undefined): readonly Json[] {
  return isArray(value) ? value : [];
}
