/** What namerd's `delegate` says of a path: every step from it to where it leads. Pure. */
import { z } from 'zod';

export const Delegation = z.object({
  /** As printed; steps that only wrap others have the path of what they wrap. */
  path: z.string().optional(),
  bound: z.object({ id: z.string(), addr: z.object({ addrs: z.array(z.unknown()).optional() }).optional() }).optional(),
  get alt() {
    return z.array(Delegation).optional();
  },
  /** The branch weights as numbers, not as the two decimals that a dtab shows. */
  get union() {
    return z.array(z.object({ weight: z.number(), tree: Delegation })).optional();
  },
  get delegate() {
    return Delegation.optional();
  },
});
export type Delegation = z.output<typeof Delegation>;

/** A service that a name leads to. */
export type Bound = { readonly id: string; readonly addresses: number };

/** In the order of namerd's answer. */
export function boundOf({ bound, alt = [], union = [], delegate }: Delegation): readonly Bound[] {
  return [
    ...(bound ? [{ id: bound.id, addresses: bound.addr?.addrs?.length ?? 0 }] : []),
    ...alt.flatMap(boundOf),
    ...union.flatMap(({ tree }) => boundOf(tree)),
    ...(delegate ? boundOf(delegate) : []),
  ];
}

/**
 * Percent of a path's requests that get to the addresses of what is called `name`, as linkerd draws; null: it leads to none at
 * all. A branch that leads nowhere gives its share to the others, and an alternate its turn to the next.
 */
export function shareOf(node: Delegation, name: string): number | null {
  const share = drawn(node, name);
  return share !== null && node.path === name ? 100 : share;
}

function drawn({ bound, alt, union, delegate }: Delegation, name: string): number | null {
  if (bound) return bound.addr?.addrs?.length ? 0 : null;
  if (alt) return alt.map((node) => shareOf(node, name)).find((share) => share !== null) ?? null;
  if (delegate) return shareOf(delegate, name);
  const live = (union ?? []).flatMap(({ weight, tree }) => {
    const share = shareOf(tree, name);
    return share === null || weight === 0 ? [] : [{ weight, share }];
  });
  const total = live.reduce((sum, { weight }) => sum + weight, 0);
  return total === 0 ? null : live.reduce((sum, { weight, share }) => sum + weight * share, 0) / total;
}
