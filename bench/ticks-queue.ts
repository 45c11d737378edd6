/** The queue of a bot's hints, as somebody else who looks at it sees it. */
import { Queue } from 'bullmq';

const COUNT_EVERY_MS = 250;

export type TicksQueue = Queue<{ id: string }>;

export function openTicks(redis: string, env: string): TicksQueue {
  const { hostname: host, port, username, password } = new URL(redis);
  const connection = { host, port: Number(port), ...(username && { username }), ...(password && { password }) };
  return new Queue('ticks', {
    connection,
    prefix: `{sluice-${env}}`,
    defaultJobOptions: { removeOnComplete: true },
  });
}

/**
 * The fewest workers that were busy at any look, by the queue's own word: one that hands a job back and takes the next is busy,
 * too.
 */
export function countBusy(queue: TicksQueue) {
  let fewest = Number.POSITIVE_INFINITY;
  const look = async () => {
    fewest = Math.min(fewest, await queue.getActiveCount());
  };
  const timer = setInterval(() => void look(), COUNT_EVERY_MS);
  return { fewest: () => fewest, stop: () => clearInterval(timer) };
}
