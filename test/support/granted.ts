/** What the manifests grant, one line of a Role after the other. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';

type Role = {
  readonly kind: string;
  readonly rules?: readonly {
    readonly apiGroups: readonly string[];
    readonly resources: readonly string[];
    readonly verbs: readonly string[];
  }[];
};

/** Of all Roles below a folder; ClusterRoles are left out. */
export function grantedIn(folder: string) {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.yaml'));
  return files
    .flatMap((name) => parseAllDocuments(readFileSync(join(folder, name), 'utf8')))
    .map((document): Role | null => document.toJS())
    .filter((role) => role?.kind === 'Role')
    .flatMap((role) => role?.rules ?? [])
    .flatMap(({ apiGroups: [group = ''], resources, verbs }) =>
      resources.flatMap((plural) => verbs.map((verb) => ({ verb, plural, group }))),
    );
}
