/** The checks and tests shown at a gate: canary against stable, with a word as verdict. */
import type { KnownBlock } from '@slack/types';
import type { CheckResult, Reading } from '../../core/analysis.ts';
import { type Gate, looksGood, type TestResult } from '../../core/gate.ts';
import type { Check, Plan } from '../../core/plan.ts';
import { context, fields, table } from './block-kit.ts';
import { count, duration, line, plain } from './mrkdwn.ts';
import { noWordsFor } from './unknown.ts';
import { MAX } from './words.ts';

/** More rows than this are counted, not shown: a phone screen holds about ten. */
const ROWS = 10;

function amount(value: number, unit: Check['unit']): string {
  const digits = unit === '%' ? 2 : Math.abs(value) < 10 ? 2 : Math.abs(value) < 100 ? 1 : 0;
  const text = Number(value.toFixed(digits)).toLocaleString('en-US', { maximumFractionDigits: digits });
  return unit === 'ms' ? `${text} ms` : `${text}${unit}`;
}

/** `at least 99%`, `at most 500 ms` */
export function limitOf(check: Check): string {
  const limits: string[] = [];
  if (check.min !== null) limits.push(`at least ${amount(check.min, check.unit)}`);
  if (check.max !== null) limits.push(`at most ${amount(check.max, check.unit)}`);
  return limits.join(', ');
}

const UNKNOWN: Pick<Check, 'unit' | 'min' | 'max' | 'windowMs' | 'minRequests'> = {
  unit: '',
  min: null,
  max: null,
  windowMs: 0,
  minRequests: 0,
};
const checkOf = (plan: Plan, result: CheckResult) => plan.checks.find((check) => check.name === result.check);

function reading(value: Reading, unit: Check['unit']): string {
  return 'value' in value && Number.isFinite(value.value) ? amount(value.value, unit) : 'no data';
}

function verdict(plan: Plan, result: CheckResult): string {
  const check = checkOf(plan, result);
  switch (result.verdict) {
    case 'pass':
      return 'OK';
    case 'fail':
      return check ? `FAIL, ${limitOf(check)}` : 'FAIL';
    case 'no data':
      return `NO DATA, ${whyNoData(result, check)}`;
    default:
      return noWordsFor(result.verdict satisfies never);
  }
}

function whyNoData(result: CheckResult, check: Check | undefined): string {
  if ('missing' in result.canary) return line(result.canary.missing, 80);
  if (!Number.isFinite(result.canary.value)) return 'not a number';
  const needed = (check ?? UNKNOWN).minRequests;
  return `${count(result.requests?.canary ?? 0, 'request')} of ${needed} needed`;
}

/** What a person must see comes first when not everything fits. */
const URGENCY = { fail: 0, 'no data': 1, pass: 2 } as const;
function shown(results: readonly CheckResult[]): { readonly rows: readonly CheckResult[]; readonly more: number } {
  if (results.length <= ROWS) return { rows: results, more: 0 };
  const sorted = results.toSorted((a, b) => URGENCY[a.verdict] - URGENCY[b.verdict]);
  return { rows: sorted.slice(0, ROWS), more: results.length - ROWS };
}

export function snapshotBlocks(plan: Plan, results: readonly CheckResult[], asTable: boolean): KnownBlock[] {
  if (results.length === 0) return [];
  const { rows, more } = shown(results);
  const blocks = [asTable ? snapshotTable(plan, rows) : snapshotFields(plan, rows)];
  const sample = sampleLine(plan, results);
  const notes = [...(sample ? [sample] : []), ...(more > 0 ? [`${count(more, 'more check')} not shown`] : [])];
  if (notes.length > 0) blocks.push(context(notes.join(' · ')));
  return blocks;
}

function snapshotTable(plan: Plan, rows: readonly CheckResult[]): KnownBlock {
  return table([
    ['Check', 'Stable', 'Canary', 'Verdict'],
    ...rows.map((result) => {
      const unit = checkOf(plan, result)?.unit ?? '';
      return [
        line(result.check, MAX.name),
        reading(result.stable, unit),
        reading(result.canary, unit),
        verdict(plan, result),
      ];
    }),
  ]);
}

function snapshotFields(plan: Plan, rows: readonly CheckResult[]): KnownBlock {
  return fields(
    rows.map((result) => {
      const unit = checkOf(plan, result)?.unit ?? '';
      const sides = `canary ${reading(result.canary, unit)}\nstable ${reading(result.stable, unit)}`;
      return `*${plain(result.check, MAX.name)}*: ${plain(verdict(plan, result), 160)}\n${sides}`;
    }),
  );
}

/** `Last 1 min · canary 1,390 requests, stable 4,210` */
function sampleLine(plan: Plan, results: readonly CheckResult[]): string | null {
  const windows = results.map((result) => (checkOf(plan, result) ?? UNKNOWN).windowMs);
  const window = Math.max(0, ...windows);
  const counted = results.flatMap((result) => result.requests ?? []);
  const parts: string[] = [];
  if (window > 0) parts.push(`Last ${duration(window)}`);
  // The smallest sample is what the decision stands on.
  const smallest = counted.toSorted((a, b) => a.canary - b.canary)[0];
  if (smallest) {
    const stable = Math.round(smallest.stable).toLocaleString('en-US');
    parts.push(`canary ${count(Math.round(smallest.canary), 'request')}, stable ${stable}`);
  }
  return parts.length > 0 ? parts.join(' · ') : null;
}

/** One sentence on the checks: what a person needs for the decision. */
export function verdictLine(plan: Plan, gate: Gate): string {
  const { results, measured } = gate;
  if (!measured) return 'Checks: not measured, since no traffic reaches the canary yet.';
  if (results.length === 0) return 'No checks are configured for this service.';
  const failing = results.filter((result) => result.verdict === 'fail');
  const missing = results.filter((result) => result.verdict === 'no data');
  const parts: string[] = [];
  if (failing.length > 0) {
    const named = failing.slice(0, 3).map((result) => failure(plan, result));
    parts.push(
      `${count(failing.length, 'check FAILS', 'checks FAIL')}: ${named.join('; ')}${failing.length > 3 ? '; …' : ''}.`,
    );
  }
  if (missing.length > 0) {
    parts.push(`No data for ${missing.length} of ${count(results.length, 'check')}: that is not a pass.`);
  }
  if (parts.length > 0) return parts.join(' ');
  const all = `${results.length} of ${count(results.length, 'check')} ${results.length === 1 ? 'passes' : 'pass'}.`;
  return looksGood(gate) ? `Looks OK: ${all}` : all;
}

/** `p99 latency 812 ms on the canary, limit at most 500 ms` */
export function failure(plan: Plan, result: CheckResult): string {
  const check = checkOf(plan, result);
  const value = reading(result.canary, check?.unit ?? '');
  const limit = check ? `, limit ${limitOf(check)}` : '';
  return `${plain(result.check, MAX.name)} is ${value} on the canary${limit}`;
}

/** Each test with what the pods answered. */
export function testLine(tests: readonly TestResult[]): string | null {
  if (tests.length === 0) return null;
  const words = tests
    .slice(0, ROWS)
    .map(
      (test) =>
        `${plain(test.test, MAX.name)} ${test.passed ? 'passed' : 'FAILED'}${test.detail ? ` (${plain(test.detail, 120)})` : ''}`,
    );
  const more = tests.length > ROWS ? `; ${tests.length - ROWS} more` : '';
  return `Tests: ${words.join('; ')}${more}.`;
}
