/** Messages and the blocks they are made of, with Slack's limits: https://docs.slack.dev/reference/block-kit/blocks */
import type { Button, ConfirmationDialog, KnownBlock } from '@slack/types';
import { cut } from './mrkdwn.ts';

export type Message = {
  /** Alone it tells state and what to do: notifications and screen readers get nothing else. */
  readonly text: string;
  readonly blocks: readonly KnownBlock[];
  /** Shown in the channel too, not only in the thread. */
  readonly broadcast?: boolean;
};

/** What rendering needs besides the rollout. */
export type Show = {
  /** ms since 1970 */
  readonly now: number;
  /** The workspace takes table blocks. */
  readonly tables: boolean;
  /** Permalink of the open gate, once Slack has it. */
  readonly gateLink: string | null;
};

const LIMITS = { header: 150, section: 3000, field: 2000, fields: 10, button: 75, cell: 200 } as const;

export const header = (text: string): KnownBlock => ({
  type: 'header',
  text: { type: 'plain_text', text: cut(text, LIMITS.header), emoji: false },
});

export const section = (text: string): KnownBlock => ({
  type: 'section',
  text: { type: 'mrkdwn', text: cut(text, LIMITS.section) },
});

export const context = (text: string): KnownBlock => ({
  type: 'context',
  elements: [{ type: 'mrkdwn', text: cut(text, LIMITS.field) }],
});

export const fields = (texts: readonly string[]): KnownBlock => ({
  type: 'section',
  fields: texts.slice(0, LIMITS.fields).map((text) => ({ type: 'mrkdwn', text: cut(text, LIMITS.field) })),
});

/** Cells are literal text: nothing in them is formatted or linked. */
export const table = (rows: readonly (readonly string[])[]): KnownBlock => ({
  type: 'table',
  rows: rows.map((row) => row.map((text) => ({ type: 'raw_text', text: cut(text, LIMITS.cell) || '-' }))),
  column_settings: (rows[0] ?? []).map(() => ({ is_wrapped: true })),
});

export const actions = (buttons: readonly Button[]): KnownBlock => ({ type: 'actions', elements: [...buttons] });

type ButtonOptions = {
  readonly style?: 'primary' | 'danger';
  readonly confirm?: ConfirmationDialog;
  readonly url?: string;
};

/** What a button does: one listener each. */
export type ActionId =
  | 'approve'
  | 'approve_anyway'
  | 'abort'
  | 'hold'
  | 'reapply'
  | 'accept'
  | 'retry'
  | 'keep'
  | 'rollback'
  | 'open_gate';

export function button(id: ActionId, text: string, value: object, options: ButtonOptions = {}): Button {
  return {
    type: 'button',
    action_id: id,
    text: { type: 'plain_text', text: cut(text, LIMITS.button), emoji: false },
    value: JSON.stringify(value),
    ...options,
  };
}

export function confirm(title: string, text: string, yes: string, no: string): ConfirmationDialog {
  return {
    title: { type: 'plain_text', text: cut(title, 100) },
    text: { type: 'plain_text', text: cut(text, 300) },
    confirm: { type: 'plain_text', text: cut(yes, 30) },
    deny: { type: 'plain_text', text: cut(no, 30) },
    style: 'danger',
  };
}
