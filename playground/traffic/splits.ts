/** What Linkerd 2 follows beside HTTPRoutes: overrides of a ServiceProfile, and TrafficSplits of the SMI. */
import type { Decision, Weighted } from './decision.ts';
import { isHostOf, type MeshService, serviceOf } from './mesh-host.ts';
import type { Table } from './table.ts';

/** The profile of a Kubernetes Service is named after it: `world.hello.svc.cluster.local`. */
export function hasProfile(table: Table, apex: MeshService): boolean {
  return profileOf(table, apex) !== undefined;
}

export function followProfile(table: Table, apex: MeshService): Decision | null {
  const profile = profileOf(table, apex);
  const overrides = profile?.spec.dstOverrides ?? [];
  if (!profile || overrides.length === 0) return null;
  const backends = overrides.map(({ authority, weight }) => {
    const [host = '', port = String(apex.port)] = authority.split(':');
    const { namespace, name } = serviceOf(host, apex.namespace);
    return { namespace, name, port: Number(port), label: name, weight: amountOf(weight) };
  });
  return { kind: 'shared', by: profile, backends: reachable(table, backends), mirrors: [] };
}

export function followSplits(table: Table, apex: MeshService): Decision | null {
  const split = table.splits.find(
    ({ metadata, spec }) =>
      metadata.namespace === apex.namespace && isHostOf(spec.service, metadata.namespace ?? '', apex),
  );
  if (!split) return null;
  const { namespace, port } = apex;
  const backends = split.spec.backends.map(({ service, weight }) => {
    const { name } = serviceOf(service, namespace);
    return { namespace, name, port, label: name, weight: amountOf(weight) };
  });
  return { kind: 'shared', by: split, backends: reachable(table, backends), mirrors: [] };
}

function profileOf(table: Table, { namespace, name }: MeshService) {
  return table.profiles.find(({ metadata }) => metadata.name.startsWith(`${name}.${namespace}.svc`));
}

/** A backend without the port of the apex silently gets no traffic. */
function reachable(table: Table, backends: readonly Weighted[]): readonly Weighted[] {
  return backends.filter(({ namespace, name, port }) => table.endpoints(namespace, name, port) !== null);
}

/** `500m` is a half. */
function amountOf(weight: number | string): number {
  if (typeof weight === 'number') return weight;
  return weight.endsWith('m') ? Number.parseFloat(weight) / 1000 : Number.parseFloat(weight);
}
