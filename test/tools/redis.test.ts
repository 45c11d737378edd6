import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { expect, it, vi } from 'vitest';
import { findRedisServer, startRedis } from '../../tools/redis.mjs';

vi.spyOn(process.stderr, 'write').mockReturnValue(true);

const machine = (has: string[], { root = false } = {}) => ({
  onPath: (name: string) => (has.includes(name) ? `/bin/${name}` : undefined),
  canInstall: () => root,
  install: async () => {
    has.push('redis-server');
  },
});

it.each([
  ['Valkey before Redis', machine(['redis-server', 'valkey-server']), '/bin/valkey-server'],
  ['Redis', machine(['redis-server']), '/bin/redis-server'],
  ['what it may install', machine([], { root: true }), '/bin/redis-server'],
])('takes %s', async (_, probes, expected) => {
  expect(await findRedisServer(probes)).toBe(expected);
});

it('says what helps where there is none', async () => {
  await expect(findRedisServer(machine([]))).rejects.toThrow(/apt-get install.*brew install.*REDIS_URL/s);
});

const server = process.env.SLUICE_REDIS_SERVER ?? 'redis-server';

it('stops the Redis it started', async () => {
  const redis = await startRedis(server, { durable: false });
  expect(await listens(redis.port)).toBe(true);
  await redis.stop();
  expect(await listens(redis.port)).toBe(false);
});

it('says why Redis did not start', async () => {
  await expect(startRedis('/nowhere/redis-server', { durable: false })).rejects.toThrow('did not start');
});

it('leaves no Redis behind when it is killed', async () => {
  const script = `
    import { startRedis } from './tools/redis.mjs';
    console.log((await startRedis(process.argv[1], { durable: true })).port);`;
  const owner = spawn(process.execPath, ['--input-type=module', '-e', script, server], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = await once(owner.stdout, 'data');
  const port = Number(line);
  expect(await listens(port)).toBe(true);
  owner.kill('SIGKILL');
  await vi.waitUntil(async () => !(await listens(port)), { timeout: 5_000 });
});

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('error', () => resolve(false));
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
  });
}
