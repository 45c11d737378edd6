import { describe, expect, it } from 'vitest';
import { createLog, maskSecrets, secretsIn } from '../src/log.ts';

function record(level = 'debug') {
  const lines: string[] = [];
  const log = createLog({ level, to: { write: (line) => void lines.push(line) } });
  return { log, lines, read: () => lines.map((line) => JSON.parse(line)) };
}

describe('the log', () => {
  it('writes one JSON object a line: when, how important, what, and the fields of its children', () => {
    const { log, read } = record();
    log.child({ rollout: 'world-1' }).child({ step: 2 }).info({ weight: 25 }, 'route set');
    expect(read()).toEqual([
      {
        time: expect.stringMatching(/^\d{4}-.*Z$/),
        level: 'info',
        rollout: 'world-1',
        step: 2,
        weight: 25,
        msg: 'route set',
      },
    ]);
  });

  it.each([
    ['debug', ['debug', 'info', 'warn', 'error']],
    ['warn', ['warn', 'error']],
    ['silent', []],
  ])('at %s writes %j', (level, written) => {
    const { log, read } = record(level);
    for (const one of ['debug', 'info', 'warn', 'error'] as const) log[one]({}, one);
    expect(read().map((line) => line.msg)).toEqual(written);
  });

  it('shows an error with its cause', () => {
    const { log, read } = record();
    log.error({ err: new Error('route not set', { cause: new Error('connection refused') }) }, 'effect failed');
    expect(read()[0].err).toMatchObject({ type: 'Error', message: expect.stringContaining('connection refused') });
  });

  it('hides what its field calls a secret', () => {
    const { log, lines } = record();
    log
      .child({ token: 'sekret' })
      .info({ slack: { signingSecret: 'sekret' }, a: { b: { password: 'sekret' } }, responseUrl: 'sekret' }, 'x');
    expect(lines.join()).not.toContain('sekret');
  });

  it('hides tokens by their shape wherever they stand', () => {
    const { log, lines } = record();
    const error = new Error('call with xoxb-12-34-sekret failed', {
      cause: new Error('Authorization: Bearer sekret.sekret-sekret'),
    });
    log.warn(
      { err: error, url: 'redis://user:sekret@redis:6379', list: ['xapp-1-sekret'] },
      'token xoxp-sekret refused',
    );
    expect(lines.join()).not.toContain('sekret');
    expect(lines.join()).toContain('redis:6379');
  });
});

describe('secrets by their shape', () => {
  it.each([
    ['a bot token', 'xoxb-1-2-abc', 'xoxb-…'],
    ['a rotated token', 'xoxe.xoxb-1-abc', 'xoxe.xoxb-…'],
    ['an app token', 'xapp-1-A-b', 'xapp-…'],
    ['a bearer token', 'Bearer abcdefghijklmnop', 'Bearer …'],
    ['the words of a page', 'see "Basic Information"', 'see "Basic Information"'],
    ["a service account's token", 'eyJhbGciOi.eyJpc3Mi.c2lnbmF0dXJl', '…'],
    ['a password in an address', 'rediss://a:b@host/0', 'rediss://…@host/0'],
    ['an address without one', 'http://prometheus:9090/api', 'http://prometheus:9090/api'],
    ["Slack's address for an answer", 'https://hooks.slack.com/commands/T1/2/x', 'https://hooks.slack.com/…'],
    ['an image with a digest', 'team/world:v2@sha256:00ff', 'team/world:v2@sha256:00ff'],
  ])('%s: %s', (_, text, masked) => {
    expect(maskSecrets(text)).toBe(masked);
  });
});

describe('secrets by their value', () => {
  const secrets = secretsIn({
    SLACK_BOT_TOKEN: 'xoxb-token',
    SLACK_SIGNING_SECRET: '0123456789abcdef',
    REDIS_URL: 'redis+sentinel://user:p%40ss-phrase@h1,h2/main?sentinelPassword=another-one',
    HOME: '/home/somebody',
  });

  it.each([
    ['the signing secret', 'HMAC with 0123456789abcdef failed', 'HMAC with … failed'],
    ['a password as it was written', 'AUTH p%40ss-phrase', 'AUTH …'],
    ['a password as it is sent', 'AUTH p@ss-phrase', 'AUTH …'],
    ["the Sentinels' password", 'AUTH another-one', 'AUTH …'],
    ['what is no secret', '/home/somebody', '/home/somebody'],
  ])('%s: %s', (_, text, masked) => {
    expect(maskSecrets(text, secrets)).toBe(masked);
  });

  it('too short to be told from words are left to their shape', () => {
    expect(secretsIn({ REDIS_URL: 'redis://:redis@redis' })).toEqual([]);
    expect(maskSecrets('redis://:redis@redis', [])).toBe('redis://…@redis');
  });

  it('what Redis was asked when it refused is not written', () => {
    const { log, lines } = record();
    const error = Object.assign(new Error('WRONGPASS invalid password'), {
      command: { name: 'auth', args: ['sekret'] },
    });
    log.warn({ err: error }, 'Redis connection failed');
    expect(lines.join()).not.toContain('sekret');
    expect(lines.join()).toContain('WRONGPASS');
  });
});
