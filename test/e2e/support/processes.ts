/** Child processes that a test can kill, freeze and thaw. They stay in our process group, which the launcher ends with us. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';

export type Running = {
  readonly pid: number;
  /** Everything it wrote, on both outputs. */
  readonly output: () => string;
  readonly isAlive: () => boolean;
  readonly code: () => number | null;
  /** SIGKILL: no clean-up of its own. */
  readonly kill: () => Promise<void>;
  /** SIGTERM; answers with the exit code. */
  readonly terminate: () => Promise<number | null>;
  readonly freeze: () => void;
  readonly thaw: () => void;
};

const living = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of living) child.kill('SIGKILL');
});

export function start(command: string, args: readonly string[], env: Record<string, string | undefined>): Running {
  const child = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  if (child.pid === undefined) throw new Error(`cannot start ${command}`);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => {
      output += text;
    });
  }
  living.add(child);
  const ended = once(child, 'exit').then(() => living.delete(child));
  const isAlive = () => child.exitCode === null && child.signalCode === null;
  return {
    pid: child.pid,
    output: () => output,
    isAlive,
    code: () => child.exitCode,
    kill: async () => {
      child.kill('SIGKILL');
      await ended;
    },
    terminate: async () => {
      child.kill('SIGCONT');
      child.kill('SIGTERM');
      await ended;
      return child.exitCode;
    },
    freeze: () => child.kill('SIGSTOP'),
    thaw: () => child.kill('SIGCONT'),
  };
}

export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a port');
  return address.port;
}
