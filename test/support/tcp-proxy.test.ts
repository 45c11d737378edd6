import { once } from 'node:events';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { startTcpProxy, type TcpProxy } from './tcp-proxy.ts';

/** Answers each line with `<name> line`. */
async function startEcho(name: string) {
  const lines: string[] = [];
  const server = createServer((socket) => {
    socket
      .on('error', () => undefined)
      .on('data', (chunk) => {
        lines.push(String(chunk));
        socket.write(`${name} ${chunk}`);
      });
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const address = server.address();
  return { server, lines, port: address && typeof address === 'object' ? address.port : 0 };
}

let echo: { server: Server; lines: string[]; port: number };
let proxy: TcpProxy;
const sockets: Socket[] = [];
beforeEach(async () => {
  echo = await startEcho('one');
  proxy = await startTcpProxy(echo.port);
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await proxy.stop();
  echo.server.close();
});

async function open() {
  const socket = createConnection(proxy.port, '127.0.0.1');
  sockets.push(socket);
  let heard = '';
  let ended = false;
  socket
    .on('error', () => undefined)
    .on('data', (chunk) => (heard += chunk))
    .on('close', () => (ended = true));
  await once(socket, 'connect').catch(() => undefined);
  return { say: (line: string) => void socket.write(line), heard: () => heard, ended: () => ended };
}
const aMoment = () => new Promise((resolve) => setTimeout(resolve, 80));

it('passes everything on', async () => {
  const line = await open();
  line.say('hello');
  await expect.poll(line.heard).toBe('one hello');
});

it('cut, it breaks what there is and refuses what is new; mended, it works again', async () => {
  const before = await open();
  await proxy.cut();
  await expect.poll(before.ended).toBe(true);
  await expect.poll((await open()).ended).toBe(true);
  await proxy.mend();
  const after = await open();
  after.say('hello');
  await expect.poll(after.heard).toBe('one hello');
});

it('stalled, those who are connected hear nothing, and new ones do', async () => {
  const before = await open();
  before.say('a');
  await expect.poll(before.heard).toBe('one a');
  proxy.stall();
  before.say('b');
  const after = await open();
  after.say('c');
  await expect.poll(after.heard).toBe('one c');
  expect(before.heard()).toBe('one a');
  expect(before.ended()).toBe(false);
});

it('mended, it delivers what is late before what comes after it', async () => {
  const line = await open();
  proxy.slow(150);
  line.say('a');
  await aMoment();
  await proxy.mend();
  line.say('b');
  await expect.poll(line.heard).toMatch(/b/);
  expect(echo.lines.join('')).toBe('ab');
});

it('silent, it takes connections and passes nothing, not even later', async () => {
  proxy.silence();
  const line = await open();
  line.say('hello');
  await aMoment();
  await proxy.mend();
  await aMoment();
  expect(line.heard()).toBe('');
  expect(echo.lines).toEqual([]);
});

it('slow, everything comes later, in its order', async () => {
  proxy.slow(60);
  const line = await open();
  const asked = performance.now();
  line.say('a');
  line.say('b');
  await expect.poll(line.heard).toContain('b');
  expect(performance.now() - asked).toBeGreaterThan(115);
  expect(line.heard().indexOf('a')).toBeLessThan(line.heard().indexOf('b'));
});

it('loses the reply to one request after it was worked on', async () => {
  const [one, other] = [await open(), await open()];
  const lost = proxy.loseReply((request) => request.includes('pay'));
  other.say('look');
  await expect.poll(other.heard).toBe('one look');
  one.say('pay');
  await lost;
  await expect.poll(one.ended).toBe(true);
  expect(one.heard()).toBe('');
  expect(echo.lines).toContain('pay');
  other.say('pay again');
  await expect.poll(other.heard).toContain('pay again');
});

it('leads new connections elsewhere', async () => {
  const elsewhere = await startEcho('two');
  const before = await open();
  proxy.lead(elsewhere.port);
  before.say('a');
  await expect.poll(before.heard).toBe('one a');
  const after = await open();
  after.say('b');
  await expect.poll(after.heard).toBe('two b');
  elsewhere.server.close();
});
