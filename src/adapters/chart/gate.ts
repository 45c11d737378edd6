/** The picture of a gate: each check's last minutes, canary beside stable. Drawn when it is sent, from the metrics of then. */
import type { Metrics, Series } from '../../app/ports/metrics.ts';
import type { Gate } from '../../core/gate.ts';
import type { Rollout } from '../../core/rollout.ts';
import { chartAlt, renderChart } from './chart.ts';

export type GateChart = (
  rollout: Rollout,
  gateNumber: number,
) => Promise<{ readonly png: Uint8Array; readonly alt: string } | null>;

const LONGEST_MS = 30 * 60_000;

/** null: nothing was measured, so there is nothing to draw. */
export function createGateChart(metrics: Metrics): GateChart {
  return async (rollout, gateNumber) => {
    const gate = rollout.gates[gateNumber - 1];
    if (!gate?.measured || !rollout.guard || rollout.plan.checks.length === 0) return null;
    const to = gate.openedAt;
    // Never from before the first canary traffic: an earlier canary had the same name.
    const from = Math.max(to - LONGEST_MS, rollout.guard.since);
    const measured = await metrics.range(rollout.plan.target, rollout.plan.checks, from, to);
    const series = measured.map((line) => ({ ...line, points: [...line.points, ...snapshotPoint(gate, line)] }));
    if (series.every(({ points }) => points.length === 0)) return null;
    return { png: await renderChart(series, { from, to }), alt: chartAlt(series) };
  };
}

/** The line ends at the value that stands above the buttons, so that both say the same. */
function snapshotPoint(gate: Gate, { check, side }: Series): Series['points'] {
  const reading = gate.results.find((result) => result.check === check.name)?.[side];
  return reading && 'value' in reading && Number.isFinite(reading.value)
    ? [{ at: gate.openedAt, value: reading.value }]
    : [];
}
