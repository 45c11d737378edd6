/** The demo's `sluice.yaml`: a rollout that can be lived through in minutes. */
import { stringify } from 'yaml';
import { NAMESPACE } from '../world.ts';

export type DemoConfig = {
  /** Keeps what it writes apart when Redis is not the demo's own. */
  readonly env: string;
  readonly channel: string;
  readonly prometheus: string;
  readonly deploy: readonly string[];
  readonly approve: readonly string[];
  /** The local Slack's page draws no tables. */
  readonly tables: boolean;
  /** Whether this machine reaches the pods at their own addresses. */
  readonly tests: boolean;
};

const BAKE = '15s';
const CHECK = { interval: '5s', window: '30s', minRequests: 10 };

const step = (weight: number) => ({ weight, bake: BAKE, gate: true });

export function demoConfiguration({ env, channel, prometheus, deploy, approve, tables, tests }: DemoConfig): string {
  const alone = deploy.length === 1 && deploy.join() === approve.join();
  return stringify({
    env,
    slack: { channel, tables },
    metrics: { prometheus },
    services: {
      world: {
        namespace: NAMESPACE,
        deployment: 'world',
        image: 'buoyantio/world:{version}',
        versions: 'v[0-9][\\w.-]*',
        traffic: { router: 'gateway-api', route: 'world' },
        strategies: ['canary'],
        checks: [
          { name: 'success rate', query: 'linkerd/success-rate', min: 99, ...CHECK },
          { name: 'p99 latency', query: 'linkerd/latency-p99', max: '500ms', ...CHECK },
        ],
        tests: tests ? [{ name: 'smoke', get: '/healthz' }] : [],
        // Nobody approves what they started, unless there is nobody else.
        access: { deploy, approve, fourEyes: !alone },
        coolDown: '5s',
        readyTimeout: '1m',
      },
    },
    strategies: {
      canary: [
        { preview: { header: 'x-canary: always' }, ...(tests ? { test: true } : {}), gate: true },
        ...[10, 50, 100].map(step),
      ],
    },
  });
}
