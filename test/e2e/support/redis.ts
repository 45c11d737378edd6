/** A Redis of the test's own, which can die, freeze, lose everything, and come back on the same port with its data. */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, type Running, start } from './processes.ts';
import { until } from './wait.ts';

export async function startRedis() {
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), 'sluice-e2e-redis-'));
  const server = process.env.SLUICE_REDIS_SERVER ?? 'redis-server';
  const storage = ['--dir', folder, '--save', '', '--appendonly', 'yes'];
  let running: Running;
  const boot = async () => {
    running = start(server, ['--port', `${port}`, '--bind', '127.0.0.1', ...storage], process.env);
    await until('Redis answers', async () => (await ask(port, 'PING')) === '+PONG', { everyMs: 10 });
  };
  await boot();
  return {
    url: `redis://127.0.0.1:${port}`,
    kill: () => running.kill(),
    freeze: () => running.freeze(),
    thaw: () => running.thaw(),
    /** After `kill`: with the data of before. */
    restart: boot,
    loseEverything: async () => {
      if ((await ask(port, 'FLUSHALL')) !== '+OK') throw new Error('FLUSHALL failed');
    },
    stop: async () => {
      await running.kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** First line of the answer to an inline command. */
async function ask(port: number, command: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  try {
    socket.setTimeout(1_000, () => socket.destroy(new Error(`Redis did not answer ${command}`)));
    socket.write(`${command}\r\n`);
    const [data] = await once(socket, 'data');
    return String(data).trim();
  } finally {
    socket.destroy();
  }
}
