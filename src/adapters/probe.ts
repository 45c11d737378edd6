/** Asks one canary pod for one path; a smoke test looks at the status only. */
import type { Prober } from '../app/ports/prober.ts';

const TIMEOUT_MS = 5000;

export function createProber(): Prober {
  return {
    async probe(url) {
      try {
        const response = await fetch(url, { redirect: 'manual', signal: AbortSignal.timeout(TIMEOUT_MS) });
        // Nobody reads the body; without this its connection would stay open.
        await response.body?.cancel();
        return { status: response.status };
      } catch (error) {
        return { failed: reasonOf(error) };
      }
    },
  };
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'no answer';
  if (error.name === 'TimeoutError') return `no answer within ${TIMEOUT_MS / 1000} s`;
  const { cause } = error;
  return cause instanceof Error ? ('code' in cause ? String(cause.code) : cause.message) : error.message;
}
