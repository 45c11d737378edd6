/**
 * Turns Slack's payloads into requests. Nothing happens before the acknowledgement but `receive`, which records; whoever
 * clicks or types gets an answer whatever happens.
 */
import type { App, BlockAction, ButtonAction } from '@slack/bolt';
import type { WebClient } from '@slack/web-api';
import type { ReplyTo } from '../../app/ports/chat.ts';
import type { Log } from '../../app/ports/log.ts';
import type { Bot, Request } from '../../app/requests.ts';
import { FORM_FAILED, LATE, OLD_BUTTON, say } from './answers.ts';
import type { Directory, Origin } from './directory.ts';
import { reasonOf } from './errors.ts';
import { acknowledgeLater } from './events.ts';
import { approveAnywayForm, contextOf, FORM, formError, reasonIn } from './form.ts';
import { CLICKS, type ClickAction, clickOf, type Mention, messageOf, originOf, placeOf, typed } from './payloads.ts';
import type { Teller } from './tell.ts';

/** Slack shows its own error after 3 s, in words that nobody can change. */
const RECORD_MS = 2000;
const IDENTITY_MS = 500;

type Deps = {
  readonly bot: () => Bot;
  readonly client: WebClient;
  readonly directory: Directory;
  readonly tell: Teller;
  readonly log: Log;
};

/** How one kind of payload is acknowledged: when it counts, and with a sentence when it does not. */
type Ack = { readonly taken: () => Promise<void>; readonly refused: (text: string) => Promise<void> };

