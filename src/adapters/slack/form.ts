/** The form behind "Approve anyway…": who goes on despite a failing check says why. */
import type { ModalView } from '@slack/types';
import { z } from 'zod';
import { parsed } from './payloads.ts';

export const FORM = 'approve_anyway_form';
const REASON = 'reason';

/** Ids only: what the answer needs to find its gate, and where the person is. */
const FormContext = z.strictObject({
  rollout: z.string(),
  gate: z.string(),
  channel: z.string(),
  thread: z.string().nullable(),
  /** The message whose button opened the form. */
  at: z.strictObject({ channel: z.string(), ts: z.string() }).nullable(),
});
type FormContext = z.infer<typeof FormContext>;

/** null: not what this version wrote. */
export function contextOf(metadata: string): FormContext | null {
  return FormContext.safeParse(parsed(metadata)).data ?? null;
}

export function approveAnywayForm(context: FormContext): ModalView {
  return {
    type: 'modal',
    callback_id: FORM,
    private_metadata: JSON.stringify(context),
    title: { type: 'plain_text', text: 'Approve anyway' },
    submit: { type: 'plain_text', text: 'Approve anyway' },
    close: { type: 'plain_text', text: 'Back' },
    blocks: [
      {
        type: 'section',
        text: {
          type: 'mrkdwn',
          text: 'A check or test does not pass, or there is no data. The rollout goes on if you approve; your reason is shown in the thread.',
        },
      },
      {
        type: 'input',
        block_id: REASON,
        label: { type: 'plain_text', text: 'Why is it right to go on?' },
        element: { type: 'plain_text_input', action_id: REASON, multiline: true, min_length: 3, max_length: 3000 },
      },
    ],
  };
}

type State = Readonly<Record<string, Readonly<Record<string, { readonly value?: string | null }>>>>;

/** null: nothing but spaces. */
export function reasonIn(state: State): string | null {
  return state[REASON]?.[REASON]?.value?.trim() || null;
}

/** Keeps the form open with a sentence under the field. */
export const formError = (text: string) => ({ response_action: 'errors', errors: { [REASON]: text } }) as const;
