import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { latency, result, startAdapter, successRate, waiting } from './support.ts';

let bench: Awaited<ReturnType<typeof startAdapter>>;
beforeEach(async () => {
  bench = await startAdapter();
});
afterEach(() => bench.stop());

/** A gate in the channel, as the bot posts it; its checks fail when `bad`. */
async function postGate({ bad = false } = {}) {
  const { chat, fake } = bench;
  const results = [result(successRate, bad ? 91 : 99.9), result(latency, 120)];
  const root = await chat.show(waiting({ results }), { key: 'root' });
  if (root.kind !== 'sent') throw new Error('the root was not posted');
  const rollout = waiting({ results }, { messages: { root: root.ts } });
  await chat.show(rollout, { key: 'gate:1' });
  const message = fake.thread()[0];
  if (!message) throw new Error('the gate was not posted');
  return message;
}

describe('a command', () => {
  it('reaches the bot with who, where and what', async () => {
    const { ackedMs, error } = await bench.fake.command('ana', 'world v2 canary --reason "ask <@U0BO|bo>"');
    expect({ error, acked: ackedMs !== null }).toEqual({ error: null, acked: true });
    expect(bench.bot.requests).toMatchObject([
      {
        user: 'U0ANA',
        name: 'ana',
        team: 'T-ACME',
        replyTo: {
          user: 'U0ANA',
          channel: 'C0DEPLOYS',
          thread: null,
          responseUrl: expect.stringContaining('/response/'),
        },
        what: { kind: 'command', text: 'world v2 canary --reason "ask @bo"', thread: null },
      },
    ]);
    expect(bench.fake.ephemerals('ana')).toEqual([]);
  });

  it('is acknowledged before the work is done', async () => {
    let finish = () => {};
    const work = new Promise<void>((resolve) => {
      finish = resolve;
    });
    bench.bot.receive = async () => ({ after: () => work });
    const { ackedMs } = await bench.fake.command('ana', 'world v2');
    expect(ackedMs).not.toBeNull();
    finish();
  });

  it('that is not recorded is answered so, and nothing is done', async () => {
    bench.bot.receive = () => Promise.reject(new Error('Redis is away'));
    await bench.fake.command('ana', 'world v2');
    expect(bench.fake.ephemerals('ana')).toEqual([expect.stringContaining('Not recorded')]);
    expect(bench.bot.worked).toBe(0);
  });

  it('that is recorded too late is answered in time and done nevertheless', async () => {
    bench.bot.receive = () =>
      new Promise((resolve) => setTimeout(resolve, 2300, { after: async () => void bench.bot.worked++ }));
    const { ackedMs } = await bench.fake.command('ana', 'world v2');
    expect(ackedMs).toBeLessThan(2300);
    expect(bench.fake.ephemerals('ana')).toEqual([expect.stringContaining('in time')]);
    await bench.fake.until(() => bench.bot.worked === 1);
  });

  it('sent twice carries the same key', async () => {
    await bench.fake.command('ana', 'world v2');
    await bench.fake.replay();
    const [first, second] = bench.bot.requests;
    expect(second?.key).toBe(first?.key);
  });
});

describe('requests that must have no effect', () => {
  it.each([
    ['a foreign team', { team: 'T-OTHER' }, 'Only full members'],
    ['a timestamp of 6 minutes ago', { skew: -360 }, 'no effect'],
    ['a timestamp from the future', { skew: 360 }, 'no effect'],
  ])('a command with %s is answered', async (_, forgery, words) => {
    await bench.fake.command('ana', 'world v2', forgery);
    expect(bench.bot.requests).toEqual([]);
    expect(bench.fake.ephemerals('ana')).toEqual([expect.stringContaining(words)]);
  });

  it.each([
    ['a foreign team', { team: 'T-OTHER' }, 'Only full members'],
    ['a timestamp of 6 minutes ago', { skew: -360 }, 'no effect'],
    ['a timestamp from the future', { skew: 360 }, 'no effect'],
  ])('a click with %s is answered', async (_, forgery, words) => {
    await bench.fake.click('bo', await postGate(), 'Approve 50%', forgery);
    expect(bench.bot.requests).toEqual([]);
    await bench.fake.until(() => bench.fake.ephemerals('bo')[0]?.includes(words));
  });

  it.each([{ skew: 0 }, { skew: 360 }])('a wrong signature is refused (%j)', async (forgery) => {
    const { status } = await bench.fake.command('ana', 'world v2', { ...forgery, badSignature: true });
    expect(status).toBe(401);
    expect(bench.bot.requests).toEqual([]);
    expect(bench.fake.ephemerals('ana')).toEqual([]);
  });
});

