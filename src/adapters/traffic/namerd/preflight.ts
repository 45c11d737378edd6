/** Looks at dtabs before a rollout touches them. */
import type { Preflight } from '../../../app/ports/cluster.ts';
import type { RouteFacts } from '../../../app/ports/router.ts';
import type { Target } from '../../../core/plan.ts';
import { sidesOf } from '../../../core/sides.ts';
import { heldMessage } from '../../kubernetes/fence.ts';
import { partsAskedBefore, troubleAtRest } from './at-rest.ts';
import type { Entry, NamerdClient } from './client.ts';
import { boundOf } from './delegation.ts';
import { type Dentry, type Path, parsePrefix, parseTree, showPath } from './dtab.ts';
import { leaves, lookUp } from './lookup.ts';
import { type Place, placesOf, type Seen, see } from './marks.ts';

/** A chain of dentries longer than this leads in a circle. */
const LONGEST_CHAIN = 50;

type Looked = { readonly refusals: readonly string[]; readonly warnings: readonly string[] };

const refuse = (...refusals: readonly string[]): Looked => ({ refusals, warnings: [] });

export async function lookAtDtabs(client: NamerdClient, target: Target): Promise<Preflight<RouteFacts>> {
  const places = placesOf(target);
  const looked = await Promise.all(places.map((place) => lookAt(client, target, place)));
  const refusals = looked.flatMap((one) => one.refusals);
  if (refusals.length > 0) return { ok: false, refusals };
  return {
    ok: true,
    // Nothing of a rollout that ended stays in a dtab: how high epochs were is known from the Deployment.
    facts: { objects: places.map(({ subject, path }) => `${subject}, dentry ${path}`), epoch: 0, several: [] },
    warnings: looked.flatMap(({ warnings }) => warnings),
  };
}

async function lookAt(client: NamerdClient, target: Target, place: Place): Promise<Looked> {
  const { subject, address } = place;
  try {
    const dtab = await client.read(address);
    if (!dtab) {
      return refuse(
        `${subject} does not exist: make it with namerctl dtab create ${place.namespace}, or correct traffic.namespaces.`,
      );
    }
    const unreadable = dtab.entries.flatMap(errorIn).slice(0, 1);
    if (unreadable.length > 0) return refuse(...unreadable.map((error) => `${subject} cannot be read: ${error}.`));
    const seen = see(place, dtab.entries);
    if (seen.marks) return refuse(heldMessage(subject, seen.marks, target.service));
    const trouble = troubleAtRest(seen);
    if (trouble) return refuse(trouble);
    const wrong = canaryTrouble(seen, target);
    if (wrong) return refuse(wrong);
    const { refusals, warnings } = await lookAtStable(client, seen);
    return { refusals, warnings: [...partsAskedBefore(seen), ...warnings] };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return refuse(`${subject} cannot be looked at (${why}): check traffic.url of service ${target.service}.`);
  }
}

function errorIn({ prefix, dst }: Entry): readonly string[] {
  return [parsePrefix(prefix), parseTree(dst)].flatMap((parsed) =>
    parsed.ok ? [] : [`${prefix} => ${dst}: ${parsed.error}`],
  );
}

/** A name that binds to nothing gives its share to the others, silently: then the canary would get everything. */
async function lookAtStable(client: NamerdClient, { own, place }: Seen): Promise<Looked> {
  const { subject, path, url, namespace } = place;
  const answers = await Promise.all(
    (own ? leaves(own.tree) : []).map((leaf) => client.delegate(url, namespace, showPath(leaf))),
  );
  const bound = answers.flatMap((answer) => (answer === 'waiting' ? [] : boundOf(answer)));
  if (bound.some(({ addresses }) => addresses > 0)) return refuse();
  if (answers.includes('waiting')) {
    return {
      refusals: [],
      warnings: [`${subject}: a namer of ${path} is not ready, so nobody knows what serves there.`],
    };
  }
  const port = 'the name in the dentry, and with io.l5d.k8s the name of the port';
  return refuse(`${subject}: ${path} => ${own?.text} leads to nothing with endpoints: check ${port}.`);
}

/** Where the canary's name would lead, once its Kubernetes Service is there. */
function canaryTrouble({ entries, place }: Seen, target: Target): string | null {
  const { subject, canary } = place;
  const ends = follow(entries.flatMap(dentryOf), canary, 0);
  const { canary: service } = sidesOf(target);
  const names = `${subject}: the canary's name ${showPath(canary)}`;
  if (ends.length === 0)
    return `${names} leads to no namer: correct traffic.names, or add the dentry that leads it there.`;
  const isOwn = ([, namer, namespace, , name]: Path) =>
    namer !== 'io.l5d.k8s' || (namespace === target.namespace && name === service);
  if (ends.some(isOwn)) return null;
  return `${names} leads to ${ends.map(showPath).join(' and ')}, but the canary is Kubernetes Service ${target.namespace}/${service}: correct traffic.names.`;
}

const dentryOf = ({ prefix, dst }: Entry): readonly Dentry[] => {
  const [path, tree] = [parsePrefix(prefix), parseTree(dst)];
  return path.ok && tree.ok ? [{ prefix: path.value, dst: tree.value }] : [];
};

/** Every concrete name (`/#/…`, `/$/…`) that a path leads to. */
function follow(dtab: readonly Dentry[], path: Path, depth: number): readonly Path[] {
  if (depth > LONGEST_CHAIN) return [];
  const next = leaves(lookUp(dtab, path));
  if (next.length > 0) return next.flatMap((one) => follow(dtab, one, depth + 1));
  return path[0] === '#' || path[0] === '$' ? [path] : [];
}
