/** What Slack's payloads say: who, where, and which button. Signed by Slack, but what a button carries may be of an older version. */
import type { BlockAction } from '@slack/bolt';
import { z } from 'zod';
import type { ReplyTo } from '../../app/ports/chat.ts';
import type { Click } from '../../app/requests.ts';
import type { Origin } from './directory.ts';

export type Mention = {
  readonly user: string;
  readonly text: string;
  readonly channel: string;
  readonly thread_ts?: string | undefined;
  readonly team?: string | undefined;
  readonly user_team?: string | undefined;
};

export const CLICKS = [
  'approve',
  'abort',
  'hold',
  'reapply',
  'accept',
  'retry',
  'keep',
  'rollback',
] as const satisfies readonly Click['action'][];

export type ClickAction = (typeof CLICKS)[number];

const AtGate = z.strictObject({ rollout: z.string(), gate: z.string() });
const OfAbort = z.strictObject({ rollout: z.string(), env: z.string(), service: z.string() });
const OfRollout = z.strictObject({ rollout: z.string() });

/** What a button carries; null when it is not what this version writes. */
export function clickOf(action: ClickAction, value: string | undefined): Click | null {
  const schema = action === 'abort' ? OfAbort : action === 'rollback' ? OfRollout : AtGate;
  const read = schema.safeParse(parsed(value));
  // The schema is the one of this action.
  return read.success ? ({ action, ...read.data } as Click) : null;
}

/** JSON, or null: whatever it is, it came from outside. */
export function parsed(value: string | undefined): unknown {
  try {
    return JSON.parse(value ?? '');
  } catch {
    return null;
  }
}

export function placeOf(body: BlockAction): ReplyTo {
  const threadTs: unknown = body.message?.thread_ts;
  const thread = typeof threadTs === 'string' && threadTs !== body.message?.ts ? threadTs : null;
  return { user: body.user.id, channel: body.channel?.id ?? '', thread, responseUrl: body.response_url || null };
}

/** The message that holds the pressed button; null: it is in none. */
export function messageOf(body: BlockAction): { readonly channel: string; readonly ts: string } | null {
  const [channel, ts] = [body.channel?.id, body.message?.ts];
  return channel && ts ? { channel, ts } : null;
}

/** The person's own team: in a shared channel it is not the workspace's. */
export function originOf(body: {
  readonly user: { readonly team_id?: string };
  readonly team: { readonly id: string } | null;
  readonly enterprise?: { readonly id: string };
  readonly api_app_id: string;
}): Origin {
  const team = body.user.team_id ?? body.team?.id ?? '';
  return { team, enterprise: body.enterprise?.id ?? null, app: body.api_app_id };
}

/** People mention people and channels in a reason; in Slack's own form nobody could read it back. */
export function typed(text: string): string {
  return text
    .replace(/<@([UW][A-Z0-9_]+)(?:\|([^<>]*))?>/g, (_, id: string, name?: string) => `@${name || id}`)
    .replace(/<#(C[A-Z0-9_]+)(?:\|([^<>]*))?>/g, (_, id: string, name?: string) => `#${name || id}`);
}
