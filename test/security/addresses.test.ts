/** Whom Sluice calls: what the operator wrote, Slack's own hosts, and pods; never what gives out credentials. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import { LogLevel, WebClient } from '@slack/web-api';
import { afterEach, describe, expect, it } from 'vitest';
import { createProber } from '../../src/adapters/probe.ts';
import { createMetrics } from '../../src/adapters/prometheus/index.ts';
import { createTeller } from '../../src/adapters/slack/tell.ts';
import { readBotEnv } from '../../src/config.ts';
import { isForbiddenHost } from '../../src/core/address.ts';
import { parseConfig } from '../../src/core/parse-config.ts';
import { memoryLog, plan, successRate } from '../adapters/slack/support.ts';

const FORBIDDEN = [
  'http://169.254.169.254/latest/meta-data',
  'http://169.254.0.1',
  'http://2852039166/',
  'http://0xa9fea9fe/',
  'http://0251.0376.0251.0376/',
  'http://169.254.43518/',
  'http://[::ffff:169.254.169.254]/',
  'http://[::ffff:a9fe:a9fe]/',
  'http://[::169.254.169.254]/',
  'http://[fe80::1]/',
  'http://[febf::1]/',
  'http://[fd00:ec2::254]/',
  'http://[fd00:0ec2:0:0:0:0:0:254]/',
  'http://metadata.google.internal/',
  'http://METADATA.google.internal./',
  'http://100.100.100.200/',
];

describe('an address that gives out credentials', () => {
  it.each(FORBIDDEN)('%s is refused, as Prometheus and as Slack', (address) => {
    expect(isForbiddenHost(address)).toBe(true);
    const parsed = parseConfig({ slack: { channel: 'c' }, metrics: { prometheus: address }, services: {} });
    expect(parsed).toEqual({
      ok: false,
      errors: [expect.stringMatching(/^metrics\.prometheus: write another address/)],
    });
    const env = readBotEnv({
      REDIS_URL: 'redis://r',
      SLACK_BOT_TOKEN: 'xoxb-1',
      SLACK_SIGNING_SECRET: 's',
      SLACK_API_URL: address,
    });
    expect(env).toEqual({ ok: false, errors: [expect.stringMatching(/^SLACK_API_URL: write another address/)] });
  });

  it.each(['http://prometheus.monitoring:9090', 'http://10.0.0.1:9090', 'http://[fd00::1]:9090', 'http://127.0.0.1:1'])(
    '%s is none',
    (address) => {
      expect(isForbiddenHost(address)).toBe(false);
      const parsed = parseConfig({ slack: { channel: 'c' }, metrics: { prometheus: address }, services: {} });
      expect(parsed).toMatchObject({ ok: true });
    },
  );

  it.each(['file:///etc/passwd', 'gopher://prometheus', 'ftp://prometheus', '//prometheus', 'prometheus:9090'])(
    '%s is no address of Prometheus',
    (address) => {
      const parsed = parseConfig({ slack: { channel: 'c' }, metrics: { prometheus: address }, services: {} });
      expect(parsed).toMatchObject({ ok: false, errors: [expect.stringContaining('write an address such as')] });
    },
  );

  it('a password in an address is refused without being said again', () => {
    const parsed = parseConfig({ slack: { channel: 'c' }, metrics: { prometheus: 'http://u:sekret@p' }, services: {} });
    expect(parsed).toMatchObject({ ok: false });
    expect(JSON.stringify(parsed)).not.toContain('sekret');
  });
});

/** Leads everybody on to `to`; `asked`: the paths. */
const servers: ReturnType<typeof createServer>[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close().closeAllConnections();
});
async function serve(status: number, headers: Record<string, string> = {}) {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url ?? '');
    response.writeHead(status, headers).end('{"ok":true}');
  });
  servers.push(server);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const address = server.address();
  return { url: `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`, asked };
}

describe('a redirect', () => {
  it.each([301, 302, 307, 308])('by %i is followed by nobody', async (status) => {
    const secret = await serve(200);
    const door = await serve(status, { location: secret.url });
    const log = memoryLog();
    const metrics = createMetrics({ url: door.url, log });
    await metrics.measure(plan().target, [successRate], 0, 60_000);
    expect(await createProber().probe(`${door.url}/healthz`)).toEqual({ status });
    const client = new WebClient('xoxb-1', {
      slackApiUrl: door.url,
      retryConfig: { retries: 0 },
      logLevel: LogLevel.ERROR,
    });
    await expect(client.auth.test()).rejects.toThrow();
    const tell = createTeller({ client, apiUrl: door.url, log, draw: (text) => text });
    await tell({ user: 'U', channel: '', thread: null, responseUrl: `${door.url}/response/1` }, 'hello');
    expect(door.asked.length).toBeGreaterThanOrEqual(4);
    expect(secret.asked).toEqual([]);
  });
});

describe('the address for an answer, which comes with the request', () => {
  it.each([
    'https://hooks.slack.com.evil.example/commands/1',
    'http://hooks.slack.com/commands/1',
    'https://hooks.slack.com@evil.example/1',
    'https://evil.example/https://hooks.slack.com/',
    'https://hooks.slack.com:8443/1',
    'file:///etc/passwd',
    'no address',
  ])('%s is not called', async (responseUrl) => {
    const slack = await serve(200);
    const log = memoryLog();
    const client = new WebClient('xoxb-1', {
      slackApiUrl: `${slack.url}/api/`,
      retryConfig: { retries: 0 },
      logLevel: LogLevel.ERROR,
    });
    const tell = createTeller({ client, apiUrl: null, log, draw: (text) => text });
    await tell({ user: 'U', channel: 'C', thread: null, responseUrl }, 'hello');
    // It goes by Slack's own method instead.
    expect(slack.asked).toEqual(['/api/chat.postEphemeral']);
    expect(log.lines).toEqual([]);
  });
});

it("a test's path never leads to another host than the pod's", () => {
  const paths = [
    '/',
    '//evil.example/',
    '/@evil.example',
    '/\\evil.example',
    '/:80@evil.example',
    '/..//evil',
    '/%2f%2fevil',
  ];
  for (const get of paths) expect(new URL(`http://10.0.0.7:8080${get}`).host, get).toBe('10.0.0.7:8080');
  const service = (get: string) => ({
    namespace: 'n',
    deployment: 'd',
    image: 'i:{version}',
    traffic: { router: 'gateway-api', route: 'r' },
    access: { deploy: 'U1', approve: 'U2' },
    tests: [{ name: 't', get }],
  });
  for (const get of ['http://evil.example/', '@evil.example/', 'evil', ':99/', '.evil.example/']) {
    const parsed = parseConfig({ slack: { channel: 'c' }, services: { s: service(get) } });
    expect(parsed, get).toMatchObject({ ok: false, errors: [expect.stringContaining('tests[0].get')] });
  }
});
