/** The queue on BullMQ. It carries hints only ("look at rollout X"): what is lost here comes back with the sweep. */
import { randomUUID } from 'node:crypto';
import { Queue as BullQueue, type JobsOptions, Worker } from 'bullmq';
import type { Log } from '../app/ports/log.ts';
import type { Queue } from '../app/ports/queue.ts';
import { connectBounded, connectPatient, disconnect } from './redis/connect.ts';

const NAME = 'ticks';
const ADD_TIMEOUT_MS = 1_000;
/** A tick stops itself well before: who still holds a job after this was frozen or killed. */
const LOCK_MS = 10_000;
const STALLED_EVERY_MS = 5_000;
const PROBE_EVERY_MS = 10_000;
const CLOSE_MS = 5_000;
const RETRY_MS = 1_000;
/** Timers of a rollout that fall into the same slot are one. */
const SLOT_MS = 100;

type Tick = { readonly id: string };

export function createQueue({
  url,
  env,
  log,
  concurrency,
}: {
  url: string;
  env: string;
  log: Log;
  concurrency: number;
}): Queue {
  const prefix = `{sluice-${env}}`;
  const producer = connectBounded(url, 'queue', log, ADD_TIMEOUT_MS);
  const queue = new BullQueue<Tick>(NAME, {
    connection: producer,
    prefix,
    // A producer that first waits for Redis would wait for ever while there is none.
    skipWaitingForReady: true,
    skipVersionCheck: true,
    streams: { events: { maxLen: 100 } },
    defaultJobOptions: { removeOnComplete: true, removeOnFail: 100 },
  });
  queue.on('error', (error) => log.warn({ err: error }, 'queue'));
  const probe = randomUUID();
  let consuming: { stop(): Promise<void> } | undefined;
  let progressed = performance.now();

  /** false: Redis did not take it. */
  async function add(id: string, options: JobsOptions): Promise<boolean> {
    try {
      await queue.add('tick', { id }, options);
      return true;
    } catch (error) {
      log.warn({ rollout: id, err: error }, 'hint not queued');
      return false;
    }
  }

  /** A restart does not bring Redis back: only while it answers is a consumer overdue. */
  async function sendProbe(): Promise<void> {
    if (!(await add('', { deduplication: { id: `probe-${probe}` } }))) progressed = performance.now();
  }

  function consume(handler: (id: string) => Promise<void>): { stop(): Promise<void> } {
    // The worker makes its blocking connection by itself, and cannot close it while it never had Redis.
    const patient = connectPatient(url, 'worker', log);
    const worker = new Worker<Tick>(
      NAME,
      async ({ data }) => {
        progressed = performance.now();
        if (data.id === '') return;
        // A failed tick is not retried here: the due index brings its rollout back.
        await handler(data.id).catch((error: unknown) => log.error({ rollout: data.id, err: error }, 'tick failed'));
      },
      {
        connection: patient.connection,
        prefix,
        concurrency,
        lockDuration: LOCK_MS,
        stalledInterval: STALLED_EVERY_MS,
        // After an outage; BullMQ's own 15 s would be the time in which nothing moves.
        runRetryDelay: RETRY_MS,
      },
    );
    worker.on('error', (error) => log.warn({ err: error }, 'worker'));
    // Without traffic nothing else would show that jobs still come through; a consumer can hang while its connection lives.
    const probing = setInterval(() => void sendProbe(), PROBE_EVERY_MS);
    return {
      async stop() {
        clearInterval(probing);
        await within(CLOSE_MS, worker.close());
        patient.close();
      },
    };
  }

  return {
    // During a tick of the same rollout the wake-up is kept for right after it; otherwise one waiting job is enough.
    async wake(id) {
      await add(id, { deduplication: { id: `wake-${id}`, keepLastIfActive: true } });
    },

    /**
     * Never shares an id with a wake-up, which a job that is still delayed would swallow. Each slot has its own id: without
     * any, every wake-up would begin another chain of timers that repeat themselves.
     */
    async wakeAt(id, at, now) {
      const slot = Math.ceil(at / SLOT_MS) * SLOT_MS;
      const deduplication = { id: `at-${id}-${slot}`, keepLastIfActive: true };
      await add(id, { delay: Math.max(0, slot - now), deduplication });
    },

    onTick(handler) {
      if (consuming) throw new Error('the queue has a handler already');
      progressed = performance.now();
      consuming = consume(handler);
    },

    backlog: () => queue.getWaitingCount(),

    lastProgress: () => progressed,

    async close() {
      await consuming?.stop();
      await queue.close();
      await disconnect(producer);
    },
  };
}

/** BullMQ's own close waits without end; what it leaves behind, the process takes with it. */
async function within(ms: number, work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([work.catch(() => undefined), late]);
  clearTimeout(timer);
}
