/** Ingresses of ingress-nginx, with the annotations that make one the canary of another. */
import type { Ingress, IngressBackend, IngressPath } from '../api-server/traffic-objects.ts';
import { answered, type Backend, type Decision } from './decision.ts';
import type { HttpRequest } from './matching.ts';
import { fitsPart } from './patterns.ts';
import type { Table } from './table.ts';

type Location = {
  readonly ingress: Ingress;
  readonly host: string;
  readonly path: string;
  readonly pathType: IngressPath['pathType'];
  readonly backend: Backend;
};

/** null: no Ingress has this host and path. `prefix`: of the annotations, `nginx.ingress.kubernetes.io`. */
export function followIngresses(table: Table, prefix: string, request: HttpRequest): Decision | null {
  const all = table.ingresses
    .filter((ingress) => isNginx(ingress, table))
    .toSorted((a, b) => ageOf(a).localeCompare(ageOf(b)))
    .flatMap(locationsOf);
  const isCanary = ({ ingress }: Location) => annotations(ingress, prefix)('canary') === 'true';
  const location = choose(
    all.filter((one) => !isCanary(one)),
    request,
  );
  if (!location) return null;
  const { backend, ingress } = location;
  if (!table.endpoints(backend.namespace, backend.name, backend.port)?.length) {
    return answered(503, `no ready endpoints of ${backend.name}`); // nobody gets to the canary either
  }
  const canary = all.filter(isCanary).find((one) => isCanaryOf(one, location));
  const there = canary && table.endpoints(canary.backend.namespace, canary.backend.name, canary.backend.port)?.length;
  if (!canary || !there) return { kind: 'shared', by: ingress, backends: [{ ...backend, weight: 1 }], mirrors: [] };
  const share = shareOf(annotations(canary.ingress, prefix), request);
  const backends = [
    { ...backend, weight: 1 - share },
    { ...canary.backend, weight: share },
  ];
  return { kind: 'shared', by: canary.ingress, backends, mirrors: [] };
}

function isNginx({ metadata, spec }: Ingress, { ingressClasses }: Table): boolean {
  const named = metadata.annotations?.['kubernetes.io/ingress.class'];
  return named === undefined ? ingressClasses.has(spec.ingressClassName ?? '') : named === 'nginx';
}

function ageOf({ metadata }: Ingress): string {
  return `${metadata.creationTimestamp} ${metadata.namespace}/${metadata.name}`;
}

function annotations({ metadata }: Ingress, prefix: string) {
  return (name: string) => metadata.annotations?.[`${prefix}/${name}`];
}

function locationsOf(ingress: Ingress): readonly Location[] {
  const { rules = [], defaultBackend } = ingress.spec;
  const own = rules.flatMap(({ host = '', http }) =>
    (http?.paths ?? []).map(({ path = '/', pathType, backend }) => ({ host, path, pathType, backend })),
  );
  const fallback = defaultBackend && rules.length === 0;
  const all = fallback ? [{ host: '', path: '/', pathType: 'Prefix' as const, backend: defaultBackend }] : own;
  return all.flatMap((location) => {
    const backend = backendOf(ingress, location.backend);
    return backend ? [{ ...location, ingress, backend }] : [];
  });
}

function backendOf({ metadata }: Ingress, { service }: IngressBackend): Backend | null {
  const port = service?.port?.number ?? service?.port?.name;
  if (!service || port === undefined) return null;
  return { namespace: metadata.namespace ?? '', name: service.name, port, label: service.name };
}

/** First the server by host, the exact name before a wildcard, then its location: the exact path, then the longest. */
function choose(locations: readonly Location[], { host, path }: HttpRequest): Location | undefined {
  const wildcard = host.replace(/^[^.]+/, '*');
  const server = [host, wildcard, ''].find((name) => locations.some((one) => one.host === name));
  const fitting = locations.filter((one) => one.host === server && pathFits(one, path));
  const rank = (one: Location) => (one.pathType === 'Exact' ? Number.POSITIVE_INFINITY : one.path.length);
  return fitting.toSorted((a, b) => (rank(a) === rank(b) ? 0 : rank(b) - rank(a)))[0];
}

function pathFits({ path, pathType }: Location, asked: string): boolean {
  if (pathType === 'Exact') return asked === path;
  const prefix = path.replace(/\/$/, '');
  return asked === prefix || asked.startsWith(`${prefix}/`);
}

/** The same namespace, host, path and kind of path, and another Kubernetes Service; else it is no canary of anything. */
function isCanaryOf(canary: Location, main: Location): boolean {
  return (
    canary.backend.namespace === main.backend.namespace &&
    canary.host === main.host &&
    canary.path === main.path &&
    canary.pathType === main.pathType &&
    canary.backend.name !== main.backend.name
  );
}

/** Header before cookie before weight; 0 to 1. */
function shareOf(annotation: (name: string) => string | undefined, { headers }: HttpRequest): number {
  const name = annotation('canary-by-header');
  const header = name === undefined ? undefined : headers[name.toLowerCase()]?.toString();
  const byHeader = header === undefined ? null : headerSays(annotation, header);
  if (byHeader !== null) return byHeader;
  const cookie = cookieOf(headers.cookie?.toString() ?? '', annotation('canary-by-cookie'));
  if (cookie === 'always') return 1;
  if (cookie === 'never') return 0;
  // A total below 100 is taken for 100, as the controller does.
  const total = Math.max(100, wholeNumber(annotation('canary-weight-total')));
  return Math.min(wholeNumber(annotation('canary-weight')), total) / total;
}

/** null: the header does not decide. */
function headerSays(annotation: (name: string) => string | undefined, header: string): number | null {
  const value = annotation('canary-by-header-value');
  if (value) return header === value ? 1 : null;
  const pattern = annotation('canary-by-header-pattern');
  if (pattern) return fitsPart(pattern, header) ? 1 : null;
  if (header === 'always') return 1;
  return header === 'never' ? 0 : null;
}

function cookieOf(header: string, name: string | undefined): string | undefined {
  if (name === undefined) return undefined;
  const pairs = header.split(';').map((pair) => pair.trim().split('='));
  return pairs.find(([key]) => key === name)?.[1];
}

function wholeNumber(text: string | undefined): number {
  return /^\d+$/.test(text ?? '') ? Number(text) : 0;
}
