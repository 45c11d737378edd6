/** Answers of the API server other than success: what a person must hear as values, everything else as faults. */
import { z } from 'zod';
import { purposeOf } from './needs.ts';
import { rightSentence } from './rights.ts';

export type ClusterError = {
  /**
   * `conflict`: the object changed meanwhile, or exists already. `untrue`: a `test` of the patch failed, or the patch does
   * not fit the object. `refused`: schema, admission, quota or rights say no, and a retry changes nothing.
   */
  readonly kind: 'not found' | 'conflict' | 'untrue' | 'refused';
  readonly message: string;
};

export type Outcome<T> =
  | { readonly ok: true; readonly object: T }
  | { readonly ok: false; readonly error: ClusterError };

/** An unexpected answer; `status` is its HTTP status, `retryAfterMs` how long the server asks to be left alone. */
export class ApiFault extends Error {
  readonly status: number;
  readonly retryAfterMs: number;
  /** It does not pass by itself: somebody has to grant a right. */
  readonly isLasting: boolean;

  constructor(message: string, status: number, retryAfterMs = 0) {
    super(message);
    this.name = 'ApiFault';
    this.status = status;
    this.retryAfterMs = retryAfterMs;
    this.isLasting = status === 403;
  }
}

const statusBody = z.looseObject({
  message: z.string().optional(),
  details: z
    .looseObject({
      name: z.string().optional(),
      causes: z.array(z.looseObject({ field: z.string().optional() })).optional(),
    })
    .nullish(),
});

const read = (body: unknown) => statusBody.safeParse(body).data;

/** What an answer of status 400 and above says, as a fault. */
export function toFault(subject: string, status: number, body: unknown, retryAfterMs = 0): ApiFault {
  const said = read(body)?.message ?? `HTTP ${status}`;
  return new ApiFault((status === 403 && missingRight(said)) || `${subject}: ${said}`, status, retryAfterMs);
}

/** As the API server's authorizer words it: kubernetes/kubernetes, endpoints/handlers/responsewriters/errors.go. */
const MISSING =
  /^\S+(?: "[^"]*")? is forbidden: User "(?<user>[^"]*)" cannot (?<verb>\w+) resource "(?<plural>[^"]+)" in API group "(?<group>[^"]*)" in the namespace "(?<namespace>[^"]+)"(?:: (?<why>.+))?$/s;

/** The same as before a rollout; null: something else is forbidden, as by a quota or an admission policy. */
function missingRight(said: string): string | null {
  const { user, verb, plural, group, namespace, why } = MISSING.exec(said)?.groups ?? {};
  if (verb === undefined || plural === undefined || group === undefined || namespace === undefined) return null;
  const to = purposeOf(verb, { group, plural });
  // The command line works with the rights of whoever types it.
  const who = user?.startsWith('system:serviceaccount:') ? undefined : `User "${user}"`;
  const sentence = rightSentence([verb], { group, plural }, namespace, to === undefined ? [] : [to], who);
  return why === undefined ? sentence : `${sentence} (${why})`;
}

/**
 * Sorts an answer of status 400 and above. A 422 names the object and its fields in `details` when the result would be
 * invalid; for a failed `test` it does not. Everything that may pass by itself (401, 429, 5xx) is thrown.
 */
export function readError(subject: string, status: number, body: unknown): ClusterError {
  const fault = toFault(subject, status, body);
  const { message } = fault;
  const details = read(body)?.details;
  switch (status) {
    case 404:
      return { kind: 'not found', message };
    case 409:
      return { kind: 'conflict', message };
    case 422:
      return { kind: details?.name || details?.causes?.length ? 'refused' : 'untrue', message };
    case 400:
    case 403:
    case 405:
    case 413:
    case 415:
      return { kind: 'refused', message };
    default:
      throw fault;
  }
}
