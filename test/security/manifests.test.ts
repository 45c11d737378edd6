/** What the manifests of the bot grant and deny, read as files; a real API server takes them in test/e2e/manifests.e2e.ts. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';

type Port = { readonly port: number; readonly protocol: string };
type Peer = {
  readonly ipBlock?: { readonly cidr: string; readonly except?: readonly string[] };
  readonly namespaceSelector?: object;
};
type Policy = {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly podSelector: { readonly matchLabels?: object };
    readonly policyTypes: readonly string[];
    readonly ingress?: readonly { readonly from?: readonly Peer[]; readonly ports?: readonly Port[] }[];
    readonly egress?: readonly { readonly to?: readonly Peer[]; readonly ports?: readonly Port[] }[];
  };
};

const documents = (file: string) => parseAllDocuments(readFileSync(file, 'utf8')).map((one) => one.toJS());
const policies = (): Policy[] => documents('manifests/base/network-policy.yaml');

describe('the network of the bot', () => {
  it('is closed both ways for all of its namespace', () => {
    const deny = policies().find(({ metadata }) => metadata.name === 'deny');
    expect(deny?.spec).toEqual({ podSelector: {}, policyTypes: ['Ingress', 'Egress'] });
  });

  it('is open for what it needs, on named ports only', () => {
    const open = policies().find(({ metadata }) => metadata.name === 'sluice');
    const out = open?.spec.egress?.map(({ ports = [] }) => ports.map(({ port, protocol }) => `${port}/${protocol}`));
    expect(out).toEqual([['53/UDP', '53/TCP'], ['443/TCP', '6443/TCP'], ['6379/TCP', '6380/TCP'], ['9090/TCP']]);
    expect(open?.spec.ingress?.flatMap(({ ports = [] }) => ports)).toEqual([{ port: 3000, protocol: 'TCP' }]);
  });

  it('leaves out the addresses that give out credentials', () => {
    const blocks = policies()
      .flatMap(({ spec }) => spec.egress ?? [])
      .flatMap(({ to = [] }) => to)
      .flatMap(({ ipBlock }) => ipBlock ?? []);
    expect(blocks.map(({ except = [] }) => except)).toEqual([['169.254.0.0/16'], ['fe80::/10', 'fd00:ec2::254/128']]);
  });

  it('selects the pods of the Deployment', () => {
    const [deployment] = documents('manifests/base/deployment.yaml');
    const open = policies().find(({ metadata }) => metadata.name === 'sluice');
    expect(deployment.spec.template.metadata.labels).toMatchObject(
      open?.spec.podSelector.matchLabels ?? { none: true },
    );
  });

  it('lets smoke tests out to the namespaces of the example', () => {
    const [tests]: Policy[] = documents('manifests/examples/network-policy.yaml');
    const { services } = parse(readFileSync('manifests/examples/sluice.yaml', 'utf8'));
    const namespaces = Object.values<{ namespace: string }>(services).map(({ namespace }) => namespace);
    expect(JSON.stringify(tests?.spec.egress)).toContain(`"kubernetes.io/metadata.name":"${namespaces[0]}"`);
    expect(namespaces).toHaveLength(1);
  });
});

describe('the pod of the bot', () => {
  const [deployment] = documents('manifests/base/deployment.yaml');
  const { spec } = deployment.spec.template;
  const [container] = spec.containers;

  it('runs as nobody, can gain nothing and write nowhere', () => {
    expect(spec.securityContext).toMatchObject({ runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } });
    expect(container.securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
    expect(spec.volumes).toEqual([{ name: 'config', configMap: { name: 'sluice' } }]);
    expect([spec.hostNetwork, spec.hostPID, spec.hostIPC]).toEqual([undefined, undefined, undefined]);
  });

  it('has its secrets from a Secret, and none in the manifests', () => {
    expect(container.envFrom).toEqual([{ secretRef: { name: 'sluice' } }]);
    const files = readdirSync('manifests', { recursive: true, encoding: 'utf8' }).filter((name) =>
      /\.ya?ml$/.test(name),
    );
    const kinds = files.flatMap((name) => documents(join('manifests', name))).map((one) => one?.kind);
    expect(kinds).not.toContain('Secret');
  });
});

describe('the rights of the bot', () => {
  const [role] = documents('manifests/namespace/role.yaml');
  const rules: readonly { apiGroups: string[]; resources: string[]; verbs: string[] }[] = role.rules;

  it('are of one namespace, and name every group, resource and verb', () => {
    expect(role.kind).toBe('Role');
    for (const { apiGroups, resources, verbs } of rules)
      expect([...apiGroups, ...resources, ...verbs]).not.toContain('*');
  });

  it('never reach secrets, logs, pods as such, or rights', () => {
    const all = rules.flatMap(({ resources, verbs }) =>
      resources.flatMap((one) => verbs.map((verb) => `${verb} ${one}`)),
    );
    const bad =
      /secrets|configmaps|serviceaccounts|roles|rolebindings|pods\/|escalate|bind|impersonate|(create|patch|update|delete) pods/;
    expect(all.filter((one) => bad.test(one))).toEqual([]);
  });
});