/** Registers the listeners; `settled` resolves when no request is being worked on. */
export function listen(app: App, deps: Deps): { settled(): Promise<void> } {
  const { directory, tell, log } = deps;
  const running = new Set<Promise<void>>();
  const acknowledgementOf = acknowledgeLater(app);

  app.command('/deploy', ({ command, ack }) =>
    track(
      take(
        {
          key: command.trigger_id,
          user: command.user_id,
          name: command.user_name,
          team: command.team_id,
          replyTo: {
            user: command.user_id,
            channel: command.channel_id,
            thread: null,
            responseUrl: command.response_url,
          },
          what: { kind: 'command', text: typed(command.text ?? ''), thread: null },
        },
        { team: command.team_id, enterprise: command.enterprise_id ?? null, app: command.api_app_id },
        { taken: () => ack(), refused: (text) => ack({ response_type: 'ephemeral', text }) },
      ),
    ),
  );

  for (const action of CLICKS) {
    app.action<BlockAction<ButtonAction>>(action, ({ body, action: pressed, ack }) =>
      track(clicked(action, body, pressed, ack)),
    );
  }
  app.action<BlockAction<ButtonAction>>('approve_anyway', ({ body, action, ack }) =>
    track(askForReason(body, action, ack)),
  );
  // A link: the client opens it by itself, and waits for the acknowledgement nevertheless.
  app.action('open_gate', ({ ack }) => ack());

  app.view({ callback_id: FORM, type: 'view_submission' }, ({ body, view, ack }) => {
    const context = contextOf(view.private_metadata);
    if (!context) return track(ack(formError(OLD_BUTTON)));
    const { channel, thread, rollout, gate, at } = context;
    const origin = originOf(body);
    const request: Request = {
      // Not the trigger: a second press in the same form is the same decision.
      key: view.id,
      user: body.user.id,
      name: body.user.name,
      team: origin.team,
      replyTo: { user: body.user.id, channel, thread, responseUrl: null },
      what: { kind: 'click', click: { action: 'approve', rollout, gate }, reason: reasonIn(view.state.values), at },
    };
    return track(take(request, origin, { taken: () => ack(), refused: (text) => ack(formError(text)) }));
  });

  app.event('app_mention', ({ event, body, context }) => {
    // Programs talk to nobody here, and an edited message was answered before.
    if (event.bot_id !== undefined || event.user === undefined || 'edited' in event) return Promise.resolve();
    const isRepeated = context.retryNum !== undefined;
    return track(mentioned({ ...event, user: event.user }, body, isRepeated, acknowledgementOf(body)));
  });

  return {
    async settled() {
      while (running.size > 0) await Promise.allSettled(running);
    },
  };

  function track(work: Promise<void>): Promise<void> {
    const tracked = work.finally(() => running.delete(tracked));
    running.add(tracked);
    return tracked;
  }

  async function clicked(
    action: ClickAction,
    body: BlockAction,
    pressed: ButtonAction,
    ack: () => Promise<void>,
  ): Promise<void> {
    const replyTo = placeOf(body);
    const click = clickOf(action, pressed.value);
    const replies = answeringBesides(replyTo, ack);
    if (!click) return replies.refused(OLD_BUTTON);
    const key = body.trigger_id;
    const { id: user, name } = body.user;
    const origin = originOf(body);
    const what = { kind: 'click', click, reason: null, at: messageOf(body) } as const;
    await take({ key, user, name: name ?? user, team: origin.team, replyTo, what }, origin, replies);
  }

  /** The trigger lives for 3 s: the form is opened at once, before anything is looked up. */
  async function askForReason(body: BlockAction, pressed: ButtonAction, ack: () => Promise<void>): Promise<void> {
    const replyTo = placeOf(body);
    await ack();
    const click = clickOf('approve', pressed.value);
    if (!click || !('gate' in click)) return tell(replyTo, OLD_BUTTON);
    const foreign = await refusalOf(originOf(body));
    if (foreign) return tell(replyTo, foreign);
    const view = approveAnywayForm({
      rollout: click.rollout,
      gate: click.gate,
      channel: replyTo.channel,
      thread: replyTo.thread,
      at: messageOf(body),
    });
    try {
      await deps.client.views.open({ trigger_id: body.trigger_id, view });
    } catch (error) {
      log.warn({ rollout: click.rollout, error: reasonOf(error) }, 'form not opened');
      await tell(replyTo, FORM_FAILED);
    }
  }

  async function mentioned(
    event: Mention,
    body: {
      readonly team_id: string;
      readonly enterprise_id?: string;
      readonly api_app_id: string;
      readonly event_id: string;
    },
    isRepeated: boolean,
    ack: () => Promise<void>,
  ): Promise<void> {
    const { user, channel } = event;
    const thread = event.thread_ts ?? null;
    const replyTo: ReplyTo = { user, channel, thread, responseUrl: null };
    // A person from elsewhere in a shared channel carries another team than the event.
    const team = event.user_team ?? event.team ?? body.team_id;
    const [name, text] = await Promise.all([within(IDENTITY_MS, directory.nameOf(user)), afterMention(event.text)]);
    const request: Request = {
      ...{ key: body.event_id, isRepeated, user, name: name === 'late' ? user : name, team, replyTo },
      what: { kind: 'command', text: typed(text), thread: thread === null ? null : { channel, ts: thread } },
    };
    await take(
      request,
      { team, enterprise: body.enterprise_id ?? null, app: body.api_app_id },
      answeringBesides(replyTo, ack),
    );
  }

  async function afterMention(text: string): Promise<string> {
    const known = await within(
      IDENTITY_MS,
      directory.identity().catch(() => null),
    );
    const user = known === 'late' ? null : (known?.user ?? null);
    const [own] = text.matchAll(/<@([UW][A-Z0-9_]+)(?:\|[^>]*)?>/g).filter(([, id]) => user === null || id === user);
    return own ? text.slice(own.index + own[0].length).trim() : text;
  }

  /** The acknowledgement of a click says nothing: the sentence goes to the person besides. */
  function answeringBesides(replyTo: ReplyTo, ack: () => Promise<void>): Ack {
    return {
      taken: ack,
      refused: async (text) => {
        await ack().catch((error: unknown) => log.warn({ error: reasonOf(error) }, 'not acknowledged'));
        await tell(replyTo, text);
      },
    };
  }

  async function take(request: Request, origin: Origin, ack: Ack): Promise<void> {
    const foreign = await refusalOf(origin);
    if (foreign) return ack.refused(foreign);
    const received = recorded(request);
    const outcome = await within(RECORD_MS, received);
    if (outcome === 'late') {
      log.warn({ user: request.user }, 'request not recorded in time');
      await ack.refused(LATE);
    } else if (outcome === null) {
      return ack.refused(say({ kind: 'not recorded' }));
    } else {
      // Recorded is recorded: a broken acknowledgement does not undo it.
      await ack.taken().catch((error: unknown) => log.warn({ error: reasonOf(error) }, 'not acknowledged'));
    }
    await (await received)?.after();
  }

  /** null: not recorded. */
  async function recorded(request: Request): Promise<{ after: () => Promise<void> } | null> {
    try {
      return await deps.bot().receive(request);
    } catch (error) {
      log.warn({ user: request.user, error: reasonOf(error) }, 'request not recorded');
      return null;
    }
  }

  /** What to say to people from elsewhere, and to everybody while Slack has not told who we are; null: go on. */
  async function refusalOf(origin: Origin): Promise<string | null> {
    const isOwn = await within(
      IDENTITY_MS,
      directory.isOwn(origin).catch(() => null),
    );
    if (isOwn === 'late' || isOwn === null) return say({ kind: 'not recorded' });
    return isOwn ? null : say({ kind: 'not a member' });
  }
}

async function within<T>(ms: number, work: Promise<T>): Promise<T | 'late'> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(() => resolve('late'), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