describe('a click', () => {
  it('carries the gate, and where the answer goes', async () => {
    const message = await postGate();
    await bench.fake.click('bo', message, 'Approve 50%');
    expect(bench.bot.requests).toMatchObject([
      {
        user: 'U0BO',
        name: 'bo',
        replyTo: { channel: 'C0DEPLOYS', thread: message.thread },
        what: {
          kind: 'click',
          click: { action: 'approve', rollout: 'world-7k2q9x', gate: 'world-7k2q9x.1' },
          reason: null,
        },
      },
    ]);
  });

  it('on Abort carries what an abort needs without Redis', async () => {
    await bench.fake.click('bo', await postGate(), 'Abort');
    const click = { action: 'abort', rollout: 'world-7k2q9x', env: 'default', service: 'world' };
    expect(bench.bot.requests).toMatchObject([{ what: { click } }]);
  });

  it('that is not recorded is answered', async () => {
    const message = await postGate();
    bench.bot.receive = () => Promise.reject(new Error('Redis is away'));
    const { error } = await bench.fake.click('bo', message, 'Hold 15 min');
    expect(error).toBeNull();
    await bench.fake.until(() => bench.fake.ephemerals('bo')[0]?.includes('Not recorded'));
  });
});

describe('approving despite a failing check', () => {
  it('asks for a reason and hands it on', async () => {
    const message = await postGate({ bad: true });
    await bench.fake.click('bo', message, 'Approve anyway…');
    await bench.fake.until(() => bench.fake.form('bo'));
    expect(bench.bot.requests).toEqual([]);
    await bench.fake.submit('bo', { reason: 'known spike of the backup' });
    const click = { action: 'approve', rollout: 'world-7k2q9x', gate: 'world-7k2q9x.1' };
    expect(bench.bot.requests).toMatchObject([
      {
        user: 'U0BO',
        replyTo: { channel: 'C0DEPLOYS', thread: message.thread },
        what: { click, reason: 'known spike of the backup' },
      },
    ]);
  });

  it('keeps the form open when the reason is not recorded', async () => {
    await bench.fake.click('bo', await postGate({ bad: true }), 'Approve anyway…');
    await bench.fake.until(() => bench.fake.form('bo'));
    bench.bot.receive = () => Promise.reject(new Error('Redis is away'));
    const { body } = await bench.fake.submit('bo', { reason: 'known' });
    expect(body).toMatchObject({
      response_action: 'errors',
      errors: { reason: expect.stringContaining('Not recorded') },
    });
    expect(bench.fake.form('bo')).not.toBeNull();
  });

  it('says so when Slack opens no form', async () => {
    const message = await postGate({ bad: true });
    bench.fake.fail({ kind: 'error', error: 'expired_trigger_id' }, { method: 'views.open' });
    await bench.fake.click('bo', message, 'Approve anyway…');
    await bench.fake.until(() => bench.fake.ephemerals('bo')[0]?.includes('could not be opened'));
  });
});

describe('a mention', () => {
  it('in a thread is a command about that thread', async () => {
    const { thread } = await postGate();
    await bench.fake.mention('bo', thread, 'status');
    const [request] = await bench.fake.until(() => bench.bot.requests.length > 0 && bench.bot.requests);
    expect(request).toMatchObject({
      user: 'U0BO',
      name: 'bo',
      replyTo: { thread, responseUrl: null },
      what: { kind: 'command', text: 'status', thread: { channel: 'C0DEPLOYS', ts: thread } },
    });
  });

  it('delivered again carries the same key', async () => {
    await bench.fake.mention('bo', null, 'help');
    await bench.fake.replay();
    await bench.fake.until(() => bench.bot.requests.length === 2);
    expect(bench.bot.requests[1]?.key).toBe(bench.bot.requests[0]?.key);
  });

  it('that Slack repeats says so', async () => {
    await bench.fake.mention('bo', null, 'help');
    await bench.fake.replay({ retry: 1 });
    await bench.fake.until(() => bench.bot.requests.length === 2);
    expect(bench.bot.requests.map(({ isRepeated }) => isRepeated)).toEqual([false, true]);
  });

  it('is acknowledged when it is recorded, and not before: Slack repeats what died with the process', async () => {
    let record = () => {};
    const recorded = new Promise<void>((resolve) => {
      record = resolve;
    });
    let worked = false;
    bench.bot.receive = async () => {
      await recorded;
      return {
        after: async () => {
          worked = true;
        },
      };
    };
    let acknowledged = false;
    const delivery = bench.fake.mention('bo', null, 'help').then((delivered) => {
      acknowledged = true;
      return delivered;
    });
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(acknowledged).toBe(false);
    record();
    expect(await delivery).toMatchObject({ status: 200, error: null });
    await bench.fake.until(() => worked);
  });

  it('is acknowledged in time although Slack does not say who it is', async () => {
    bench.fake.fail({ kind: 'hang' }, { method: 'users.info' });
    expect((await bench.fake.mention('cy', null, 'help')).error).toBeNull();
    expect(bench.bot.requests).toMatchObject([{ user: 'U0CY', name: 'U0CY' }]);
  });

  it('that was edited is not a new one, and is acknowledged all the same', async () => {
    bench.bot.receive = () => Promise.reject(new Error('it is asked nothing'));
    expect((await bench.fake.mention('bo', null, 'help', { edited: true })).error).toBeNull();
  });

  it('that is not recorded is answered in the thread', async () => {
    const { thread } = await postGate();
    bench.bot.receive = () => Promise.reject(new Error('Redis is away'));
    await bench.fake.mention('bo', thread, 'abort');
    await bench.fake.until(() => bench.fake.ephemerals('bo')[0]?.includes('Not recorded'));
  });
});
