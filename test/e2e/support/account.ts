/** The bot's own ServiceAccount, with exactly the rights of the manifests: what it may not do here, it may not do anywhere. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse, parseAllDocuments } from 'yaml';
import type { Kube } from './kube.ts';

export type Manifest = {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly [field: string]: unknown;
};
export type Rule = {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
};

const RBAC = '/apis/rbac.authorization.k8s.io/v1/namespaces';

/** What `kubectl apply -k <folder>` would apply. */
export function readManifests(folder: string): readonly Manifest[] {
  const text = execFileSync('kubectl', ['kustomize', folder], { encoding: 'utf8' });
  return parseAllDocuments(text).map((document) => document.toJS());
}

/** Rules of the Role for one namespace. */
export function roleRules(): readonly Rule[] {
  const role = readManifests('manifests/namespace').find(({ kind }) => kind === 'Role');
  if (!role) throw new Error('manifests/namespace has a Role');
  return role.rules as readonly Rule[];
}

export type Account = Awaited<ReturnType<typeof createAccount>>;

/** A ServiceAccount in `home`, bound to the Role of the manifests, and `more`, in each of `namespaces`. */
export async function createAccount(
  kube: Kube,
  home: string,
  namespaces: readonly string[],
  more: readonly Rule[] = [],
) {
  const name = 'sluice';
  await kube.create(`/api/v1/namespaces/${home}/serviceaccounts`, { metadata: { name } });
  for (const namespace of namespaces) {
    await kube.create(`${RBAC}/${namespace}/roles`, { metadata: { name }, rules: [...roleRules(), ...more] });
    await kube.create(`${RBAC}/${namespace}/rolebindings`, {
      metadata: { name },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name },
      subjects: [{ kind: 'ServiceAccount', name, namespace: home }],
    });
  }
  const folder = mkdtempSync(join(tmpdir(), 'sluice-e2e-account-'));
  const kubeconfig = join(folder, 'kubeconfig');
  writeFileSync(kubeconfig, await kubeconfigFor(kube, home, name), { mode: 0o600 });
  return {
    kubeconfig,
    /** Replaces the Role's rules in a namespace. */
    allow: (namespace: string, rules: readonly Rule[]) =>
      kube.jsonPatch(`${RBAC}/${namespace}/roles/${name}`, [{ op: 'replace', path: '/rules', value: rules }]),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** Our own kubeconfig, with a token of the account in place of our credentials. */
async function kubeconfigFor(kube: Kube, home: string, name: string): Promise<string> {
  const { status } = await kube.create(`/api/v1/namespaces/${home}/serviceaccounts/${name}/token`, {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    spec: { expirationSeconds: 3600 },
  });
  const own = parse(readFileSync(process.env.KUBECONFIG ?? '', 'utf8'));
  const users = own.users.map((user: { readonly name: string }) => ({
    name: user.name,
    user: { token: status.token },
  }));
  return JSON.stringify({ ...own, users });
}
