/**
 * Where requests come in. At most one Redis round trip before the acknowledgement; an abort is already on its way to the
 * cluster when it is acknowledged, and goes straight there when Redis does not answer.
 */
import { parseCommand } from '../core/command.ts';
import type { Config } from '../core/config.ts';
import { serviceOf } from '../core/id.ts';
import { mayDo, whoMay } from '../core/policy.ts';
import type { Abort, AbortStart } from './abort.ts';
import type { Answer } from './answers.ts';
import type { Commands } from './commands.ts';
import { reasonOf } from './effects.ts';
import type { People } from './people.ts';
import type { Chat, Log, ReplyTo, Store, TrafficRouter } from './ports.ts';
import { actorOf, type Bot, type Request } from './requests.ts';

type Deps = {
  readonly config: Config;
  readonly store: Store;
  readonly chat: Chat;
  readonly people: People;
  readonly abort: Abort;
  readonly commands: Commands;
  readonly routerOf: (service: string) => TrafficRouter;
  readonly log: Log;
  readonly newReference: () => string;
};

type AbortClick = { readonly rollout: string; readonly service: string; readonly reason: string | null };

export function createBot(deps: Deps): Bot {
  const { config, store, chat, people, abort, commands, log } = deps;

  return {
    async receive(request) {
      const { what } = request;
      if (what.kind === 'click' && what.click.action === 'abort') {
        return abortAtOnce(request, { rollout: what.click.rollout, service: what.click.service, reason: what.reason });
      }
      const service = recordedFor(request);
      if (service === null) return { after: answering(request.replyTo, () => commands.answer(request, null)) };
      const taken = await takeIn(request, service);
      if (taken === 'unreachable') {
        const wanted = abortCommand(request);
        if (!wanted) throw new Error('the request could not be recorded');
        return { after: answering(request.replyTo, () => blindCommand(request, wanted)) };
      }
      if (taken.kind === 'duplicate') return { after: answering(request.replyTo, async () => ({ kind: 'replayed' })) };
      const work = () => commands.answer(request, { service, id: taken.id });
      if (!abortCommand(request)) return { after: answering(request.replyTo, work) };
      // An abort that was typed does not wait for its acknowledgement.
      const started = work();
      started.catch(() => undefined);
      return { after: answering(request.replyTo, () => started) };
    },
  };

  /** The service whose inbox records the request; null: it changes nothing, or names nothing that exists. */
  function recordedFor({ what }: Request): string | null {
    if (what.kind === 'click') return known(serviceOf(what.click.rollout));
    const parsed = parseCommand(what.text);
    if (!parsed.ok) return null;
    const { command } = parsed;
    switch (command.kind) {
      case 'deploy':
        return command.dryRun ? null : known(command.service);
      case 'abort':
        return command.target === null ? null : (known(command.target) ?? known(serviceOf(command.target)));
      case 'rollback':
        return command.service === null ? null : known(command.service);
      default:
        return null;
    }
  }

  function known(service: string | null): string | null {
    return service !== null && Object.hasOwn(config.services, service) ? service : null;
  }

  async function takeIn(request: Request, service: string) {
    try {
      return await store.take(service, request.key, request);
    } catch (error) {
      log.warn({ service, err: error }, 'request not recorded: Redis does not answer');
      return 'unreachable' as const;
    }
  }

  async function abortAtOnce(request: Request, click: AbortClick): Promise<{ after: () => Promise<void> }> {
    if (!mayAbort(request, click)) return { after: answering(request.replyTo, () => abortAfterAsking(request, click)) };
    const done = await abortNow(request, click);
    return { after: answering(request.replyTo, () => done()) };
  }

  /** Not known as someone who may: Slack is asked, then the rollout itself, after the acknowledgement. */
  async function abortAfterAsking(request: Request, click: AbortClick): Promise<Answer> {
    const access = config.services[click.service]?.access;
    if (access) await people.membership(whoMay('abort', access, null));
    if (!mayAbort(request, click)) return commands.abortById(request, click.rollout, click.reason);
    const done = await abortNow(request, click);
    return done();
  }

  /** Recorded, and on its way to the cluster, when this resolves; what it resolves with waits for the cluster's answer. */
  async function abortNow(request: Request, click: AbortClick): Promise<() => Promise<Answer>> {
    let started: AbortStart;
    try {
      started = await abort(click.rollout, actorOf(request), click.reason);
    } catch (error) {
      log.warn(
        { rollout: click.rollout, err: error },
        'abort not recorded: Redis does not answer, going straight to the cluster',
      );
      const done = blind(request, click);
      return () => done;
    }
    return () => commands.abortAnswer(click.rollout, started);
  }

  /** Decided from memory alone, since nothing may stand before an abort. */
  function mayAbort(request: Request, { rollout, service }: AbortClick): boolean {
    const access = known(service) === null ? null : config.services[service]?.access;
    if (!access || !people.wasFullMember(request.user)) return false;
    const requester = commands.requesterOf(rollout);
    return mayDo('abort', request.user, { access, requester }, people.lastKnown(), people.now()).kind === 'allowed';
  }

  function abortCommand({ what }: Request): { target: string } | null {
    if (what.kind !== 'command') return null;
    const parsed = parseCommand(what.text);
    return parsed.ok && parsed.command.kind === 'abort' && parsed.command.target !== null
      ? { target: parsed.command.target }
      : null;
  }

  async function blindCommand(request: Request, { target }: { target: string }): Promise<Answer> {
    const service = known(target) ?? known(serviceOf(target)) ?? target;
    const held = await deps.routerOf(service).getRoute(targetOf(service));
    const rollout = held?.marks?.rollout;
    if (!rollout || held?.marks?.phase !== 'active') return { kind: 'no rollout', given: target };
    const click = { rollout, service, reason: null };
    if (!mayAbort(request, click)) return { kind: 'not recorded' };
    return blind(request, click);
  }

  async function blind(request: Request, { rollout, service }: AbortClick): Promise<Answer> {
    const by = `${request.user}@${new Date().toISOString()}`;
    try {
      const written = await deps.routerOf(service).blindAbort(targetOf(service), rollout, by);
      if (written.kind === 'done') return { kind: 'aborted blind', service, id: rollout };
      const error = written.kind === 'fenced' ? `the route belongs to rollout ${written.by.rollout}` : wordsOf(written);
      return { kind: 'blind abort failed', service, id: rollout, error, command: commands.byHand(service) };
    } catch (error) {
      return {
        kind: 'blind abort failed',
        service,
        id: rollout,
        error: reasonOf(error),
        command: commands.byHand(service),
      };
    }
  }

  function targetOf(service: string) {
    const found = config.services[service];
    if (!found) throw new Error(`no service ${service} in the configuration`);
    return { ...found.target, container: found.target.container ?? '' };
  }

  /** A fault on our side is said with a reference that stands in the log; never thrown. */
  function answering(to: ReplyTo, work: () => Promise<Answer | null>): () => Promise<void> {
    return async () => {
      let answer: Answer | null;
      try {
        answer = await work();
      } catch (error) {
        const reference = deps.newReference();
        log.error({ reference, err: error }, 'request failed');
        answer = { kind: 'fault', reference };
      }
      if (answer) await chat.tell(to, answer);
    };
  }
}

function wordsOf(written: { kind: string; message?: string; drift?: { difference: string } }): string {
  return written.message ?? written.drift?.difference ?? written.kind;
}
