/**
 * Bolt acknowledges an event before any listener has seen it: what a process that dies then had in hand would be lost. Here
 * the listener says when, and Slack delivers again (3 times, from 3 s on) what nobody took.
 */
import type { App } from '@slack/bolt';

type Acknowledge = () => Promise<void>;

/** Answers with how a listener acknowledges the event of its `body`; what no listener takes is acknowledged after all of them. */
export function acknowledgeLater(app: App): (body: object) => Acknowledge {
  const open = new WeakMap<object, Acknowledge>();
  const process = app.processEvent.bind(app);
  app.processEvent = async (event) => {
    const { body, ack } = event;
    if (body.type !== 'event_callback') return process(event);
    let isDone = false;
    const acknowledge = async () => {
      if (isDone) return;
      isDone = true;
      await ack();
    };
    open.set(body, acknowledge);
    await process({ ...event, ack: async () => undefined });
    await acknowledge();
  };
  return (body) => open.get(body) ?? (async () => undefined);
}
