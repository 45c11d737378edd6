/** How scenarios read the channel and act in it. Every wait ends with an event in Slack, or fails with the channel as text. */
import { kinds } from '../../../playground/api-server/kinds.ts';
import type { Message, Name } from '../../support/fake-slack/index.ts';
import type { Stage } from './stage.ts';

/** `timeoutMs`: how long what needs work in the cluster may take. */
export function readChannel({ slack, get }: Stage, timeoutMs = 15_000) {
  /** The newest message of the thread with this button. */
  const gate = (label: string): Promise<Message> =>
    slack.until(() => slack.thread().findLast((message) => slack.buttons(message).includes(label)), {
      what: `a message with "${label}"`,
      timeoutMs,
    });

  return {
    gate,
    async press(user: Name, label: string): Promise<Message> {
      const message = await gate(label);
      await slack.click(user, message, label);
      return message;
    },
    /** Approves what cannot be approved without a reason. */
    async approveAnyway(user: Name, reason: string): Promise<void> {
      await slack.click(user, await gate('Approve anyway…'), 'Approve anyway…');
      await slack.until(() => slack.form(user), { what: 'the form for the reason' });
      await slack.submit(user, { reason });
    },
    said: (words: RegExp): Promise<Message> =>
      slack.until(() => slack.thread().find((message) => words.test(message.text)), { what: `${words}`, timeoutMs }),
    told: (user: Name, words: RegExp): Promise<string> =>
      slack.until(() => slack.ephemerals(user).find((text) => words.test(text)), { what: `${words} to ${user}` }),
    /** Nothing of the canary is left. */
    cleaned: () =>
      slack.until(() => get(kinds.deployments, 'world-canary') === undefined, { what: 'clean-up', timeoutMs }),
    image: (name: string) => get(kinds.deployments, name)?.spec.template.spec.containers[0]?.image,
  };
}
