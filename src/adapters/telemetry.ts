/** What Prometheus may ask of the bot itself, at /metrics. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Store } from '../app/ports/store.ts';
import { isTerminal, type Rollout } from '../core/rollout.ts';

export type Telemetry = ReturnType<typeof createTelemetry>;

type Sources = {
  readonly services: readonly string[];
  readonly store: Pick<Store, 'active'> & {
    backlog(): Promise<number>;
    /** null: not known. */
    phases(ids: readonly string[]): Promise<readonly (string | null)[]>;
  };
};

export function createTelemetry() {
  const register = new Registry();
  const registers = [register];
  collectDefaultMetrics({ register });
  const ticks = new Histogram({
    name: 'sluice_tick_duration_seconds',
    help: 'Looks at a rollout by this replica',
    buckets: [0.01, 0.03, 0.1, 0.3, 1, 3, 10],
    registers,
  });
  const requests = new Counter({
    name: 'sluice_kubernetes_requests_total',
    help: 'Requests to the API server by this replica; code 0: no answer',
    labelNames: ['verb', 'code'],
    registers,
  });
  const aborts = new Counter({
    name: 'sluice_aborts_total',
    help: 'Aborts that this replica recorded, by cause',
    labelNames: ['cause'],
    registers,
  });
  const ended = new Counter({
    name: 'sluice_rollouts_ended_total',
    help: 'Rollouts whose end this replica recorded',
    labelNames: ['result'],
    registers,
  });

  return {
    contentType: register.contentType,
    text: () => register.metrics(),

    /** Measures a tick. */
    async timed(tick: () => Promise<void>): Promise<void> {
      const done = ticks.startTimer();
      await tick().finally(done);
    },

    requested: (verb: string, code: number): void => requests.inc({ verb, code }),

    transition({ phase: before }: Rollout, after: Rollout): void {
      const { phase } = after;
      if (phase.kind === 'aborting' && before.kind !== 'aborting') aborts.inc({ cause: phase.cause.kind });
      if (isTerminal(after)) ended.inc({ result: phase.kind });
    },

    /** Looked up when somebody asks. Every replica says the same of these; without Redis they are absent. */
    watch({ services, store }: Sources): void {
      new Gauge({
        name: 'sluice_rollouts',
        help: 'Rollouts that have not ended, by phase; the same on every replica',
        labelNames: ['phase'],
        registers,
        async collect() {
          this.reset();
          const ids = await store.active(services).catch(() => []);
          for (const phase of await store.phases(ids).catch(() => [])) if (phase !== null) this.inc({ phase });
        },
      });
      new Gauge({
        name: 'sluice_unsent_rollouts',
        help: 'Rollouts with messages that Slack does not show yet; the same on every replica',
        registers,
        async collect() {
          const backlog = await store.backlog().catch(() => null);
          if (backlog === null) this.remove();
          else this.set(backlog);
        },
      });
    },
  };
}
