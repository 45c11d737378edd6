/** The picture of a gate: each check's last minutes, canary beside stable. Drawn when it is sent, from the metrics of then. */
import type { Metrics } from '../../app/ports.ts';
import type { Rollout } from '../../core/rollout.ts';
import { chartAlt, renderChart } from './chart.ts';

export type GateChart = (
  rollout: Rollout,
  gateNumber: number,
) => Promise<{ readonly png: Uint8Array; readonly alt: string } | null>;

const SHORTEST_MS = 60_000;
const LONGEST_MS = 30 * 60_000;

/** null: nothing was measured, so there is nothing to draw. */
export function createGateChart(metrics: Metrics): GateChart {
  return async (rollout, gateNumber) => {
    const gate = rollout.gates[gateNumber - 1];
    if (!gate?.measured || !rollout.guard || rollout.plan.checks.length === 0) return null;
    const to = gate.openedAt;
    // Shown with some room, but never measured from before the first canary traffic: an earlier canary had the same name.
    const from = Math.max(to - LONGEST_MS, Math.min(rollout.guard.since, to - SHORTEST_MS));
    const since = Math.max(from, rollout.guard.since);
    const series = await metrics.range(rollout.plan.target, rollout.plan.checks, since, to);
    if (series.every(({ points }) => points.length === 0)) return null;
    return { png: await renderChart(series, { from, to }), alt: chartAlt(series) };
  };
}
