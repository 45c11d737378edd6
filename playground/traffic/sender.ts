/** Carries decisions out: draws a backend by weight and a pod in turn, sends copies to mirrors, and asks the pod. */
import type { Answer } from './behaviour.ts';
import type { Containers } from './containers.ts';
import { type Backend, type Decision, refusal, type Weighted } from './decision.ts';
import type { Endpoint, Table } from './table.ts';

export type SenderOptions = {
  /** What the share of a missing Kubernetes Service or port gets. */
  readonly missing: 500 | 503;
  /** Pods that are asked in turn while none of them listens. */
  readonly attempts: number;
  /** A mirror that cannot be served fails the request. */
  readonly mirrorsMatter: boolean;
};

/** `to`: the backend whose pod answered; null: none did. */
export type Sent = { readonly answer: Answer; readonly to: Weighted | null };

export function createSender(containers: Containers, { missing, attempts, mirrorsMatter }: SenderOptions) {
  const pick = createPicker();
  const turns = new Map<string, number>();

  return async function send(
    table: Table,
    decision: Decision,
    path: string,
    onPick: (backend: Backend, as: 'request' | 'mirror') => void = () => {},
  ): Promise<Sent> {
    if (decision.kind === 'answered') return { answer: decision.answer, to: null };
    const { backends, by, mirrors } = decision;
    if (mirrorsMatter && mirrors.some((mirror) => readyFor(table, mirror, missing).kind === 'refused')) {
      return { answer: refusal(500, 'a mirror has no ready endpoints'), to: null };
    }
    for (const mirror of mirrors) {
      if (Math.random() >= mirror.share) continue;
      onPick(mirror, 'mirror');
      void ask(table, mirror, path);
    }
    const backend = pick(by, backends);
    if (!backend) return { answer: refusal(backends.length > 0 ? 503 : missing, 'no backend has a weight'), to: null };
    onPick(backend, 'request');
    const answer = await ask(table, backend, path);
    return { answer, to: answer.headers['x-version'] === undefined ? null : backend };
  };

  async function ask(table: Table, backend: Backend, path: string): Promise<Answer> {
    const ready = readyFor(table, backend, missing);
    if (ready.kind === 'refused') return ready.answer;
    for (let attempt = 0; attempt < attempts; attempt += 1) {
      const endpoint = next(backend, ready.endpoints);
      const answer = await containers.ask(endpoint.address, endpoint.port, path);
      if (answer) return answer;
    }
    return refusal(502, 'connection refused');
  }

  /** Pods take turns, so that shares by replicas are met within a few requests. */
  function next({ namespace, label }: Backend, endpoints: readonly [Endpoint, ...Endpoint[]]): Endpoint {
    const key = `${namespace}/${label}`;
    const turn = (turns.get(key) ?? 0) + 1;
    turns.set(key, turn);
    return endpoints[turn % endpoints.length] ?? endpoints[0];
  }
}

type Ready =
  | { readonly kind: 'ready'; readonly endpoints: readonly [Endpoint, ...Endpoint[]] }
  | { readonly kind: 'refused'; readonly answer: Answer };

function readyFor(table: Table, { namespace, name, port, subset, label }: Backend, missing: number): Ready {
  const all = table.endpoints(namespace, name, port);
  if (!all) return { kind: 'refused', answer: refusal(missing, `no Kubernetes Service ${name}, port ${port}`) };
  const [first, ...more] = all.filter(({ labels }) => {
    if (subset === null) return false;
    return Object.entries(subset ?? {}).every(([key, value]) => labels[key] === value);
  });
  if (!first) return { kind: 'refused', answer: refusal(503, `no ready endpoints of ${label}, port ${port}`) };
  return { kind: 'ready', endpoints: [first, ...more] };
}

/** Takes turns by weight, so that shares are met within a few requests; undefined where no backend has a weight. */
function createPicker(): (by: object, backends: readonly Weighted[]) => Weighted | undefined {
  const turns = new WeakMap<object, readonly number[]>();
  return (by, backends) => {
    const living = backends.filter(({ weight }) => weight > 0);
    // One alone leaves the turns of the others as they are: a header may decide once between two weighted requests.
    if (living.length <= 1) return living[0];
    const total = living.reduce((sum, { weight }) => sum + weight, 0);
    const before = turns.get(by) ?? [];
    const credit = backends.map(({ weight }, index) => (before[index] ?? 0) + weight);
    const next = credit.indexOf(Math.max(...credit));
    turns.set(by, credit.with(next, (credit[next] ?? 0) - total));
    return backends[next];
  };
}
