// Lends a task a Redis of its own, which ends with the task.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, existsSync, mkdtempSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { besides, Complaint, killGroup, run, say } from './terminal.mjs';

const startTimeoutMs = 10_000;
const stopTimeoutMs = 5_000;
const aptTimeoutMs = 5 * 60_000;

/** How to look for Redis, and how to get it.
 * @typedef {{ onPath: (name: string) => string | undefined, canInstall: () => boolean, install: () => Promise<void> }} Probes */

/** @type {Probes} */
const thisMachine = {
  onPath: (name) =>
    (process.env.PATH ?? '')
      .split(delimiter)
      .map((folder) => join(folder, name))
      .find(isExecutable),
  canInstall: () => existsSync('/etc/debian_version') && process.getuid?.() === 0,
  install: installOnDebian,
};

/**
 * @param {{ durable: boolean }} options durable: what was written survives a restart of Redis
 * @returns {Promise<{ env: Record<string, string>, stop: () => Promise<void> }>} env: what the task needs to find it
 */
export async function lendRedis({ durable }) {
  if (process.env.REDIS_URL) {
    const server = serverOnPath(thisMachine);
    return { env: server ? { SLUICE_REDIS_SERVER: server } : {}, stop: async () => {} };
  }
  const server = await findRedisServer(thisMachine);
  const redis = await startRedis(server, { durable });
  return { env: { REDIS_URL: redis.url, SLUICE_REDIS_SERVER: server }, stop: redis.stop };
}

/** @param {Probes} probes */
export async function findRedisServer(probes) {
  if (!serverOnPath(probes) && probes.canInstall()) {
    say('installing redis-server (once)');
    await probes.install();
  }
  const server = serverOnPath(probes);
  if (server) return server;
  throw new Complaint(
    [
      'Redis (or Valkey) is needed, and there is none on PATH. Any one of these helps:',
      '  Debian, Ubuntu   sudo apt-get install redis-server',
      '  Fedora           sudo dnf install valkey',
      '  macOS            brew install valkey',
      '  one that runs    export REDIS_URL=redis://127.0.0.1:6379',
    ].join('\n'),
  );
}

const serverOnPath = (/** @type {Probes} */ { onPath }) => onPath('valkey-server') ?? onPath('redis-server');

/** @param {string} path */
function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

async function installOnDebian() {
  /** @param {string[]} args */
  const apt = async (...args) => {
    // Under this runlevel Debian does not start the service that comes with the package.
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
    const options = ['-qq', '-y', '-o', 'Dpkg::Use-Pty=0', '-o', 'DPkg::Lock::Timeout=120'];
    const { code } = await run('apt-get', [...options, ...args], { env, ...besides, timeoutMs: aptTimeoutMs });
    return code === 0;
  };
  const install = () => apt('install', '--no-install-recommends', 'redis-server');
  if (!(await install())) (await apt('update')) && (await install());
}

/**
 * Ends Redis and removes its folder when its own input ends. Our end of that pipe closes however we die, even by
 * SIGKILL, so no Redis is ever left behind.
 */
const keeper = `
  exec 3<&0 2>&1
  "$@" < /dev/null & redis=$!
  { cat <&3 > /dev/null; kill $redis; } 2> /dev/null &
  wait $redis; code=$?
  rm -rf "$0"
  exit $code`;

/**
 * @param {string} server path of the binary
 * @param {{ durable: boolean }} options
 */
export async function startRedis(server, { durable }) {
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), 'sluice-redis-'));
  const network = ['--port', `${port}`, '--bind', '127.0.0.1'];
  const storage = ['--dir', folder, '--save', '', '--appendonly', durable ? 'yes' : 'no'];
  // In a process group of its own: Ctrl-C in the terminal is for the task, which still needs Redis to end well.
  const child = spawn('sh', ['-c', keeper, folder, server, ...network, ...storage], {
    stdio: ['pipe', 'pipe', 'ignore'],
    detached: true,
  });
  let log = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    log = (log + text).slice(-4_000);
  });
  const ended = once(child, 'exit');
  const stop = async () => {
    child.stdin.end();
    const late = setTimeout(() => child.pid && killGroup(child.pid), stopTimeoutMs);
    await ended;
    clearTimeout(late);
  };

  const deadline = Date.now() + startTimeoutMs;
  while (!(await answers(port))) {
    if (child.exitCode === null && Date.now() < deadline) {
      await sleep(20);
      continue;
    }
    await stop();
    throw new Complaint(`${server} did not start:\n${log}`);
  }
  return { url: `redis://127.0.0.1:${port}`, port, stop };
}

/** @returns {Promise<number>} */
async function freePort() {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a port');
  return address.port;
}

/** @param {number} port
 * @returns {Promise<boolean>} */
function answers(port) {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const settle = (/** @type {boolean} */ answer) => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(1_000, () => settle(false));
    socket.on('error', () => settle(false));
    socket.on('connect', () => socket.write('PING\r\n'));
    socket.on('data', (data) => settle(data.toString().startsWith('+PONG')));
    socket.on('end', () => settle(false));
  });
}
