/** Defaults and refusals of Deployments that depend on more than one field. */
import type { Cause } from '../errors.ts';
import { isEqual, type Json, type JsonObject } from '../json.ts';
import { asObject, type Check, forbiddenField, invalidValue } from './causes.ts';

export function fillStrategy(spec: JsonObject): JsonObject {
  const strategy = asObject(spec.strategy);
  if (strategy.type !== 'RollingUpdate') return spec;
  const rollingUpdate = { maxUnavailable: '25%', maxSurge: '25%', ...asObject(strategy.rollingUpdate) };
  return { ...spec, strategy: { ...strategy, rollingUpdate } };
}

export const checkDeployment: Check = (spec, old) => {
  const selector = asObject(asObject(spec.selector).matchLabels);
  const labels = asObject(asObject(asObject(spec.template).metadata).labels);
  const matches = Object.entries(selector).every(([key, value]) => labels[key] === value);
  const causes: Cause[] = [...checkStrategy(asObject(spec.strategy)), ...checkDeadline(spec)];
  if (!matches) {
    const why = '`selector` does not match template `labels`';
    causes.push(invalidValue('spec.template.metadata.labels', labels, why));
  } else if (old && !isEqual(old.selector, spec.selector)) {
    causes.push(invalidValue('spec.selector', spec.selector, 'field is immutable'));
  }
  return causes;
};

function checkStrategy({ type, rollingUpdate }: JsonObject): readonly Cause[] {
  const path = 'spec.strategy.rollingUpdate';
  if (type === 'Recreate') {
    const why = "may not be specified when strategy `type` is 'Recreate'";
    return rollingUpdate === undefined ? [] : [forbiddenField(path, why)];
  }
  const { maxSurge, maxUnavailable } = asObject(rollingUpdate);
  const malformed = Object.entries({ maxSurge, maxUnavailable }).flatMap(([field, value]) =>
    checkAmount(`${path}.${field}`, value),
  );
  if (malformed.length > 0) return malformed;
  if (amount(maxUnavailable) > 100 && typeof maxUnavailable === 'string') {
    return [invalidValue(`${path}.maxUnavailable`, maxUnavailable, 'must not be greater than 100%')];
  }
  if (amount(maxSurge) > 0 || amount(maxUnavailable) > 0) return [];
  return [invalidValue(`${path}.maxUnavailable`, maxUnavailable, 'may not be 0 when `maxSurge` is 0')];
}

function checkAmount(field: string, value: Json | undefined): readonly Cause[] {
  if (typeof value === 'number') {
    return value >= 0 ? [] : [invalidValue(field, value, 'must be greater than or equal to 0')];
  }
  if (typeof value === 'string' && /^\d+%$/.test(value)) return [];
  return [invalidValue(field, value, "a valid percent string must be a numeric string followed by an ending '%'")];
}

function amount(value: Json | undefined): number {
  return Number.parseFloat(String(value));
}

function checkDeadline({ progressDeadlineSeconds = 600, minReadySeconds = 0 }: JsonObject): readonly Cause[] {
  if (Number(progressDeadlineSeconds) > Number(minReadySeconds)) return [];
  const why = 'must be greater than minReadySeconds';
  return [invalidValue('spec.progressDeadlineSeconds', progressDeadlineSeconds, why)];
}
