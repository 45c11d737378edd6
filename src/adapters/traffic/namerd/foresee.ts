/** What the writes of a rollout change in a dtab: the intents of `writes.ts`, applied to the dtab as read instead of sent. */
import type { Route } from '../../../core/plan.ts';
import type { Foreseen } from '../../../core/writes.ts';
import { type Seen, see } from './marks.ts';
import { type Intent, intendClaim, intendReset, intendRoute } from './writes.ts';

/** Nobody's: its marks are never written. */
const NOBODY = { rollout: 'none', epoch: 1 };

export function foreseeDtab(seen: Seen, routes: readonly Route[], env: string): Foreseen {
  const { place } = seen;
  let now = seen;
  const after = (intent: Intent): readonly string[] => {
    const before = now;
    if ('entries' in intent) now = see(place, intent.entries);
    const [was, is] = [before.own?.text ?? 'nothing', now.own?.text ?? 'nothing'];
    return was === is ? [] : [`${place.path}: ${was} → ${is}`];
  };
  after(intendClaim(seen, { ...NOBODY, seq: 1 }, env));
  const written = routes.map((route, index) =>
    after(intendRoute(now, route, { ...NOBODY, seq: index + 2 }, { overwrite: false, env })),
  );
  const by = { ...NOBODY, seq: routes.length + 2 };
  const back = after(intendReset(now, by, { abort: false, noted: null, env }));
  return { object: `${place.subject}, dentry ${place.path}`, routes: written, back };
}
