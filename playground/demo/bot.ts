/** Runs the bot as a process of its own, and runs it again whenever it ends. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { createInterface } from 'node:readline';

const STOP_MS = 5_000;
const READY_MS = 20_000;
const AGAIN_MS = 1_000;

export type BotOptions = {
  readonly root: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Where its log goes. */
  readonly log: string;
  /** It ended although nobody asked for it, and is started again. */
  readonly onEnd: (how: string) => void;
  readonly onReady: (pid: number) => void;
  /** It ended before it was ready: starting it again would not help. */
  readonly onFailure: (why: string) => void;
};

/** Resolves when the bot is ready for the first time; rejects with what it says when it cannot start. */
export async function superviseBot({ root, env, log, onEnd, onReady, onFailure }: BotOptions) {
  const file = createWriteStream(log, { flags: 'a' });
  let stopping = false;
  let back = Promise.withResolvers<void>();
  let child = start();
  await ready(child);
  watch();

  process.once('exit', () => child.kill('SIGKILL'));

  function start(): ChildProcess {
    return spawn(process.execPath, ['--disable-warning=ExperimentalWarning', 'src/main.ts'], {
      cwd: root,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  }

  async function ready(started: ChildProcess): Promise<void> {
    const errors: string[] = [];
    started.stderr?.on('data', (chunk) => errors.push(String(chunk)));
    await new Promise<void>((resolve, reject) => {
      const late = setTimeout(() => {
        errors.push(`the bot is not ready after ${READY_MS / 1000} s`);
        started.kill('SIGKILL');
      }, READY_MS);
      started.once('exit', () => {
        clearTimeout(late);
        reject(new Error(errors.join('').trim() || 'the bot ended while it started'));
      });
      if (!started.stdout) return;
      createInterface({ input: started.stdout }).on('line', (line) => {
        file.write(`${line}\n`);
        if (!line.includes('Sluice is ready')) return;
        clearTimeout(late);
        resolve();
      });
    });
  }

  function watch(): void {
    child.once('exit', (code, signal) => void again(signal ?? `exit code ${code}`));
  }

  async function again(how: string): Promise<void> {
    if (stopping) return;
    onEnd(how);
    // Long enough to see that buttons wait for it.
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    if (stopping) return;
    child = start();
    try {
      await ready(child);
    } catch (error) {
      if (!stopping) onFailure(error instanceof Error ? error.message : String(error));
      return;
    }
    watch();
    if (child.pid !== undefined) onReady(child.pid);
    back.resolve();
    back = Promise.withResolvers<void>();
  }

  return {
    pid: () => child.pid,
    /** As `kill -9` does it; resolves when the next process is ready. */
    kill(): Promise<void> {
      child.kill('SIGKILL');
      return back.promise;
    },
    async stop(): Promise<void> {
      stopping = true;
      if (child.exitCode === null && child.signalCode === null) {
        const killer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
        child.kill('SIGTERM');
        await once(child, 'exit');
        clearTimeout(killer);
      }
      file.end();
    },
  };
}
