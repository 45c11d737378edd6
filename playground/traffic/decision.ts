/** What a traffic system says of a request, before it is sent: which backends share it, and who gets a copy. */
import type { Labels } from '../api-server/objects.ts';
import type { Answer } from './behaviour.ts';

export type Backend = {
  readonly namespace: string;
  /** Of the Kubernetes Service. */
  readonly name: string;
  /** Number or name of its port. */
  readonly port: number | string;
  /** Only pods with these labels; null: a subset that nobody defined. */
  readonly subset?: Labels | null;
  /** As it is counted, `world`, `world/canary`. */
  readonly label: string;
};

export type Weighted = Backend & { readonly weight: number };

export type Decision =
  | { readonly kind: 'answered'; readonly answer: Answer }
  | {
      readonly kind: 'shared';
      readonly backends: readonly Weighted[];
      /** Whose turn it is, is remembered by this: an object of the store, which is another one after each change. */
      readonly by: object;
      readonly mirrors: readonly (Backend & { readonly share: number })[];
    };

export function refusal(status: number, why: string): Answer {
  return { status, headers: { 'content-type': 'text/plain' }, body: `${why}\n` };
}

export function answered(status: number, why: string): Decision {
  return { kind: 'answered', answer: refusal(status, why) };
}
