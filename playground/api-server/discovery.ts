/** The answers that describe the server itself: versions, groups and resources. */
import type { JsonObject } from './json.ts';
import { allKinds, apiVersionOf, type Kind } from './kinds.ts';

/** null: not such a path. */
export function describeServer(path: string): JsonObject | string | null {
  switch (path) {
    case '/version':
      return { major: '1', minor: '36', gitVersion: 'v1.36.0-playground', platform: 'playground' };
    case '/readyz':
    case '/livez':
    case '/healthz':
      return 'ok';
    case '/api':
      return { kind: 'APIVersions', versions: ['v1'] };
    case '/apis':
      return { kind: 'APIGroupList', apiVersion: 'v1', groups: groups() };
    default:
      return resourcesOf(path);
  }
}

function groups(): readonly JsonObject[] {
  const named = allKinds.filter(({ group }) => group !== '');
  return [...Map.groupBy(named, ({ group }) => group)].map(([name, members]) => {
    const versions = [...new Set(members.map(apiVersionOf))].map((groupVersion) => ({
      groupVersion,
      version: groupVersion.split('/').at(-1),
    }));
    return { name, versions, preferredVersion: versions[0] };
  });
}

function resourcesOf(path: string): JsonObject | null {
  const groupVersion = /^\/(?:api|apis)\/(.+?)\/?$/.exec(path)?.[1];
  const found = allKinds.filter((kind) => apiVersionOf(kind) === groupVersion);
  if (!groupVersion || found.length === 0) return null;
  return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion, resources: found.flatMap(describe) };
}

function describe({ plural, kind, namespaced, subresources }: Kind): readonly JsonObject[] {
  const verbs = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'];
  return [
    { name: plural, singularName: kind.toLowerCase(), namespaced, kind, verbs },
    ...subresources.map((name) => ({
      name: `${plural}/${name}`,
      singularName: '',
      namespaced,
      kind: name === 'scale' ? 'Scale' : kind,
      verbs: ['get', 'patch', 'update'],
    })),
  ];
}
