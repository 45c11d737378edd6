/**
 * What `REDIS_URL` may say: one server, the nodes of a Redis Cluster, or the Sentinels that know which server it is at the
 * moment. Read in this place only.
 */

export type RedisAddress =
  | { readonly kind: 'server'; readonly url: string; readonly place: string }
  | (Access & { readonly kind: 'cluster'; readonly nodes: readonly Place[] })
  | (Access & {
      readonly kind: 'sentinel';
      readonly sentinels: readonly Place[];
      /** Name under which the Sentinels watch the server. */
      readonly master: string;
      readonly db: number;
      readonly sentinelUsername: string | undefined;
      readonly sentinelPassword: string | undefined;
    });

type Place = { readonly host: string; readonly port: number };
/** `place`: for messages, without any secret. */
type Access = {
  readonly tls: boolean;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly place: string;
};

/** `problem`: the remedy, never a value, which may hold a password. */
type ReadAddress =
  | { readonly ok: true; readonly address: RedisAddress }
  | { readonly ok: false; readonly problem: string };

const SERVER = 'set it to the address of Redis, such as redis://127.0.0.1:6379';
const CLUSTER = 'write the nodes of the Redis Cluster as host:port with commas, as in redis+cluster://h1:6379,h2:6379';
const SENTINEL =
  'write the Sentinels as host:port with commas, then the name that they watch, as in redis+sentinel://h1:26379,h2:26379/mymaster';

const FORM =
  /^(?<scheme>rediss?)(?<kind>\+cluster|\+sentinel)?:\/\/(?:(?<access>[^/?]*)@)?(?<places>[^/?@]*)(?<path>\/[^?]*)?(?<query>\?.*)?$/;

export function readRedisUrl(text: string): ReadAddress {
  const { scheme, kind, access = '', places = '', path = '', query = '' } = FORM.exec(text)?.groups ?? {};
  if (kind === undefined) return server(text);
  const nodes = placesOf(places, kind === '+cluster' ? 6379 : 26379);
  const who = accessOf(access);
  const [, name = '', db = '', ...more] = path.split('/');
  if (!nodes) return problem(kind === '+cluster' ? CLUSTER : SENTINEL);
  if (!who) return problem('write what is no letter or digit in user and password as %XX');
  const common = { ...who, tls: scheme === 'rediss' };
  const listed = nodes.map(({ host, port }) => `${host}:${port}`).join(', ');
  if (kind === '+cluster') {
    if (query !== '') return problem('leave out what follows "?": a Redis Cluster has no options here');
    if (!['', '0'].includes(name) || db !== '')
      return problem('leave out the database: a Redis Cluster has only database 0');
    return { ok: true, address: { kind: 'cluster', ...common, nodes, place: listed } };
  }
  const options = new URLSearchParams(query);
  const unknown = [...options.keys()].find((key) => !['sentinelUsername', 'sentinelPassword'].includes(key));
  if (unknown !== undefined)
    return problem('use no other options after "?" than sentinelUsername and sentinelPassword');
  const master = decoded(name);
  if (!master || more.length > 0) return problem(SENTINEL);
  if (!/^\d{0,4}$/.test(db)) return problem('write the database as a number after the name that the Sentinels watch');
  const sentinel = {
    master,
    db: Number(db),
    sentinelUsername: options.get('sentinelUsername') ?? undefined,
    sentinelPassword: options.get('sentinelPassword') ?? undefined,
  };
  const place = `${master} (by the Sentinels ${listed})`;
  return { ok: true, address: { kind: 'sentinel', ...common, sentinels: nodes, ...sentinel, place } };
}

/** For what `readRedisUrl` has let through before. */
export function redisAddress(text: string): RedisAddress {
  const read = readRedisUrl(text);
  if (read.ok) return read.address;
  throw new Error(`REDIS_URL: ${read.problem}`);
}

const problem = (text: string) => ({ ok: false, problem: text }) as const;

function server(url: string): ReadAddress {
  if (/^rediss?:\/\/[^/?]*,/.test(url))
    return problem('for several addresses use redis+cluster:// or redis+sentinel://');
  const { protocol = '', host = '' } = URL.parse(url) ?? {};
  if (!/^rediss?:$/.test(protocol)) return problem(SERVER);
  return { ok: true, address: { kind: 'server', url, place: host } };
}

function placesOf(text: string, port: number): readonly Place[] | null {
  const places = text.split(',').map((one) => {
    const match = /^(?:\[(?<six>[0-9a-f:.]+)\]|(?<host>[\w.-]+))(?::(?<port>\d{1,5}))?$/i.exec(one.trim());
    const { six, host = six, port: own = String(port) } = match?.groups ?? {};
    return host === undefined || Number(own) > 65_535 ? null : { host, port: Number(own) };
  });
  return places.every((place) => place !== null) ? places : null;
}

function accessOf(text: string): Pick<Access, 'username' | 'password'> | null {
  const colon = text.indexOf(':');
  const [username, password] =
    colon < 0 ? [decoded(text), ''] : [decoded(text.slice(0, colon)), decoded(text.slice(colon + 1))];
  if (username === null || password === null) return null;
  return { username: username || undefined, password: password || undefined };
}

function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}
