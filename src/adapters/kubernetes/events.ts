import { z } from 'zod';
import type { WatchEvent } from './view.ts';

const event = z.object({ type: z.string(), object: z.unknown() });

/** Reads a watch: one JSON document for each line. */
export async function* readEvents(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<WatchEvent> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of chunks) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (line) yield event.parse(JSON.parse(line));
  }
}
