/** For `doctor`: whether Prometheus answers, and what each check would say of the version that serves now. */
import type { CheckReading } from '../../app/doctor.ts';
import type { Check, Target } from '../../core/plan.ts';
import { createClient } from './client.ts';
import { liveQueryOf } from './queries.ts';

const TIMEOUT_MS = 4_500;
const LOOKBACK_MS = 300_000;

export type PrometheusInspector = {
  /** null: it answers; else why it does not. */
  trouble(): Promise<string | null>;
  readCheck(target: Target, check: Check): Promise<CheckReading>;
};

export function inspectPrometheus(url: string): PrometheusInspector {
  const client = createClient(url);
  const ask = (query: string) => client.number(query, LOOKBACK_MS, AbortSignal.timeout(TIMEOUT_MS));

  return {
    async trouble() {
      const answer = await ask('1');
      return 'missing' in answer ? answer.missing : null;
    },

    async readCheck(target, check) {
      const query = liveQueryOf(target, check, check.windowMs);
      if (query === null) return { kind: 'only during a rollout' };
      const answer = await ask(query);
      if ('value' in answer) return { kind: 'value', value: answer.value };
      if (answer.missing === 'no samples') return { kind: 'no series', remedy: remedyOf(check.query) };
      // A ratio or a quantile of nothing: the series are there.
      if (/^(NaN|[+-]Inf)/.test(answer.missing)) return { kind: 'idle' };
      return { kind: 'wrong', problem: answer.missing };
    },
  };
}

/** Where the series of a check come from. */
function remedyOf(query: string): string {
  if (query.startsWith('linkerd/'))
    return "mesh the Deployment's pods with Linkerd, and let this Prometheus scrape their proxies.";
  if (query.startsWith('traefik/'))
    return "turn on Traefik's Prometheus metrics with labels for services (addServicesLabels), and let this Prometheus scrape it.";
  return 'try the query in Prometheus, and correct it in sluice.yaml.';
}
