/** What a process has taken of the machine, as Linux tells it. */
import { readFileSync } from 'node:fs';
import { get } from 'node:http';
import type { Program } from './programs.ts';

const KB_PER_MB = 1_024;
/** Linux counts in hundredths of a second, everywhere. */
const MS_PER_TICK = 10;

export const residentMb = ({ pid }: Pick<Program, 'pid'>): number =>
  residentOf(readFileSync(`/proc/${pid}/status`, 'utf8'));

/** From the text of `/proc/<pid>/status`. */
export function residentOf(status: string): number {
  const kilobytes = /^VmRSS:\s+(\d+) kB/m.exec(status)?.[1];
  if (kilobytes === undefined) throw new Error('this system does not tell what a process occupies');
  return Number(kilobytes) / KB_PER_MB;
}

/** Milliseconds of processor time so far, all threads. */
export function processorMs({ pid }: Pick<Program, 'pid'>): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The name in brackets may hold blanks: fields are counted from behind it; 14 and 15 are user and system time.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * MS_PER_TICK;
}

/** How many ticks a bot has carried out, by its own counter. */
export async function ticksOf(bot: Pick<Program, 'url'>): Promise<number> {
  const text = await new Promise<string>((resolve, reject) => {
    get(new URL('/metrics', bot.url), (answer) => {
      let body = '';
      answer.setEncoding('utf8').on('data', (chunk: string) => {
        body += chunk;
      });
      answer.once('end', () => resolve(body));
    }).once('error', reject);
  });
  return Number(/^sluice_tick_duration_seconds_count (\d+)/m.exec(text)?.[1] ?? 0);
}
