/** VirtualServices and DestinationRules, as a sidecar of Istio follows them for a request within the mesh. */
import type {
  IstioDestination,
  IstioMatch,
  IstioRoute,
  TextMatch,
  VirtualService,
} from '../api-server/traffic-objects.ts';
import { answered, type Backend, type Decision } from './decision.ts';
import type { HttpRequest } from './matching.ts';
import type { MeshService } from './mesh-host.ts';
import { isHostOf, serviceOf } from './mesh-host.ts';
import { fitsWhole } from './patterns.ts';
import type { Table } from './table.ts';

/** null: no VirtualService speaks of this host. */
export function followVirtualServices(table: Table, apex: MeshService, request: HttpRequest): Decision | null {
  const found = table.virtualServices.find(
    ({ metadata, spec }) =>
      (spec.gateways ?? ['mesh']).includes('mesh') &&
      (spec.hosts ?? []).some((host) => isHostOf(host, metadata.namespace ?? '', apex)),
  );
  if (!found) return null;
  const chosen = firstMatch(table, found, apex, request);
  if (!chosen) return answered(404, 'no route of the VirtualService matches');
  const { route, from } = chosen;
  const to = (destination: IstioDestination) => backendOf(table, destination, from, apex);
  const routes = route.route ?? [];
  if (routes.length === 0) return answered(404, 'the route of the VirtualService has no destination');
  return {
    kind: 'shared',
    by: route,
    backends: routes.map(({ destination, weight = routes.length === 1 ? 100 : 0 }) => ({ ...to(destination), weight })),
    mirrors: mirrorsOf(route).map(({ destination, share }) => ({ ...to(destination), share })),
  };
}

type Match = { readonly route: IstioRoute; readonly from: string };

/** The first route that matches, in order; one that delegates goes on in the other VirtualService. */
function firstMatch(table: Table, virtual: VirtualService, apex: MeshService, request: HttpRequest): Match | null {
  const from = virtual.metadata.namespace ?? '';
  for (const route of virtual.spec.http ?? []) {
    if (route.match && !route.match.some((match) => fits(match, apex, request))) continue;
    if (!route.delegate) return { route, from };
    const { name, namespace = from } = route.delegate;
    const delegate = table.virtualServices.find(
      ({ metadata, spec }) => metadata.name === name && metadata.namespace === namespace && !spec.hosts?.length,
    );
    const found = delegate && firstMatch(table, delegate, apex, request);
    if (found) return found;
  }
  return null;
}

function fits(match: IstioMatch, apex: MeshService, { host, method, path, headers, query }: HttpRequest): boolean {
  const { uri, headers: wanted = {}, withoutHeaders = {}, queryParams = {}, port } = match;
  const header = (name: string) => headers[name.toLowerCase()]?.toString();
  const lower = (text: string) => (match.ignoreUriCase ? text.toLowerCase() : text);
  const uriWanted = uri && {
    ...(uri.exact !== undefined && { exact: lower(uri.exact) }),
    ...(uri.prefix !== undefined && { prefix: lower(uri.prefix) }),
    ...(uri.regex !== undefined && { regex: uri.regex }),
  };
  return (
    (uriWanted === undefined || fitsText(uriWanted, lower(path))) &&
    (match.method === undefined || fitsText(match.method, method)) &&
    (match.authority === undefined || fitsText(match.authority, host)) &&
    (port === undefined || port === apex.port) &&
    Object.entries(wanted).every(([name, text]) => fitsText(text, header(name))) &&
    Object.entries(withoutHeaders).every(([name, text]) => !fitsText(text, header(name))) &&
    Object.entries(queryParams).every(([name, text]) => fitsText(text, query.get(name) ?? undefined))
  );
}

function fitsText({ exact, prefix, regex }: TextMatch, text: string | undefined): boolean {
  if (text === undefined) return false;
  if (exact !== undefined) return text === exact;
  if (prefix !== undefined) return text.startsWith(prefix);
  return regex === undefined || fitsWhole(regex, text);
}

function mirrorsOf({ mirror, mirrorPercentage, mirrors = [] }: IstioRoute) {
  const share = (percentage: IstioRoute['mirrorPercentage']) => (percentage ? (percentage.value ?? 0) : 100) / 100;
  const first = mirror ? [{ destination: mirror, share: share(mirrorPercentage) }] : [];
  return [...first, ...mirrors.map(({ destination, percentage }) => ({ destination, share: share(percentage) }))];
}

function backendOf(table: Table, { host, subset, port }: IstioDestination, from: string, apex: MeshService): Backend {
  const { namespace, name } = serviceOf(host, from);
  const ports = table.service(namespace, name)?.spec.ports ?? [];
  const [only] = ports;
  const backend = {
    namespace,
    name,
    port: port?.number ?? (ports.length === 1 && only ? only.port : apex.port),
    label: subset === undefined ? name : `${name}/${subset}`,
  };
  if (subset === undefined) return backend;
  const rules = table.destinationRules.filter(({ metadata, spec }) =>
    isHostOf(spec.host, metadata.namespace ?? '', { namespace, name }),
  );
  const found = rules.flatMap(({ spec }) => spec.subsets ?? []).find((one) => one.name === subset);
  return { ...backend, subset: found ? (found.labels ?? {}) : null };
}
