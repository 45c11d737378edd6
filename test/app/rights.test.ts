/** Who may press what: looked at when it is pressed, and nothing happens otherwise. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Chat } from '../../src/app/ports/chat.ts';
import type { Click } from '../../src/app/requests.ts';
import { loaded } from '../contracts/store.ts';
import { createModelCluster } from '../support/model-cluster.ts';
import { begun, clicked, createReplica } from '../support/replica.ts';
import { openCorner } from './support.ts';

let corner: ReturnType<typeof openCorner>;
beforeEach(() => {
  corner = openCorner();
});
afterEach(() => corner.close());

async function press(
  action: 'approve' | 'hold' | 'abort',
  user: string,
  approve: readonly string[],
  chat: Partial<Chat>,
) {
  const { store, env } = corner;
  const id = await begun(store, 'world', env, approve);
  const replica = createReplica({ env, store, cluster: createModelCluster(), chat });
  await replica.tick(id);
  const before = (await loaded(store, id)).rollout;
  const click: Click =
    action === 'abort' ? { action, rollout: id, env, service: 'world' } : { action, rollout: id, gate: `${id}.1` };
  const answer = await replica.commands.answer(clicked(user, click));
  const { rollout } = await loaded(store, id);
  return { kind: answer?.kind, changed: rollout.version > before.version };
}

const STRANGER = { isFullMember: async () => false };
const groupOf = (...users: string[]): Partial<Chat> => ({ groupMembers: async () => ({ ok: true, users }) });
const UNREADABLE: Partial<Chat> = { groupMembers: async () => ({ ok: false, error: 'ratelimited' }) };

it.each<[string, 'approve' | 'hold' | 'abort', string, readonly string[], Partial<Chat>, string]>([
  ['nobody who is not named', 'approve', 'U0EVE', ['U0BO'], {}, 'not allowed'],
  ['nobody who is not named', 'hold', 'U0EVE', ['U0BO'], {}, 'not allowed'],
  ['nobody who is not named', 'abort', 'U0EVE', ['U0BO'], {}, 'not allowed'],
  ['nobody outside the group', 'approve', 'U0EVE', ['S0OPS'], groupOf('U0BO'), 'not allowed'],
  ['nobody while the group cannot be read', 'approve', 'U0BO', ['S0OPS'], UNREADABLE, 'membership unknown'],
  ['no guest and nobody who left, although named', 'approve', 'U0BO', ['U0BO'], STRANGER, 'not a member'],
  ['not the requester alone', 'approve', 'U0ADA', ['U0ADA'], {}, 'rejected'],
])('%s may %s', async (_, action, user, approve, chat, said) => {
  expect(await press(action, user, approve, chat)).toEqual({ kind: said, changed: false });
});

it('who is named, or in a group, may', async () => {
  expect(await press('hold', 'U0BO', ['U0BO'], {})).toEqual({ kind: 'held', changed: true });
});

it('who is in a group, may', async () => {
  expect(await press('hold', 'U0BO', ['S0OPS'], groupOf('U0BO'))).toEqual({ kind: 'held', changed: true });
});
