/**
 * Everything that is said to one person in answer to a command or click. Data only: the words are in
 * `adapters/slack/answers.ts`, and the command line prints the same ones.
 */
import type { CommandError } from '../core/command.ts';
import type { Rejection } from '../core/event.ts';
import type { Gate } from '../core/gate.ts';
import type { Actor, Plan } from '../core/plan.ts';
import type { Verb } from '../core/policy.ts';
import type { Rollout } from '../core/rollout.ts';
import type { PlannedWrite } from '../core/writes.ts';

export type Answer =
  | {
      readonly kind: 'help';
      readonly services: readonly { readonly name: string; readonly strategies: readonly string[] }[];
    }
  | { readonly kind: 'command error'; readonly error: CommandError }
  | {
      readonly kind: 'unknown service';
      readonly given: string;
      readonly near: string | null;
      readonly known: readonly string[];
    }
  | {
      readonly kind: 'bad version';
      readonly service: string;
      readonly given: string;
      readonly pattern: string;
      readonly near: string | null;
    }
  | {
      readonly kind: 'unknown strategy';
      readonly given: string;
      readonly near: string | null;
      readonly known: readonly string[];
    }
  | { readonly kind: 'already live'; readonly service: string; readonly version: string }
  /** `link`: permalink of the holder's root message, when Slack could give it. */
  | { readonly kind: 'busy'; readonly holder: Rollout; readonly link: string | null }
  /** Preflight said no: each refusal names the place and the remedy; nothing was touched. */
  | {
      readonly kind: 'refused';
      readonly service: string;
      readonly version: string;
      readonly refusals: readonly string[];
      /** It would have been the way back; `version` is then what was asked for, perhaps in words. */
      readonly isRollback?: true;
    }
  /** `groups`: user and group ids that may. */
  | { readonly kind: 'not allowed'; readonly verb: Verb; readonly service: string; readonly groups: readonly string[] }
  /** Membership could not be read, so the answer is no. */
  | { readonly kind: 'membership unknown'; readonly verb: Verb; readonly service: string; readonly error: string }
  /** Guest, deactivated, bot or other workspace. */
  | { readonly kind: 'not a member' }
  | { readonly kind: 'dry run'; readonly plan: Plan; readonly writes: readonly PlannedWrite[] }
  /** Newest first; `takes`: what `rollback <service> to` takes. */
  | {
      readonly kind: 'history';
      readonly service: string;
      readonly live: string | null;
      readonly releases: readonly {
        readonly version: string;
        readonly at: number;
        /** Empty: it served before Sluice rolled anything out. */
        readonly rollout: string;
        readonly by?: Actor;
        readonly rolledBack?: true;
      }[];
      readonly takes: readonly string[];
      /** What the cluster itself still has, newest first; `version`: its image where that matches none. */
      readonly revisions: readonly {
        readonly revision: number;
        readonly version: string;
        readonly cause: string | null;
        readonly isLive: boolean;
      }[];
      /** Whether `rollback <service> to` takes their numbers. */
      readonly takesRevisions: boolean;
    }
  | { readonly kind: 'started'; readonly rollout: Rollout; readonly link: string | null }
  | {
      readonly kind: 'status';
      readonly rollouts: readonly { readonly rollout: Rollout; readonly link: string | null }[];
      /** Others, each as a sentence. */
      readonly unreadable: readonly string[];
      /** How many run besides these. */
      readonly more: number;
      readonly service: string | null;
      readonly live: string | null;
    }
  | { readonly kind: 'no rollout'; readonly given: string }
  /** What Redis holds of a rollout cannot be read; `problem`: which and what to do. */
  | { readonly kind: 'unreadable'; readonly problem: string }
  | {
      readonly kind: 'nothing to roll back to';
      readonly service: string;
      readonly given: string | null;
      readonly known: readonly string[];
    }
  | { readonly kind: 'rejected'; readonly verb: Verb; readonly rejection: Rejection; readonly rollout: Rollout }
  | { readonly kind: 'approved'; readonly gate: Gate; readonly rollout: Rollout }
  | { readonly kind: 'held'; readonly gate: Gate }
  | { readonly kind: 'noted' }
  | { readonly kind: 'aborting'; readonly rollout: Rollout }
  /** Redis was away, or had lost the rollout: the route was patched straight, the rest follows when Redis is back. */
  | { readonly kind: 'aborted blind'; readonly service: string; readonly id: string }
  /** The same where stable has rolled already: it gets its old template back, and traffic once its pods are Ready. */
  | { readonly kind: 'demoted blind'; readonly service: string; readonly id: string }
  /** The same too late: stable serves the new version. */
  | { readonly kind: 'promoted blind'; readonly service: string }
  | {
      readonly kind: 'blind abort failed';
      readonly service: string;
      readonly id: string;
      readonly error: string;
      readonly command: string;
    }
  /** Not recorded (Redis does not answer): nothing happened, try again. */
  | { readonly kind: 'not recorded' }
  /** So many requests wait that this one was not recorded. */
  | { readonly kind: 'inbox full' }
  /** Recorded, but Redis went away before it was carried out: it is when Redis is back within 5 minutes. */
  | { readonly kind: 'kept' }
  /** The same request came before, or is older than 5 minutes or from the future. */
  | { readonly kind: 'replayed' }
  /** The button stands in another message than the one it was posted with; `link`: to that one. */
  | { readonly kind: 'copied button'; readonly link: string | null }
  /** What it carries does not fit together. */
  | { readonly kind: 'altered button' }
  | { readonly kind: "another installation's button"; readonly given: string; readonly own: string }
  /** Said once a minute; what is sent until then has no effect. */
  | { readonly kind: 'too many'; readonly seconds: number }
  /** A fault on our side; `reference` stands in the log. */
  | { readonly kind: 'fault'; readonly reference: string };
