/** The answers that describe the server itself: versions, groups and resources. */
import type { JsonObject } from './json.ts';
import { allKinds, type Kind } from './kinds.ts';
import type { Served } from './served.ts';

/** null: not such a path. */
export function describeServer(served: Served, path: string): JsonObject | string | null {
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
      return { kind: 'APIGroupList', apiVersion: 'v1', groups: groupNames().flatMap((name) => groupOf(served, name)) };
    default: {
      const [root, first = '', second, ...more] = path.split('/').filter((part) => part !== '');
      if (more.length > 0) return null;
      if (root === 'api') return second === undefined ? resourcesOf(served, '', first) : null;
      if (root !== 'apis') return null;
      if (second !== undefined) return resourcesOf(served, first, second);
      return groupOf(served, first).map((group) => ({ kind: 'APIGroup', apiVersion: 'v1', ...group }))[0] ?? null;
    }
  }
}

function groupNames(): readonly string[] {
  return [...new Set(allKinds.map(({ group }) => group))].filter((group) => group !== '');
}

/** Nothing where no version of the group is served. */
function groupOf(served: Served, name: string): readonly JsonObject[] {
  const versions = served.versionsIn(name).map((version) => ({ groupVersion: `${name}/${version}`, version }));
  const [preferredVersion] = versions;
  return name !== '' && preferredVersion ? [{ name, versions, preferredVersion }] : [];
}

function resourcesOf(served: Served, group: string, version: string): JsonObject | null {
  const found = served.kindsIn(group, version);
  if (found.length === 0) return null;
  const groupVersion = group ? `${group}/${version}` : version;
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
