/** What the bot occupies while nothing happens, and which libraries that is. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { residentMb, residentOf } from '../process.ts';
import type { Program } from '../programs.ts';
import { limitRow, noteRow, type Row } from '../report.ts';
import { pause } from '../support.ts';

const IDLE_MS = 60_000;
const LIBRARIES = ['@kubernetes/client-node', '@slack/bolt', 'bullmq', 'undici', 'zod', 'yaml', 'pino', 'd3-scale'];

export async function measureMemory(bot: Program): Promise<readonly Row[]> {
  await pause(Math.max(0, bot.readyAt + IDLE_MS - Date.now()));
  const resident = residentMb(bot);
  const drawsAlready = readFileSync(`/proc/${bot.pid}/maps`, 'utf8').includes('resvg');
  return [
    limitRow('resident memory of the idle bot', resident, 230, ' MB'),
    {
      what: 'chart renderer loaded before the first picture',
      measured: drawsAlready ? 'yes' : 'no',
      bar: 'no',
      holds: !drawsAlready,
    },
  ];
}

/** Each library in a process of its own, above what an empty Node takes. */
export async function measureImports(): Promise<readonly Row[]> {
  const empty = await residentAfter('');
  const costs: { readonly library: string; readonly mb: number }[] = [];
  for (const library of LIBRARIES) {
    costs.push({ library, mb: (await residentAfter(`await import(${JSON.stringify(library)});`)) - empty });
  }
  const words = costs
    .toSorted((a, b) => b.mb - a.mb)
    .slice(0, 4)
    .map(({ library, mb }) => `${library} ${Math.round(mb)} MB`);
  return [noteRow(`of which by import alone (empty Node: ${Math.round(empty)} MB)`, words.join(', '))];
}

async function residentAfter(script: string): Promise<number> {
  const look = `${script} process.stdout.write((await import('node:fs')).readFileSync('/proc/self/status', 'utf8'));`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', look]);
  return residentOf(stdout);
}
