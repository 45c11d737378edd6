/** Prometheus fails in every way: no data is never success, nothing moves by itself, and an abort works throughout. */
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { onStage } from './support/open-stage.ts';

const vector = (value: string) => ({
  status: 'success',
  data: { resultType: 'vector', result: [{ metric: { side: 'canary' }, value: [Date.now() / 1000, value] }] },
});
const send = (response: ServerResponse, body: unknown, status = 200) =>
  void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));

let answer: (response: ServerResponse) => void;
const server = createServer((request, response) => {
  request.resume();
  answer(response);
});
beforeEach(async () => {
  answer = (response) => send(response, vector('1'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

const check = { query: 'queue{app="{{workload}}"}', max: 5, interval: '1s', window: '10s' };
/** The first step has no gate of its own: only good checks let it go on. */
const strategies = {
  short: [
    { weight: 10, bake: '1s' },
    { weight: 50, gate: true },
    { weight: 100, gate: true },
  ],
};
const options = () => ({
  service: { checks: [{ name: 'queue', ...check }], tests: [], strategies: ['short'] },
  config: { metrics: { prometheus: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }, strategies },
});

test('healthy: the step without a gate goes on by itself', () =>
  onStage(options(), async ({ stage, gate }) => {
    await stage.slack.command('ana', 'world v2 short');
    await gate('Approve 100%');
    expect(stage.weights).toEqual([0, 10, 50]);
  }));

test.each<[string, (response: ServerResponse) => void, RegExp]>([
  ['down', (response) => void response.destroy(), /no data/i],
  ['5xx', (response) => send(response, { status: 'error', error: 'overloaded' }, 503), /no data/i],
  [
    'empty',
    (response) => send(response, { status: 'success', data: { resultType: 'vector', result: [] } }),
    /no data/i,
  ],
  ['NaN', (response) => send(response, vector('NaN')), /no data/i],
  ['partial (warnings)', (response) => send(response, { ...vector('1'), warnings: ['a store is down'] }), /no data/i],
  ['no JSON', (response) => void response.writeHead(200).end('<html>'), /no data/i],
])('%s: the step opens a gate that says so, needs a reason, and lets people abort', (_, fault, words) =>
  onStage(options(), async ({ stage, gate, said }) => {
    answer = fault;
    await stage.slack.command('ana', 'world v2 short');
    const open = await gate('Approve anyway…');
    expect(stage.slack.words(open)).toMatch(words);
    expect(stage.slack.buttons(open)).not.toContain('Approve 50%');
    await stage.slack.click('bo', stage.slack.root(), 'Abort');
    await said(/aborted by @bo/);
    expect(stage.weights).toEqual([0, 10, 0]);
  }),
);

test('silent for 5 s at each query, then late after the abort: its answer changes nothing', () =>
  onStage(options(), async ({ stage, said }) => {
    const waiting: ServerResponse[] = [];
    answer = (response) => void waiting.push(response);
    await stage.slack.command('ana', 'world v2 short');
    await stage.slack.until(() => waiting.length > 0, { what: 'a query', timeoutMs: 8_000 });
    await stage.slack.click('bo', stage.slack.root(), 'Abort');
    await stage.slack.until(() => stage.weights.at(-1) === 0, { what: 'the traffic is back', timeoutMs: 2_000 });
    for (const response of waiting) send(response, vector('1'));
    await said(/aborted by @bo/);
    await pause(500);
    expect(stage.weights).toEqual([0, 10, 0]);
  }));

test('it goes away at a gate: Approve becomes "Approve anyway", and comes back with the data', () =>
  onStage(options(), async ({ stage, gate }) => {
    await stage.slack.command('ana', 'world v2 short');
    await gate('Approve 100%');
    answer = (response) => void response.destroy();
    await gate('Approve anyway…');
    answer = (response) => send(response, vector('1'));
    await gate('Approve 100%');
    expect(stage.weights).toEqual([0, 10, 50]);
  }));

test('a failing check takes the traffic back although the route cannot be seen any more', () =>
  onStage(options(), async ({ stage, gate, said }) => {
    const { api } = stage.playground;
    await stage.slack.command('ana', 'world v2 short');
    await gate('Approve 100%');
    api.rights.deny({ verb: 'watch', resource: 'httproutes' });
    api.dropConnections();
    const blind = () => /tick failed.*may not watch httproutes|may not watch httproutes.*tick failed/.test(stage.log());
    await stage.slack.until(blind, { what: 'it sees no route', timeoutMs: 20_000 });
    answer = (response) => send(response, vector('9'));
    await stage.slack.until(() => stage.weights.at(-1) === 0, { what: 'the traffic is back', timeoutMs: 20_000 });
    api.rights.allowEverything();
    await said(/a check failed/);
  }));
