/** The published pipeline of Linkerd 1 as a strategy: no traffic, a test by header, 10%, 100%, and the dtab is permanent. */
import { afterAll, beforeEach, expect, test } from 'vitest';
import { CANARY_ID, STABLE_ID } from '../cluster/namerd-world.ts';
import { useStage } from '../scenarios/support/use-stage.ts';
import { startFakeNamerd } from '../support/fake-namerd.ts';

const NAMESPACES = ['internal', 'external'];
const DTAB = '/srv=>/#/io.l5d.k8s/hello/http;/host=>/srv;/svc=>/host;/host/world=>/srv/world';

const namerd = await startFakeNamerd();
namerd.services.set(STABLE_ID, 2).set(CANARY_ID, 1);
afterAll(() => namerd.stop());
beforeEach(() => {
  for (const namespace of NAMESPACES) namerd.put(namespace, DTAB);
});

const set = useStage({
  service: {
    traffic: {
      router: 'namerd',
      url: namerd.url,
      namespaces: NAMESPACES,
      path: '/host/world',
      names: '/srv/world-{version}',
    },
    strategies: ['pipeline'],
    checks: [],
  },
  config: {
    strategies: {
      pipeline: [
        { preview: { header: 'x-canary: always' }, test: true, gate: true },
        { weight: 10, gate: true },
        { weight: 100, gate: true },
      ],
    },
  },
});

const shares = () => NAMESPACES.map((namespace) => namerd.get(namespace).match(/\/host\/world=>([^;]*)/)?.[1]);
const both = (dst: string) => [dst, dst];
const dtabs = () => NAMESPACES.map((namespace) => namerd.get(namespace));

test('the pipeline ends with the new version behind the old name', async () => {
  const { stage, gate, press, said, cleaned, image } = set();
  await stage.slack.command('ana', 'world v2 pipeline');
  const question = await gate('Approve 10%');
  expect(stage.slack.words(question)).toContain("curl -H 'l5d-dtab: /host/world =&gt; /srv/world-canary'");
  expect(shares()).toEqual(both('/srv/world'));
  expect(image('world-canary')).toBe('buoyantio/world:v2');
  await press('bo', 'Approve 10%');
  await gate('Approve 100%');
  expect(shares()).toEqual(both('10.00*/srv/world-canary & 90.00*/srv/world'));
  await press('bo', 'Approve 100%');
  await gate('Promote');
  expect(shares()).toEqual(both('/srv/world-canary'));
  await press('bo', 'Promote');
  await said(/v2 is live/i);
  await cleaned();
  expect(image('world')).toBe('buoyantio/world:v2');
  await stage.slack.until(() => dtabs().every((dtab) => dtab === DTAB), { what: 'the dtabs as they were' });
}, 60_000);

test.each([
  ['before any traffic', [], '/srv/world'],
  ['at 10%', ['Approve 10%'], '10.00*/srv/world-canary & 90.00*/srv/world'],
  ['at 100%', ['Approve 10%', 'Approve 100%'], '/srv/world-canary'],
])(
  'an abort %s brings the dtabs of before back, to the letter',
  async (_, approvals, share) => {
    const { stage, gate, press, said, cleaned, image } = set();
    await stage.slack.command('ana', 'world v2 pipeline');
    for (const label of approvals) await press('bo', label);
    await gate(['Approve 10%', 'Approve 100%', 'Promote'][approvals.length] ?? '');
    expect(shares()).toEqual(both(share));
    await stage.slack.click('bo', stage.slack.root(), 'Abort');
    await said(/aborted/i);
    // The gate says so as soon as it is recorded.
    await expect.poll(shares).toEqual(both('/srv/world'));
    await cleaned();
    expect(image('world')).toBe('buoyantio/world:v1');
    await stage.slack.until(() => dtabs().every((dtab) => dtab === DTAB), { what: 'the dtabs as they were' });
  },
  60_000,
);

test('another pipeline on the same dentry is told at once, and nothing is posted', async () => {
  const { stage, told } = set();
  namerd.put('internal', DTAB.replace('=>/srv/world', '=>/tmp/world'));
  await stage.slack.command('ana', 'world v2');
  expect(await told('ana', /another pipeline/)).toMatch(/dtab internal/);
  expect(stage.slack.root()).toBeUndefined();
}, 30_000);

test('what somebody else changes in the dtab stops the rollout, and the next write does not overwrite it', async () => {
  const { stage, gate, press } = set();
  await stage.slack.command('ana', 'world v2 pipeline');
  await press('bo', 'Approve 10%');
  await gate('Approve 100%');
  namerd.put(
    'external',
    namerd.get('external').replace('10.00*/srv/world-canary & 90.00*', '30*/srv/world-canary & 70*'),
  );
  await press('bo', 'Approve 100%');
  const question = await gate('Accept 30%');
  expect(question.text).toMatch(/dtab external/);
  expect(shares()).toEqual([
    '10.00*/srv/world-canary & 90.00*/srv/world',
    '30.00*/srv/world-canary & 70.00*/srv/world',
  ]);
}, 60_000);
