/** Loaded into a bot before it starts: tells the parent process when the answer to a PATCH of an HTTPRoute has arrived. */
import { subscribe } from 'node:diagnostics_channel';

export type Patched = { readonly at: string; readonly status: number };

type Message = {
  readonly request: { readonly method: string; readonly path: string };
  readonly response: { readonly statusCode: number };
};

subscribe('undici:request:headers', (message) => {
  const { request, response } = message as Message;
  if (request.method !== 'PATCH' || !request.path.includes('/httproutes/')) return;
  // The monotonic clock is the same in all processes of a machine; too long for a number in JSON.
  const patched: Patched = { at: String(process.hrtime.bigint()), status: response.statusCode };
  process.send?.(patched);
});
