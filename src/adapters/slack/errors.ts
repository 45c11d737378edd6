/** What Slack's errors mean for the caller: wait, give up on this message, or a fault to repeat. */
import { WebAPIPlatformError, WebAPIRateLimitedError } from '@slack/web-api';

/** Slack's own trouble, and what an operator can repair: worth repeating. https://docs.slack.dev/reference/methods/chat.postMessage */
const FAULTS = new Set([
  'internal_error',
  'fatal_error',
  'service_unavailable',
  'request_timeout',
  'team_added_to_org',
  'ratelimited',
  'rate_limited',
  'message_limit_exceeded',
  'invalid_auth',
  'not_authed',
  'account_inactive',
  'token_revoked',
  'token_expired',
  'no_permission',
  'missing_scope',
  'accesslimited',
  'org_login_required',
  'ekm_access_denied',
]);

export type Trouble =
  | { readonly kind: 'later'; readonly ms: number }
  /** Repeating the same call is useless. */
  | { readonly kind: 'refused'; readonly error: string }
  /** Anything else, an unknown outcome included. */
  | { readonly kind: 'fault' };

export function troubleOf(error: unknown): Trouble {
  if (error instanceof WebAPIRateLimitedError) return { kind: 'later', ms: error.retryAfter * 1000 };
  if (!(error instanceof WebAPIPlatformError)) return { kind: 'fault' };
  const name = error.data.error;
  // A body that is not JSON (a proxy's page) comes as the error itself.
  return /^[a-z_]{1,60}$/.test(name) && !FAULTS.has(name) ? { kind: 'refused', error: name } : { kind: 'fault' };
}

/** Slack's error word; null when it was not Slack who answered. */
export function slackError(error: unknown): string | null {
  return error instanceof WebAPIPlatformError ? error.data.error : null;
}

/** For logs and answers: never the request, which carries the token. */
export function reasonOf(error: unknown): string {
  if (error instanceof WebAPIRateLimitedError) return `Slack asks to wait ${error.retryAfter} s`;
  return slackError(error) ?? (error instanceof Error ? error.message : String(error));
}
