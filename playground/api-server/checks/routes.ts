/** Rules of HTTPRoutes that span fields, in the words of the Gateway API. */
import type { Cause } from '../errors.ts';
import type { Json, JsonObject } from '../json.ts';
import { asArray, asObject, brokenRule, type Check } from './causes.ts';

export const checkRoute: Check = (spec) => {
  const rules = asArray(spec.rules).map(asObject);
  return [
    ...checkParents(asArray(spec.parentRefs).map(asObject)),
    ...checkMatches(rules),
    ...rules.flatMap((rule, index) => checkRule(rule, `spec.rules[${index}]`)),
  ];
};

function checkParents(parents: readonly JsonObject[]): readonly Cause[] {
  const key = ({ group, kind, name, namespace = '', sectionName = '', port = 0 }: JsonObject) =>
    JSON.stringify([group, kind, name, namespace, sectionName, port]);
  if (new Set(parents.map(key)).size === parents.length) return [];
  const why = 'sectionName must be unique when parentRefs includes 2 or more references to the same parent';
  return [brokenRule('spec.parentRefs', why)];
}

function checkMatches(rules: readonly JsonObject[]): readonly Cause[] {
  const total = rules.reduce((sum, { matches }) => sum + asArray(matches).length, 0);
  if (total <= 128) return [];
  const why = 'the total number of matches across all rules in a route must be less than 128';
  return [brokenRule('spec.rules', `While 16 rules and 64 matches per rule are allowed, ${why}`)];
}

function checkRule({ matches, filters, backendRefs }: JsonObject, path: string): readonly Cause[] {
  const backends = asArray(backendRefs).map(asObject);
  const redirects = asArray(filters).some((filter) => asObject(filter).requestRedirect !== undefined);
  return [
    ...(redirects && backends.length > 0
      ? [brokenRule(path, 'RequestRedirect filter must not be used together with backendRefs')]
      : []),
    ...asArray(matches).flatMap((match, index) => checkPath(asObject(match).path, `${path}.matches[${index}].path`)),
    ...checkFilters(filters, `${path}.filters`),
    ...backends.flatMap((backend, index) => [
      ...checkPort(backend, `${path}.backendRefs[${index}]`),
      ...checkFilters(backend.filters, `${path}.backendRefs[${index}].filters`),
    ]),
  ];
}

function checkPath(match: Json | undefined, path: string): readonly Cause[] {
  const { type, value } = asObject(match);
  if (type === 'RegularExpression' || String(value ?? '/').startsWith('/')) return [];
  return [
    brokenRule(path, "value must be an absolute path and start with '/' when type one of ['Exact', 'PathPrefix']"),
  ];
}

function checkPort({ group, kind, port }: JsonObject, path: string): readonly Cause[] {
  if (group !== '' || kind !== 'Service' || port !== undefined) return [];
  return [brokenRule(path, 'Must have port for Service reference')];
}

const fields: Readonly<Record<string, string>> = {
  RequestHeaderModifier: 'requestHeaderModifier',
  ResponseHeaderModifier: 'responseHeaderModifier',
  RequestMirror: 'requestMirror',
  RequestRedirect: 'requestRedirect',
  URLRewrite: 'urlRewrite',
  ExtensionRef: 'extensionRef',
  CORS: 'cors',
};
const repeatable = ['RequestMirror', 'ExtensionRef'];

function checkFilters(filters: Json | undefined, path: string): readonly Cause[] {
  const all = asArray(filters).map(asObject);
  const repeated = Object.keys(fields).filter(
    (type) => !repeatable.includes(type) && all.filter((filter) => filter.type === type).length > 1,
  );
  return [
    ...repeated.map((type) => brokenRule(path, `${type} filter cannot be repeated`)),
    ...all.flatMap((filter, index) => checkFilter(filter, `${path}[${index}]`)),
  ];
}

function checkFilter(filter: JsonObject, path: string): readonly Cause[] {
  const misplaced = Object.entries(fields).flatMap(([type, field]) => {
    if (filter.type === type && filter[field] === undefined) {
      return [brokenRule(path, `filter.${field} must be specified for ${type} filter.type`)];
    }
    if (filter.type === type || filter[field] === undefined) return [];
    return [brokenRule(path, `filter.${field} must be nil if the filter.type is not ${type}`)];
  });
  if (filter.requestMirror === undefined) return misplaced;
  return [...misplaced, ...checkMirror(asObject(filter.requestMirror), `${path}.requestMirror`)];
}

function checkMirror({ backendRef, percent, fraction }: JsonObject, path: string): readonly Cause[] {
  const { numerator, denominator } = asObject(fraction);
  return [
    ...checkPort(asObject(backendRef), `${path}.backendRef`),
    ...(percent !== undefined && fraction !== undefined
      ? [brokenRule(path, 'Only one of percent or fraction may be specified in HTTPRequestMirrorFilter')]
      : []),
    ...(fraction !== undefined && Number(numerator) > Number(denominator)
      ? [brokenRule(`${path}.fraction`, 'numerator must be less than or equal to denominator')]
      : []),
  ];
}
