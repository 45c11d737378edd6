/**
 * How much one person and one channel may ask, counted by all replicas together and only after the acknowledgement. Whoever
 * asks for more is told once a minute; nothing that is refused reaches Slack or the cluster, so nobody else waits for it.
 */
import type { Answer } from './answers.ts';
import type { Log } from './ports/log.ts';
import type { Store } from './ports/store.ts';
import type { Request } from './requests.ts';

type Deps = {
  readonly store: Pick<Store, 'throttle'>;
  readonly log: Log;
  /** Of one person; a channel gets `CHANNEL` times as much. */
  readonly perMinute: number;
};

type Kind = 'acts' | 'looks';

const CHANNEL = 5;
/** The part of a minute's requests that may come at once. */
const BURST = 1 / 3;

export function createRates({ store, log, perMinute }: Deps) {
  /** Does it, unless there are too many. What changes something (`acts`) and what only looks are counted apart. */
  async function limited(request: Request, what: Kind, work: () => Promise<Answer | null>): Promise<Answer | null> {
    const waitMs = await wait(request, what);
    if (waitMs === 0) return work();
    // A flood must not become a flood of answers.
    if ((await store.throttle(`told:${request.user}`, 1, 1)) > 0) return null;
    log.warn({ user: request.user, channel: request.replyTo.channel }, 'too many requests');
    return { kind: 'too many', seconds: Math.ceil(waitMs / 1000) };
  }

  /** The person first: whose own are used up takes nothing from the channel. */
  async function wait({ user, replyTo }: Request, what: Kind): Promise<number> {
    try {
      const own = await take(`person:${user}:${what}`, perMinute);
      return own > 0 ? own : await take(`channel:${replyTo.channel}:${what}`, CHANNEL * perMinute);
    } catch (error) {
      // Without Redis little can be done anyway, and that little should be.
      log.debug({ user, err: error }, 'requests not counted: Redis does not answer');
      return 0;
    }
  }

  const take = (bucket: string, rate: number) => store.throttle(bucket, rate, Math.ceil(rate * BURST));

  return { limited };
}
