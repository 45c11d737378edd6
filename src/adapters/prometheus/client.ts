/** Prometheus' HTTP API (`/api/v1/query`, `/api/v1/query_range`). Whatever goes wrong is an answer: why there is no value. */
import { z } from 'zod';

type Points = readonly { readonly at: number; readonly value: number }[];
type Missing = { readonly missing: string };

export type PrometheusClient = {
  /** The one number that the query gives now. `lookbackMs`: older samples do not count. */
  number(query: string, lookbackMs: number, signal: AbortSignal): Promise<{ readonly value: number } | Missing>;
  /** Times in ms; points without a finite value are left out. */
  line(
    query: string,
    from: number,
    to: number,
    stepMs: number,
    signal: AbortSignal,
  ): Promise<{ readonly points: Points } | Missing>;
};

const MAX_ANSWER_BYTES = 1_000_000;
const MAX_REASON = 160;

const Sample = z.tuple([z.number(), z.string()]);
const Data = z.discriminatedUnion('resultType', [
  z.object({ resultType: z.literal('vector'), result: z.array(z.object({ value: Sample.optional() })) }),
  z.object({ resultType: z.literal('scalar'), result: Sample }),
  z.object({ resultType: z.literal('matrix'), result: z.array(z.object({ values: z.array(Sample).optional() })) }),
]);
const Answer = z.union([
  z.object({ status: z.literal('success'), data: Data, warnings: z.array(z.string()).optional() }),
  z.object({ status: z.literal('error'), errorType: z.string(), error: z.string() }),
]);

export function createClient(base: string): PrometheusClient {
  const root = base.replace(/\/+$/, '');

  async function ask(
    path: string,
    form: Record<string, string>,
    signal: AbortSignal,
  ): Promise<z.output<typeof Data> | Missing> {
    try {
      // A redirect would be followed to wherever the answer says: it is not.
      const request = { method: 'POST', body: new URLSearchParams(form), redirect: 'manual', signal } as const;
      const response = await fetch(`${root}/api/v1/${path}`, request);
      const text = await readBounded(response);
      if (text === null) return missing('the answer is too large');
      return understand(text, response.status);
    } catch (error) {
      return missing(faultOf(error));
    }
  }

  return {
    async number(query, lookbackMs, signal) {
      const form = { query, timeout: '5s', lookback_delta: `${Math.max(1, Math.floor(lookbackMs / 1000))}s` };
      const data = await ask('query', form, signal);
      if ('missing' in data) return data;
      if (data.resultType === 'scalar') return finite(data.result[1]);
      if (data.resultType === 'matrix') return missing('a range instead of one number');
      if (data.result.length > 1) return missing('several series instead of one number');
      const value = data.result[0]?.value;
      return value ? finite(value[1]) : missing('no samples');
    },

    async line(query, from, to, stepMs, signal) {
      const form = { query, timeout: '5s', start: seconds(from), end: seconds(to), step: seconds(stepMs) };
      const data = await ask('query_range', form, signal);
      if ('missing' in data) return data;
      if (data.resultType !== 'matrix') return missing('no range');
      if (data.result.length > 1) return missing('several series instead of one');
      const samples = data.result[0]?.values ?? [];
      const points = samples.map(([at, value]) => ({ at: Math.round(at * 1000), value: numberOf(value) }));
      return { points: points.filter(({ value }) => Number.isFinite(value)) };
    },
  };
}

function understand(text: string, status: number): z.output<typeof Data> | Missing {
  const answer = Answer.safeParse(jsonOf(text));
  if (!answer.success) return missing(status === 200 ? 'the answer is not of Prometheus' : `HTTP ${status}`);
  if (answer.data.status === 'error') return missing(`${answer.data.errorType}: ${answer.data.error}`);
  if (status !== 200) return missing(`HTTP ${status}`);
  // A warning means that part of the data is not there.
  const [warning] = answer.data.warnings ?? [];
  return warning === undefined ? answer.data.data : missing(`warning: ${warning}`);
}

async function readBounded(response: Response): Promise<string | null> {
  const decoder = new TextDecoder();
  let text = '';
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.byteLength;
    if (size > MAX_ANSWER_BYTES) return null;
    text += decoder.decode(chunk, { stream: true });
  }
  return text;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function finite(text: string): { readonly value: number } | Missing {
  const value = numberOf(text);
  return Number.isFinite(value) ? { value } : missing(text === 'NaN' ? 'NaN: no requests in the window' : text);
}

/** Prometheus writes `+Inf` and `NaN`. */
const numberOf = (text: string) => (text.trim() === '' ? Number.NaN : Number(text));

const seconds = (ms: number) => String(ms / 1000);

const missing = (reason: string): Missing => ({
  missing: reason.length > MAX_REASON ? `${reason.slice(0, MAX_REASON - 1)}…` : reason,
});

function faultOf(error: unknown): string {
  if (!(error instanceof Error)) return 'Prometheus does not answer';
  if (error.name === 'TimeoutError') return 'Prometheus does not answer in time';
  const { cause } = error;
  const why = cause instanceof Error ? ('code' in cause ? String(cause.code) : cause.message) : error.message;
  return `Prometheus does not answer (${why})`;
}
