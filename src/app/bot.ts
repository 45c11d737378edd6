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
import type { People } from './people.ts';
import { createPersistence } from './persistence.ts';
import type { Chat } from './ports/chat.ts';
import type { Log } from './ports/log.ts';
import type { TrafficRouter } from './ports/router.ts';
import type { Store } from './ports/store.ts';
import { createRates } from './rates.ts';
import { actorOf, type Bot, type Request, type Taken, THREADS } from './requests.ts';
import { createTurns } from './turns.ts';

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

/** Requests that are worked on at once after their acknowledgement; an abort takes no turn. */
const ANSWERED_AT_ONCE = 30;

type AbortClick = { readonly rollout: string; readonly service: string; readonly reason: string | null };

export function createBot(deps: Deps): Bot {
  const { config, store, chat, people, abort, commands, log } = deps;
  const inTurn = createTurns(ANSWERED_AT_ONCE);
  const { insist, untilSettled } = createPersistence({ store, log, now: people.now, reconcile: deps.reconcile });
  const { limited } = createRates({ store, log, perMinute: config.slack.perMinute });

  return {
    async receive(request) {
      const { what } = request;
      if (what.kind === 'click' && what.click.action === 'abort') {
        const { rollout, env, service } = what.click;
        const refused = notOurs(rollout, env, service);
        if (refused) return { after: answering(request, async () => refused) };
        return abortAtOnce(request, { rollout, service, reason: what.reason });
      }
      const stop = abortOf(request);
      const inbox = inboxOf(request);
      if (inbox === null) {
        const look = () => commands.answer(request);
        return { after: answering(request, stop ? look : () => inTurn(() => limited(request, 'looks', look))) };
      }
      const taken = await takeIn(request, inbox);
      if (taken === 'unreachable') {
        const target = stop?.target ?? null;
        if (target === null) throw new Error('the request could not be recorded');
        return { after: answering(request, () => blindCommand(request, inbox, target)) };
      }
      if (taken.kind === 'duplicate') {
        // What Slack repeats is answered where it came first.
        const said: Answer | null = request.isRepeated ? null : { kind: 'replayed' };
        return { after: answering(request, async () => said) };
      }
      const entry = taken.kind === 'new' ? { service: inbox, id: taken.id } : null;
      if (!stop) {
        const within = (work: () => Promise<Answer | null>) => limited(request, 'acts', work);
        const act = () =>
          entry ? commands.carryOut(request, entry, within) : within(async () => ({ kind: 'inbox full' }));
        return { after: answering(request, () => inTurn(act), entry) };
      }
      const withLost = async (work: () => Promise<Answer | null>) => {
        const said = await work();
        const isLost = said?.kind === 'no rollout' || said?.kind === 'unreadable';
        return isLost && stop.target !== null ? lostCommand(request, inbox, stop.target, said) : said;
      };
      const act = () =>
        entry ? commands.carryOut(request, entry, withLost) : withLost(() => commands.answer(request));
      // An abort that was typed does not wait for its acknowledgement, nor for room in the inbox.
      const started = act();
      started.catch(() => undefined);
      let tries = 0;
      return { after: answering(request, () => (tries++ === 0 ? started : act()), entry) };
    },
  };

  /** Whose inbox records the request, a service's or that of the threads; null: it changes nothing, or names nothing that exists. */
  function inboxOf({ what }: Request): string | null {
    if (what.kind === 'click') return known(serviceOf(what.click.rollout));
    const parsed = parseCommand(what.text);
    if (!parsed.ok) return null;
    const { command } = parsed;
    const here = what.thread ? THREADS : null;
    switch (command.kind) {
      case 'deploy':
        return command.dryRun ? null : known(command.service);
      case 'abort':
        return command.target === null ? here : (known(command.target) ?? known(serviceOf(command.target)));
      case 'rollback':
        return command.service === null ? here : known(command.service);
      case 'approve':
        return here;
      default:
        return null;
    }
  }

  /** An Abort carries the service whose rights are asked: it must be the rollout's own. */
  function notOurs(rollout: string, env: string, service: string): Answer | null {
    if (env !== config.env) return { kind: "another installation's button", given: env, own: config.env };
    return serviceOf(rollout) === service ? null : { kind: 'altered button' };
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
    if (!mayAbort(request, click)) return { after: answering(request, () => abortAfterAsking(request, click)) };
    const done = await abortNow(request, click);
    return { after: answering(request, () => done()) };
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
        'abort not recorded: Redis does not answer, or with nothing that can be read; going straight to the cluster',
      );
      const done = withoutRedis(request, click).then((outcome) => blindAnswer(click, outcome));
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
    if (rollout === null || (said.kind === 'no rollout' && (await store.load(rollout)))) return said;
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

  function abortOf({ what }: Request) {
    const parsed = what.kind === 'command' ? parseCommand(what.text) : null;
    return parsed?.ok && parsed.command.kind === 'abort' ? parsed.command : null;
  }

  async function blindCommand(request: Request, service: string, target: string): Promise<Answer> {
    const rollout = await heldBy(service, target);
    if (rollout === null) return { kind: 'no rollout', given: target };
    const click = { rollout, service, reason: null };
    if (!mayAbort(request, click)) return { kind: 'not recorded' };
    return blindAnswer(click, await withoutRedis(request, click));
  }

  /** The rollout that holds the service's route, if it is the one that is meant. */
  async function heldBy(service: string, target: string): Promise<string | null> {
    const marks = (await deps.routerOf(service).getRoute(targetOf(service)))?.marks;
    if (marks?.phase !== 'active') return null;
    return target === service || target === marks.rollout ? marks.rollout : null;
  }

  /** Cleaned up and told in the thread as soon as Redis is back, not with the look of the minute. */
  function withoutRedis(request: Request, click: AbortClick): Promise<Blind> {
    const done = blind(request, click);
    void done.then(() => insist('look after a blind abort', async () => void (await store.now()))).then(deps.reconcile);
    return done;
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
  function answering(request: Request, work: () => Promise<Answer | null>, taken: Taken = null): () => Promise<void> {
    return async () => {
      let answer: Answer | null;
      try {
        answer = await untilSettled(work, taken);
      } catch (error) {
        const reference = deps.newReference();
        log.error({ reference, err: error }, 'request failed');
        answer = { kind: 'fault', reference };
      }
      if (answer) await chat.tell(request.replyTo, answer);
      if (taken && answer?.kind === 'fault')
        void insist('drop a failed request', () => commands.giveUp(request, taken));
    };
  }
}
