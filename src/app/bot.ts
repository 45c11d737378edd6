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
import type { Blind, BlindAbort } from './blind.ts';
import type { Commands } from './commands.ts';
import { pause } from './pause.ts';
import type { People } from './people.ts';
import type { Chat, Log, ReplyTo, Store, TrafficRouter } from './ports.ts';
import { actorOf, type Bot, type Request, type Taken } from './requests.ts';

type Deps = {
  readonly config: Config;
  readonly store: Store;
  readonly chat: Chat;
  readonly people: People;
  readonly abort: Abort;
  readonly blindAbort: BlindAbort;
  readonly commands: Commands;
  readonly routerOf: (service: string) => TrafficRouter;
  readonly log: Log;
  readonly newReference: () => string;
  /** Looks at once for rollouts that only the cluster knows. */
  readonly reconcile: () => void;
};

/** Redis knows a key for as long. */
const INSIST_MS = 600_000;
const INSIST_EVERY_MS = 500;

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
        return { after: answering(request.replyTo, () => blindCommand(request, service, wanted.target)) };
      }
      if (taken.kind === 'duplicate') return { after: answering(request.replyTo, async () => ({ kind: 'replayed' })) };
      const entry = { service, id: taken.id };
      const wanted = abortCommand(request);
      if (!wanted) return { after: answering(request.replyTo, () => commands.answer(request, entry), entry) };
      // An abort that was typed does not wait for its acknowledgement.
      const started = commands
        .answer(request, entry)
        .then((said) => (said?.kind === 'no rollout' ? lostCommand(request, service, wanted.target, said) : said));
      started.catch(() => undefined);
      return { after: answering(request.replyTo, () => started, entry) };
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
      // Redis may only have been slow: what is told to be without effect must stay so.
      void insist('take a request back', () => store.untake(service, request.key));
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
      const done = blind(request, click).then((outcome) => blindAnswer(click, outcome));
      return () => done;
    }
    if (started.kind !== 'unknown') return () => commands.abortAnswer(click.rollout, started);
    const done = abortLost(request, click);
    return () => done;
  }

  /** Redis answers and does not know the rollout: it lost its data, or the rollout ended long ago. */
  async function abortLost(request: Request, click: AbortClick): Promise<Answer> {
    const done = await blind(request, click);
    if (done.kind === 'not held') return { kind: 'no rollout', given: click.rollout };
    deps.reconcile();
    return blindAnswer(click, done);
  }

  /** `said`: the answer when the cluster knows no lost rollout either. */
  async function lostCommand(request: Request, service: string, target: string, said: Answer): Promise<Answer> {
    const rollout = await heldBy(service, target);
    if (rollout === null || (await store.load(rollout))) return said;
    const click = { rollout, service, reason: null };
    const access = config.services[service]?.access;
    if (access && !mayAbort(request, click)) await people.membership(whoMay('abort', access, null));
    return mayAbort(request, click) ? abortLost(request, click) : said;
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

  async function blindCommand(request: Request, service: string, target: string): Promise<Answer> {
    const rollout = await heldBy(service, target);
    if (rollout === null) return { kind: 'no rollout', given: target };
    const click = { rollout, service, reason: null };
    if (!mayAbort(request, click)) return { kind: 'not recorded' };
    return blindAnswer(click, await blind(request, click));
  }

  /** The rollout that holds the service's route, if it is the one that is meant. */
  async function heldBy(service: string, target: string): Promise<string | null> {
    const marks = (await deps.routerOf(service).getRoute(targetOf(service)))?.marks;
    if (marks?.phase !== 'active') return null;
    return target === service || target === marks.rollout ? marks.rollout : null;
  }

  function blind(request: Request, { rollout, service }: AbortClick): Promise<Blind> {
    const by = `${request.user}(${request.name})@${new Date().toISOString()}`;
    return deps.blindAbort(targetOf(service), rollout, by);
  }

  function blindAnswer({ rollout: id, service }: AbortClick, done: Blind): Answer {
    switch (done.kind) {
      case 'done':
        return { kind: 'aborted blind', service, id };
      case 'waiting':
        return { kind: 'demoted blind', service, id };
      case 'promoted':
        return { kind: 'promoted blind', service };
      default: {
        const error = done.kind === 'failed' ? done.error : `its route is not held by rollout ${id}`;
        return { kind: 'blind abort failed', service, id, error, command: commands.byHand(service) };
      }
    }
  }

  function targetOf(service: string) {
    const found = config.services[service];
    if (!found) throw new Error(`no service ${service} in the configuration`);
    return { ...found.target, container: found.target.container ?? '' };
  }

  /** A fault on our side is said with a reference that stands in the log, and is not worked on later; never thrown. */
  function answering(to: ReplyTo, work: () => Promise<Answer | null>, taken: Taken = null): () => Promise<void> {
    return async () => {
      let answer: Answer | null;
      try {
        answer = await work();
      } catch (error) {
        const reference = deps.newReference();
        log.error({ reference, err: error }, 'request failed');
        answer = { kind: 'fault', reference };
        if (taken) void insist('drop a failed request', () => store.drop(taken.service, taken.id));
      }
      if (answer) await chat.tell(to, answer);
    };
  }

  /** Goes on trying while Redis is away. */
  async function insist(what: string, work: () => Promise<void>): Promise<void> {
    for (const end = people.now() + INSIST_MS; ; await pause(INSIST_EVERY_MS)) {
      try {
        return await work();
      } catch (error) {
        if (people.now() < end) continue;
        return log.error({ what, err: error }, 'given up: Redis does not answer');
      }
    }
  }
}
