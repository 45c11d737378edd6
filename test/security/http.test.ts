/** What reaches the HTTP port without being Slack's, or not now: nothing happens. */
import { createHmac } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startAdapter } from '../adapters/slack/support.ts';

let bench: Awaited<ReturnType<typeof startAdapter>>;
beforeEach(async () => {
  bench = await startAdapter();
});
afterEach(() => bench.stop());

const seconds = () => Math.floor(Date.now() / 1000);
const FORM = {
  command: '/deploy',
  text: 'world v2',
  user_id: 'U0ANA',
  user_name: 'ana',
  team_id: 'T-ACME',
  channel_id: 'C0DEPLOYS',
  api_app_id: 'A0SLUICE',
  trigger_id: '1.2',
};
const body = new URLSearchParams(FORM).toString();

function sign(text: string, timestamp: string | number): string {
  return `v0=${createHmac('sha256', bench.fake.signingSecret).update(`v0:${timestamp}:${text}`).digest('hex')}`;
}

type Sent = { readonly body?: string; readonly signature?: string | null; readonly timestamp?: string | null };

function send({ body: text = body, signature, timestamp = `${seconds()}` }: Sent): Promise<Response> {
  const signed = signature === undefined ? sign(text, timestamp ?? '') : signature;
  return fetch(bench.url, {
    method: 'POST',
    headers: {
      'content-type': 'application/x-www-form-urlencoded',
      ...(timestamp === null ? {} : { 'x-slack-request-timestamp': timestamp }),
      ...(signed === null ? {} : { 'x-slack-signature': signed }),
    },
    body: text,
  });
}

describe('a request', () => {
  it('that is signed now is taken', async () => {
    expect((await send({})).status).toBe(200);
    expect(bench.bot.requests).toHaveLength(1);
  });

  it.each<[string, () => Sent]>([
    ['without a signature', () => ({ signature: null })],
    ['with an empty signature', () => ({ signature: '' })],
    ['with a signature cut short', () => ({ signature: sign(body, seconds()).slice(0, -1) })],
    ['with a signature of another version', () => ({ signature: sign(body, seconds()).replace('v0', 'v1') })],
    ["with another request's signature", () => ({ signature: sign(`${body}&x=1`, seconds()) })],
    ['with an altered body', () => ({ body: body.replace('v2', 'v3'), signature: sign(body, seconds()) })],
    ['with another time than was signed', () => ({ signature: sign(body, seconds() - 10) })],
    ['without a time', () => ({ timestamp: null, signature: sign(body, '') })],
    ['with a time that is none', () => ({ timestamp: 'NaN' })],
    ['with an endless time', () => ({ timestamp: 'Infinity' })],
    ['with a time in parts of a second', () => ({ timestamp: `${seconds()}.5` })],
    ['that is unsigned and only checks TLS', () => ({ body: `${body}&ssl_check=1`, signature: null })],
  ])('%s is refused', async (_, forged) => {
    const { status } = await send(forged());
    expect(bench.bot.requests).toEqual([]);
    expect([200, 401]).toContain(status);
  });

  it.each([-301, 301, -3600, 3600])('%i s from now has no effect, and says so', async (skew) => {
    const answer = await send({ timestamp: `${seconds() + skew}` });
    expect(await answer.text()).toContain('no effect');
    expect(bench.bot.requests).toEqual([]);
  });

  it('over 1 MB is refused before it is read to its end', async () => {
    const answer = await send({ body: `${body}&pad=${'x'.repeat(1_100_000)}` });
    expect(answer.status).toBe(413);
    expect(bench.bot.requests).toEqual([]);
  });

  it.each(['GET', 'PUT'])('by %s is not found', async (method) => {
    expect((await fetch(bench.url, { method })).status).toBe(404);
  });
});
