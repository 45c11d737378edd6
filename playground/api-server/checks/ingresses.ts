/** Refusals of Ingresses. */
import type { Cause } from '../errors.ts';
import type { Json, JsonObject } from '../json.ts';
import { asArray, asObject, type Check, invalidValue, required } from './causes.ts';

export const checkIngress: Check = (spec) => {
  if (asArray(spec.rules).length === 0 && spec.defaultBackend === undefined) {
    return [invalidValue('spec', {}, 'either `defaultBackend` or `rules` must be specified')];
  }
  const own =
    spec.defaultBackend === undefined ? [] : checkBackend(asObject(spec.defaultBackend), 'spec.defaultBackend');
  return [...own, ...asArray(spec.rules).flatMap((rule, index) => checkRule(asObject(rule), `spec.rules[${index}]`))];
};

const host = /^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

function checkRule(rule: JsonObject, path: string): readonly Cause[] {
  const isName = rule.host === undefined || rule.host === '' || host.test(String(rule.host));
  const named = isName ? [] : [invalidValue(`${path}.host`, rule.host, 'a lowercase RFC 1123 subdomain is required')];
  if (rule.http === undefined) return named;
  const paths = asArray(asObject(rule.http).paths);
  if (paths.length === 0) return [...named, required(`${path}.http.paths`)];
  return [...named, ...paths.flatMap((one, index) => checkPath(asObject(one), `${path}.http.paths[${index}]`))];
}

function checkPath({ path, pathType, backend }: JsonObject, at: string): readonly Cause[] {
  return [...checkPathText(path, pathType, `${at}.path`), ...checkBackend(asObject(backend), `${at}.backend`)];
}

function checkPathText(path: Json | undefined, pathType: Json | undefined, at: string): readonly Cause[] {
  const text = path ?? '';
  if (pathType === 'ImplementationSpecific' && text === '') return [];
  if (!String(text).startsWith('/')) return [invalidValue(at, text, 'must be an absolute path')];
  if (pathType === 'ImplementationSpecific') return [];
  const bad = ['//', '/./', '/../', '%2f', '%2F'].find((part) => String(text).includes(part));
  return bad === undefined ? [] : [invalidValue(at, text, `must not contain '${bad}'`)];
}

function checkBackend({ service, resource }: JsonObject, path: string): readonly Cause[] {
  if (service !== undefined && resource !== undefined) {
    return [invalidValue(path, '', 'cannot set both resource and service backends')];
  }
  if (resource !== undefined) return [];
  if (service === undefined) return [invalidValue(path, '', 'resource or service backend is required')];
  const { name, number } = asObject(asObject(service).port);
  if (name !== undefined && number !== undefined) {
    return [invalidValue(path, '', 'cannot set both port name & port number')];
  }
  return name === undefined && number === undefined ? [required(path, 'port name or number is required')] : [];
}
