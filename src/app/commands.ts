/** What a command or click does, after it was recorded and acknowledged. Answers are data; nothing here waits for Slack's words. */
import { type Command, parseCommand } from '../core/command.ts';
import type { Config } from '../core/config.ts';
import { serviceOf } from '../core/id.ts';
import type { Place } from '../core/place.ts';
import type { Actor, Plan, Target } from '../core/plan.ts';
import { type Membership, mayDo, type Verb, whoMay } from '../core/policy.ts';
import { openGate, type Rollout } from '../core/rollout.ts';
import { leftAwake } from '../core/versions.ts';
import type { Abort, AbortStart } from './abort.ts';
import type { Answer } from './answers.ts';
import { gateEvent, originalOf } from './clicks.ts';
import type { Deploy } from './deploy.ts';
import type { Rollouts } from './handle.ts';
import { createOnce } from './once.ts';
import { createOverview } from './overview.ts';
import type { People } from './people.ts';
import type { Chat } from './ports/chat.ts';
import type { Log } from './ports/log.ts';
import type { Loaded, Store } from './ports/store.ts';
import { actorOf, type Click, type Request, type Taken, THREADS } from './requests.ts';
import { orUnreadable } from './unreadable.ts';

type Deps = {
  readonly config: Config;
  readonly store: Store;
  readonly chat: Chat;
  readonly people: People;
  readonly rollouts: Rollouts;
  readonly abort: Abort;
  readonly deploy: Deploy;
  readonly log: Log;
};

export type Commands = ReturnType<typeof createCommands>;

const REQUESTERS_KEPT = 10_000;

