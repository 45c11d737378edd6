/** The HTTP port: probes, and what Prometheus finds at /metrics. */
import { once } from 'node:events';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createTelemetry } from '../../src/adapters/telemetry.ts';
import { createWeb } from '../../src/adapters/web.ts';
import { begin, decide } from '../../src/core/decide.ts';
import { ADA, samplePlan } from '../support/played.ts';

const plan = samplePlan('world', 'test');
const { rollout } = begin({ type: 'requested', id: 'world-1a2b3c', plan, epoch: 1 }, 0);

let health = { live: true, ready: true };
let telemetry: ReturnType<typeof createTelemetry>;
let web: ReturnType<typeof createWeb>;
beforeEach(async () => {
  health = { live: true, ready: true };
  telemetry = createTelemetry();
  web = createWeb({ live: () => health.live, ready: () => health.ready }, null, telemetry);
  await once(web.listen(0, '127.0.0.1'), 'listening');
});
afterEach(() => {
  web.closeAllConnections();
  web.close();
});

function ask(path: string): Promise<Response> {
  const address = web.address();
  if (address === null || typeof address === 'string') throw new Error('the server has a port');
  return fetch(`http://127.0.0.1:${address.port}${path}`);
}

/** Lines of Sluice's own series. */
async function series(): Promise<readonly string[]> {
  const text = await (await ask('/metrics')).text();
  return text
    .split('\n')
    .filter((line) => /^sluice_/.test(line) && !line.includes('_bucket') && !line.includes('_sum'));
}

it.each([
  ['/livez', { live: false }, 'live'],
  ['/readyz', { ready: false }, 'ready'],
])('%s says yes, then no', async (path, ill, word) => {
  expect([(await ask(path)).status, await (await ask(path)).text()]).toEqual([200, `${word}\n`]);
  Object.assign(health, ill);
  expect([(await ask(path)).status, await (await ask(path)).text()]).toEqual([503, `not ${word}\n`]);
});

it('/metrics has the series of the process, in the text format', async () => {
  const answer = await ask('/metrics');
  expect([answer.status, answer.headers.get('content-type')]).toEqual([200, expect.stringContaining('text/plain')]);
  expect(await answer.text()).toMatch(/^process_resident_memory_bytes \d+/m);
});

it('counts requests by verb, ticks, and aborts by cause', async () => {
  telemetry.requested('patch', 200);
  telemetry.requested('patch', 200);
  telemetry.requested('watch', 403);
  await telemetry.timed(async () => {});
  await expect(telemetry.timed(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
  const aborted = decide(
    rollout,
    { type: 'abort_requested', cause: { kind: 'person', actor: ADA, reason: null }, epoch: 2 },
    1,
  );
  if (!aborted.ok) throw new Error('an abort is possible at any time');
  telemetry.transition(rollout, aborted.rollout);
  telemetry.transition(aborted.rollout, aborted.rollout);
  expect(await series()).toEqual([
    'sluice_tick_duration_seconds_count 2',
    'sluice_kubernetes_requests_total{verb="patch",code="200"} 2',
    'sluice_kubernetes_requests_total{verb="watch",code="403"} 1',
    'sluice_aborts_total{cause="person"} 1',
  ]);
});

it('looks up rollouts by phase and waiting messages when asked', async () => {
  const store = {
    active: async () => ['a', 'b', 'gone'],
    phases: async () => ['queued', 'queued', null],
    backlog: async () => 3,
  };
  telemetry.watch({ services: ['world'], store });
  const last = ['sluice_rollouts{phase="queued"} 2', 'sluice_unsent_rollouts 3'];
  expect((await series()).slice(-2)).toEqual(last);
  expect((await series()).slice(-2), 'asked again').toEqual(last);
});

it('without Redis says nothing of rollouts, and still answers', async () => {
  const away = () => Promise.reject(new Error('away'));
  telemetry.watch({ services: ['world'], store: { active: away, phases: away, backlog: away } });
  expect((await series()).filter((line) => line.includes('rollouts'))).toEqual([]);
  expect((await ask('/metrics')).status).toBe(200);
});

it('anything else is not found', async () => {
  expect((await ask('/slack/events')).status).toBe(404);
});
