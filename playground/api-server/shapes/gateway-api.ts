/** The whole of an HTTPRoute. */
import type { Json } from '../json.ts';
import { anything, closed, count, type Fields, list, name, oneOf, or, port, text } from './parts.ts';

const backend: Fields = {
  group: or('', text),
  kind: or('Service', name),
  name,
  namespace: name,
  port,
};

const headerChange = closed({
  set: list(closed({ name, value: name }, ['name', 'value']), 16),
  add: list(closed({ name, value: name }, ['name', 'value']), 16),
  remove: list(text, 16),
});

const rewrite = closed(
  { type: oneOf('ReplaceFullPath', 'ReplacePrefixMatch'), replaceFullPath: text, replacePrefixMatch: text },
  ['type'],
);

const filters = list(
  closed(
    {
      type: oneOf(
        'RequestHeaderModifier',
        'ResponseHeaderModifier',
        'RequestMirror',
        'RequestRedirect',
        'URLRewrite',
        'ExtensionRef',
        'CORS',
      ),
      requestHeaderModifier: headerChange,
      responseHeaderModifier: headerChange,
      requestMirror: closed(
        {
          backendRef: closed(backend, ['name']),
          percent: { type: 'integer', min: 0, max: 100 },
          fraction: closed({ numerator: count, denominator: or(100, { type: 'integer', min: 1 }) }, ['numerator']),
        },
        ['backendRef'],
      ),
      requestRedirect: closed({
        scheme: oneOf('http', 'https'),
        hostname: name,
        path: rewrite,
        port,
        statusCode: or(302, { type: 'integer' }),
      }),
      urlRewrite: closed({ hostname: name, path: rewrite }),
      extensionRef: closed({ group: text, kind: name, name }, ['group', 'kind', 'name']),
      cors: anything,
    },
    ['type'],
  ),
  16,
);

const everything: Json = { type: 'PathPrefix', value: '/' };
const valueMatch = closed({ type: or('Exact', oneOf('Exact', 'RegularExpression')), name, value: name }, [
  'name',
  'value',
]);

const match = closed({
  path: or(
    everything,
    closed({ type: or('PathPrefix', oneOf('Exact', 'PathPrefix', 'RegularExpression')), value: or('/', text) }),
  ),
  headers: list(valueMatch, 16),
  queryParams: list(valueMatch, 16),
  method: oneOf('GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH'),
});

const rule = closed({
  name,
  matches: or([{ path: everything }], list(match, 64)),
  filters,
  backendRefs: list(
    closed({ ...backend, weight: or(1, { type: 'integer', min: 0, max: 1_000_000 }), filters }, ['name']),
    16,
  ),
  timeouts: closed({ request: text, backendRequest: text }),
});

export const httpRoute = closed({
  parentRefs: list(
    closed(
      {
        group: or('gateway.networking.k8s.io', text),
        kind: or('Gateway', name),
        name,
        namespace: name,
        port,
        sectionName: name,
      },
      ['name'],
    ),
    32,
  ),
  hostnames: list(name, 16),
  rules: or([{ matches: [{ path: everything }] }], { type: 'array', items: rule, minItems: 1, maxItems: 16 }),
});