export function createCommands(deps: Deps) {
  const { config, store, people, rollouts, abort, deploy } = deps;
  const { help, history, list, status, unknownTarget, rolloutOfThread } = createOverview(deps);
  const once = createOnce(deps);
  const requesters = new Map<string, Actor>();

  /** What was not recorded. null: the change shows itself, nothing to add. */
  function answer(request: Request): Promise<Answer | null> {
    return act(request, null);
  }

  /** What was recorded, with the answer told. `around`: may hinder it, or change the answer. Nothing is left to be told. */
  function carryOut(
    request: Request,
    taken: NonNullable<Taken>,
    around = (work: () => Promise<Answer | null>) => work(),
  ): Promise<null> {
    return once(request, taken, () => around(() => act(request, taken)));
  }

  /** Drops what failed while its database answered, so that it does not come about later, when nobody counts on it. */
  async function giveUp(request: Request, taken: NonNullable<Taken>): Promise<void> {
    const here =
      taken.service === THREADS && request.what.kind === 'command' && request.what.thread
        ? await rolloutOfThread(request.what.thread)
        : null;
    if (here) await store.untake(here.plan.target.service, request.key);
    await store.drop(taken.service, taken.id);
  }

  /** Drops an inbox entry that came to nothing for too long: nobody counts on it any more. */
  function expire(request: Request, taken: NonNullable<Taken>): Promise<null> {
    return once(request, taken, async () => ({ kind: 'replayed' }));
  }

  function act(request: Request, taken: Taken): Promise<Answer | null> {
    return orUnreadable(() => perform(request, taken));
  }

  async function perform(request: Request, taken: Taken): Promise<Answer | null> {
    const { what } = request;
    if (!(await isMember(request))) return { kind: 'not a member' };
    if (what.kind === 'click') return click(request, what.click, what.reason, taken, what.at);
    const parsed = parseCommand(what.text);
    if (!parsed.ok) return { kind: 'command error', error: parsed.error };
    const here = what.thread && !namesItsRollout(parsed.command) ? await rolloutOfThread(what.thread) : null;
    if (taken?.service !== THREADS || !here || parsed.command.kind === 'abort')
      return command(request, parsed.command, here, taken);
    // Which service it is about is known only now: the entry that goes away with the change must be in its inbox.
    const { service } = here.plan.target;
    const recorded = await store.take(service, request.key, request);
    if (recorded.kind === 'full') return { kind: 'inbox full' };
    // One that is there already was left by a try that failed, or by a process that died.
    const entry = { service, id: recorded.id };
    return once(request, entry, async () => command(request, parsed.command, here, entry));
  }

  /** An abort never waits for Slack: what was last known counts. */
  async function isMember({ what, user }: Request): Promise<boolean> {
    const parsed = what.kind === 'command' ? parseCommand(what.text) : null;
    const aborts =
      what.kind === 'click' ? what.click.action === 'abort' : parsed?.ok && parsed.command.kind === 'abort';
    return aborts ? people.wasFullMember(user) : people.isFullMember(user);
  }

  function command(
    request: Request,
    typed: Command,
    here: Rollout | null,
    taken: Taken,
  ): Promise<Answer | null> | Answer {
    switch (typed.kind) {
      case 'help':
        return help();
      case 'list':
        return list();
      case 'status':
        return status(typed.target ?? here?.id ?? null);
      case 'history': {
        const service = typed.service ?? here?.plan.target.service ?? null;
        const usage = 'history <service>';
        return service === null
          ? { kind: 'command error', error: { kind: 'missing service', usage } }
          : history(service);
      }
      case 'deploy':
        return deploy.start(request, typed, taken);
      case 'rollback':
        return rollBack(
          request,
          typed.service ?? here?.plan.target.service ?? null,
          typed.version,
          typed.reason,
          taken,
        );
      case 'abort':
        return abortTarget(request, typed.target ?? here?.id ?? null, typed.reason, taken);
      case 'approve': {
        const gate = here && openGate(here);
        if (!here) return { kind: 'no rollout', given: 'this thread' };
        if (!gate)
          return { kind: 'rejected', verb: 'approve', rejection: { kind: 'gate closed', gate: null }, rollout: here };
        return click(request, { action: 'approve', rollout: here.id, gate: gate.id }, typed.reason, taken);
      }
      default:
        return typed satisfies never;
    }
  }

  async function click(
    request: Request,
    clicked: Click,
    reason: string | null,
    taken: Taken,
    at: Place | null = null,
  ): Promise<Answer | null> {
    if (clicked.action === 'abort') return abortById(request, clicked.rollout, reason);
    const loaded = await load(clicked.rollout);
    if (!loaded) return { kind: 'no rollout', given: clicked.rollout };
    const { rollout } = loaded;
    const original = at && originalOf(clicked, rollout, at);
    if (original)
      return {
        kind: 'copied button',
        link: await deps.chat.permalink(rollout.plan.channel, original).catch(() => null),
      };
    if (clicked.action === 'rollback') return rollBackFrom(request, rollout, taken);
    const verb: Verb = clicked.action === 'hold' ? 'hold' : 'approve';
    const refused = await refusal(request, verb, rollout);
    if (refused) return refused;
    const recorded = await rollouts.record(
      rollout.id,
      gateEvent(clicked, actorOf(request), reason),
      taken ? { intake: taken.id } : {},
    );
    if (!recorded) return { kind: 'no rollout', given: rollout.id };
    if (!recorded.ok) {
      const { rejection } = recorded;
      return rejection && { kind: 'rejected', verb, rejection, rollout: recorded.loaded.rollout };
    }
    void rollouts
      .tick(rollout.id)
      .catch((error: unknown) => deps.log.warn({ rollout: rollout.id, err: error }, 'goes on with the sweep'));
    const gate = recorded.loaded.rollout.gates.find(({ id }) => id === clicked.gate);
    if (gate && clicked.action === 'approve' && gate.decision === null)
      return { kind: 'approved', gate, rollout: recorded.loaded.rollout };
    return gate && clicked.action === 'hold' ? { kind: 'held', gate } : null;
  }

  /** null: allowed. */
  async function refusal(request: Request, verb: Verb, { plan }: Rollout): Promise<Answer | null> {
    const { access, requester, target } = plan;
    const judge = (membership: Membership) =>
      mayDo(verb, request.user, { access, requester }, membership, people.now());
    if (verb === 'abort' && judge(people.lastKnown()).kind === 'allowed') return null;
    const verdict = judge(await people.membership(whoMay(verb, access, requester)));
    if (verdict.kind === 'allowed') return null;
    if (verdict.kind === 'denied')
      return { kind: 'not allowed', verb, service: target.service, groups: verdict.groups };
    return { kind: 'membership unknown', verb, service: target.service, error: verdict.groups.join(', ') };
  }

  async function abortTarget(
    request: Request,
    target: string | null,
    reason: string | null,
    taken: Taken,
  ): Promise<Answer> {
    if (target === null)
      return { kind: 'command error', error: { kind: 'missing service', usage: 'abort <service|id>' } };
    const held = Object.hasOwn(config.services, target) ? await store.holder(target) : target;
    if (held === null || serviceOf(held) === null) return unknownTarget(target);
    const loaded = await load(held);
    // A command that was left lying does not mean what began after it. What began ahead of now tells nothing: the clock was set back.
    const began = loaded && loaded.rollout.requestedAt <= loaded.now ? loaded.rollout.requestedAt : 0;
    if (taken && began > timeOf(taken)) return { kind: 'no rollout', given: target };
    return abortById(request, held, reason);
  }

  /** Looks the rollout up first, so that its requester and frozen rights count. */
  async function abortById(request: Request, id: string, reason: string | null): Promise<Answer> {
    const loaded = await orUnreadable(() => load(id));
    if (loaded && 'problem' in loaded) return loaded;
    if (!loaded) return { kind: 'no rollout', given: id };
    const refused = await refusal(request, 'abort', loaded.rollout);
    if (refused) return refused;
    return abortAnswer(id, await abort(id, actorOf(request), reason));
  }

  async function abortAnswer(id: string, started: AbortStart): Promise<Answer> {
    if (started.kind === 'unknown') return { kind: 'no rollout', given: id };
    if (started.kind === 'rejected')
      return { kind: 'rejected', verb: 'abort', rejection: started.rejection, rollout: started.rollout };
    await started.done;
    return { kind: 'aborting', rollout: started.rollout };
  }

  async function rollBack(
    request: Request,
    service: string | null,
    version: string | null,
    reason: string | null,
    taken: Taken,
  ): Promise<Answer | null> {
    if (service === null)
      return { kind: 'command error', error: { kind: 'missing service', usage: 'rollback <service> [to <version>]' } };
    const recalled = await hurryClean(request, service, version);
    const answer = await deploy.rollBack(request, { service, version, reason }, taken);
    return recalled?.versioned && answer?.kind === 'refused'
      ? { ...answer, refusals: [...answer.refusals, leftAwake(recalled)] }
      : answer;
  }

  /** The button of a result message: only while what it made live still is. */
  async function rollBackFrom(request: Request, rollout: Rollout, taken: Taken): Promise<Answer | null> {
    const { service } = rollout.plan.target;
    const [newest] = await store.releases(service);
    if (newest?.rollout !== rollout.id)
      return { kind: 'rejected', verb: 'roll back', rejection: { kind: 'stale' }, rollout };
    return rollBack(request, service, rollout.plan.from, null, taken);
  }

  /**
   * A promoted rollout that only waits for its cool-down must not keep a rollback waiting. Answers with its target where the
   * version before is wanted back by that.
   */
  async function hurryClean(request: Request, service: string, version: string | null): Promise<Target | null> {
    const holder = await store.holder(service);
    const loaded = holder === null ? null : await load(holder);
    if (loaded?.rollout.phase.kind !== 'promoting' || (await refusal(request, 'roll back', loaded.rollout)))
      return null;
    const { id, plan } = loaded.rollout;
    const recalled = version === null || version === plan.from;
    const actor = actorOf(request);
    const cut = await rollouts.record(id, { type: 'cool_down_cut', actor, ...(recalled && { recalled }) });
    await rollouts.tick(id);
    return recalled && cut?.ok ? plan.target : null;
  }

  async function load(id: string): Promise<Loaded | null> {
    const loaded = serviceOf(id) === null ? null : await store.load(id);
    if (loaded) remember(loaded.rollout);
    return loaded;
  }

  /** Keeps who asked for a rollout at hand, so that an abort of theirs needs no look-up. */
  function remember({ id, plan }: Rollout): void {
    requesters.set(id, plan.requester);
    const [oldest] = requesters.keys();
    if (requesters.size > REQUESTERS_KEPT && oldest !== undefined) requesters.delete(oldest);
  }

  return {
    answer,
    carryOut,
    giveUp,
    expire,
    abortById,
    abortAnswer,
    remember,
    requesterOf: (id: string): Plan['requester'] | null => requesters.get(id) ?? null,
    byHand: (service: string): string => deploy.byHand(service),
  };
}

/** Redis TIME at which an inbox entry was recorded. */
export const timeOf = ({ id }: { readonly id: string }): number => Number(id.split('-')[0]);

/** An abort that says of what waits for no search by thread. */
const namesItsRollout = (typed: Command): boolean => 'target' in typed && typed.target !== null;
