/** Every version under its own name: what serves is told by the route, and the version before stays for the way back. */
import { expect, test } from 'vitest';
import { kinds } from '../../playground/api-server/kinds.ts';
import { useStage } from '../scenarios/support/use-stage.ts';
import { NONE_FAILED, readVersions, versionedWith } from './support/versions.ts';

const strategies = {
  short: [{ preview: { header: 'x-canary: always' }, test: true, gate: true }, ...[10, 50, 100].map(share)],
  brisk: [share(50), share(100)],
  'at-once': [{ weight: 100 }],
};
const set = useStage(versionedWith(strategies));
function share(weight: number) {
  return { weight, gate: true };
}

const opened = () => ({ ...set(), ...readVersions(set().stage) });
/** Goes all the way by itself. */
const deployed = async (version: string) => {
  const { stage, live } = opened();
  await stage.slack.command('ana', `world ${version} at-once`);
  await live(`world-${version}`);
};

test('v2 goes live gate by gate while v1 stays as it is; then v1 is scaled to zero, and a rollback brings it back at once', async () => {
  const { stage, press, said, backends, live, replicas } = opened();
  const before = stage.get(kinds.deployments, 'world-v1')?.spec;
  const users = stage.users(50);
  await stage.slack.command('ana', 'world v2 short');
  await press('bo', 'Approve 10%');
  await press('bo', 'Approve 50%');
  await press('bo', 'Approve 100%');
  await press('bo', 'Promote');
  const result = await said(/v2 is live/i);
  expect(backends()).toEqual(['world-v2']);
  await live('world-v2');
  expect(stage.get(kinds.deployments, 'world-v1')?.spec).toEqual({ ...before, replicas: 0 });
  expect(replicas('world-v2')).toEqual([2]);
  await stage.slack.click('ana', result, 'Roll back to v1');
  await live('world-v1');
  expect(stage.get(kinds.deployments, 'world-v1')?.spec).toEqual(before);
  expect(replicas('world-v2')).toEqual([0]);
  expect(await users.stop()).toMatchObject(NONE_FAILED);
}, 60_000);

test('an abort leaves v1 alone and nothing of v2', async () => {
  const { stage, gate, said, backends, live, replicas } = opened();
  const users = stage.users(50);
  const before = stage.get(kinds.deployments, 'world-v1')?.spec;
  await stage.slack.command('ana', 'world v2 brisk');
  await gate('Hold 15 min');
  expect(backends()).toEqual(['world-v1', 'world-v2']);
  await stage.slack.click('bo', stage.slack.root(), 'Abort');
  await said(/aborted/i);
  await live('world-v1');
  expect(stage.get(kinds.deployments, 'world-v1')?.spec).toEqual(before);
  expect(replicas('world-v2')).toEqual([undefined]);
  expect(stage.get(kinds.services, 'world-v2')).toBeUndefined();
  expect(await users.stop()).toMatchObject(NONE_FAILED);
}, 40_000);

test('what Sluice made for older versions goes with the next but one; what it did not make stays, without pods', async () => {
  const { stage, replicas } = opened();
  const users = stage.users(50);
  for (const version of ['v2', 'v3', 'v4']) await deployed(version);
  expect(replicas('world-v1', 'world-v2', 'world-v3', 'world-v4')).toEqual([0, undefined, 0, 2]);
  expect(stage.get(kinds.services, 'world-v2')).toBeUndefined();
  expect(stage.get(kinds.services, 'world-v1')).toBeDefined();
  expect(await users.stop()).toMatchObject(NONE_FAILED);
}, 60_000);

test('an older version whose way back is aborted sleeps again', async () => {
  const { stage, gate, said, live, replicas } = opened();
  await deployed('v2');
  await stage.slack.command('ana', 'world v1 brisk');
  await gate('Hold 15 min');
  await stage.slack.click('bo', stage.slack.root(), 'Abort');
  await said(/aborted/i);
  await live('world-v2');
  expect(replicas('world-v1', 'world-v2')).toEqual([0, 2]);
}, 40_000);

test('what serves cannot be rolled out beside itself, and what is in the way is named', async () => {
  const { stage, told } = set();
  stage.playground.store.create(kinds.services, {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'world-v3', namespace: 'hello' },
    spec: { selector: { app: 'world' }, ports: [{ port: 80 }] },
  });
  for (const [text, answer] of [
    ['world v1', /already/],
    ['world v1 --redeploy', /a name of its own/],
    ['world v3', /world-v3 exists and does not lead to the pods of its version alone/],
  ] as const) {
    await stage.slack.command('ana', text);
    await told('ana', answer);
  }
  expect(stage.slack.root()).toBeUndefined();
}, 40_000);
