/** Counts what reached the API server, from its audit log: the server's own word, not the bot's. */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { z } from 'zod';

const Entry = z.object({
  stage: z.string(),
  verb: z.string(),
  requestURI: z.string(),
  userAgent: z.string().default('?'),
  requestReceivedTimestamp: z.coerce.date(),
  objectRef: z.object({ resource: z.string(), subresource: z.string().optional() }).optional(),
  responseStatus: z.object({ code: z.number() }).optional(),
});

export type Call = { readonly at: number; readonly verb: string; readonly what: string; readonly code: number };

/** Requests by user agents that contain `agent`, between two times in ms. A watch counts once, when it starts. */
export function calls(agent: string, from: number, to = Number.POSITIVE_INFINITY): readonly Call[] {
  const folder = process.env.CLUSTER_DIR ?? dirname(process.env.KUBECONFIG ?? '');
  return readFileSync(join(folder, 'logs', 'audit.log'), 'utf8')
    .split('\n')
    .filter((line) => line.includes(agent))
    .map((line) => Entry.parse(JSON.parse(line)))
    .filter(({ stage, verb }) => stage !== (verb === 'watch' ? 'ResponseComplete' : 'ResponseStarted'))
    .map(({ requestReceivedTimestamp: at, verb, objectRef, requestURI, responseStatus }) => ({
      at: at.getTime(),
      verb,
      what: [objectRef?.resource ?? requestURI, objectRef?.subresource].filter(Boolean).join('/'),
      code: responseStatus?.code ?? 0,
    }))
    .filter(({ at }) => at >= from && at <= to);
}

/** One line for each verb, resource and status, most first. */
export function table(made: readonly Call[]): string {
  const rows = Map.groupBy(made, ({ verb, what, code }) => `${verb.padEnd(7)} ${what.padEnd(34)} ${code}`);
  return [...rows]
    .sort(([, a], [, b]) => b.length - a.length)
    .map(([row, { length }]) => `${`${length}`.padStart(5)}  ${row}`)
    .concat(`${`${made.length}`.padStart(5)}  total`)
    .join('\n');
}
