/** A Redis that keeps its data on disk and may die, freeze, come back, or come back as it was before. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';

const START_MS = 10_000;
/** Ends the server when our end of its input closes, however we die. A file that may not grow is an error to it, not its end. */
const KEEPER = 'trap "" XFSZ; "$@" <&- & pid=$!; exec 3<&0; { cat <&3; kill -9 $pid; } >/dev/null 2>&1 & wait $pid';

export type RedisServer = Awaited<ReturnType<typeof startRedisServer>>;

/** `settings`: more of its configuration; `sentinel`: it is one, and `settings` stand in its file; `server`: the program. */
export async function startRedisServer(
  settings: Readonly<Record<string, string>> = {},
  {
    sentinel = false,
    folder = mkdtempSync(join(tmpdir(), 'sluice-test-redis-')),
    server = process.env.SLUICE_REDIS_SERVER ?? 'redis-server',
  } = {},
) {
  const port = await freePort();
  const data = join(folder, 'data');
  mkdirSync(data, { recursive: true });
  const all = {
    port: String(port),
    bind: '127.0.0.1',
    dir: data,
    ...(sentinel ? {} : { save: '""', appendonly: 'yes' }),
    ...settings,
  };
  const file = join(folder, 'redis.conf');
  writeFileSync(
    file,
    Object.entries(all)
      .map(([name, value]) => `${name.replace(/#.*/, '')} ${value}\n`)
      .join(''),
  );
  let child: ChildProcess | undefined;
  let pid = 0;

  async function boot(): Promise<void> {
    const started = spawn('sh', ['-c', KEEPER, 'sh', server, file, ...(sentinel ? ['--sentinel'] : [])], {
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    child = started;
    pid = await pidOf(port, () => started.exitCode !== null);
  }

  async function kill(): Promise<void> {
    if (!child || child.exitCode !== null) return;
    const gone = once(child, 'exit');
    process.kill(pid, 'SIGKILL');
    await gone;
    child.stdin?.end();
  }

  await boot();
  return {
    port,
    url: `redis://127.0.0.1:${port}`,
    folder: data,
    /** Changes with each start. */
    pid: () => pid,
    kill,
    /** After `kill`, with the data on disk. */
    restart: boot,
    freeze: () => process.kill(pid, 'SIGSTOP'),
    thaw: () => process.kill(pid, 'SIGCONT'),
    /** Its data as it is now, for `goBack`. */
    snapshot(): string {
      const copy = mkdtempSync(join(folder, 'snapshot-'));
      cpSync(data, copy, { recursive: true });
      return copy;
    },
    /** Dies and comes back with the data of then. */
    async goBack(snapshot: string) {
      await kill();
      rmSync(data, { recursive: true });
      cpSync(snapshot, data, { recursive: true });
      await boot();
    },
    /** One command, by a connection of its own. */
    run: (command: string, ...words: (string | number)[]) => run(port, command, ...words),
    async stop() {
      if (child?.exitCode === null) process.kill(pid, 'SIGCONT');
      await kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function run(port: number, command: string, ...words: (string | number)[]): Promise<unknown> {
  const redis = new Redis(port, '127.0.0.1', { retryStrategy: null, commandTimeout: 5_000 });
  redis.on('error', () => undefined);
  try {
    return await redis.call(command, ...words);
  } finally {
    redis.disconnect();
  }
}

async function pidOf(port: number, ended: () => boolean): Promise<number> {
  for (const deadline = Date.now() + START_MS; Date.now() < deadline && !ended(); await sleep(20)) {
    const info = await run(port, 'INFO', 'server').catch(() => '');
    const pid = /process_id:(\d+)/.exec(String(info))?.[1];
    if (pid) return Number(pid);
  }
  throw new Error('Redis did not start');
}

export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a port');
  return address.port;
}
