/** manifests/examples/namerd, loaded and applied: nothing speaks against a rollout of it. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { createPlayground } from '../../../../playground/playground.ts';
import { createCluster } from '../../../../src/adapters/kubernetes/cluster.ts';
import { createTwin } from '../../../../src/adapters/kubernetes/twin.ts';
import { createRouter } from '../../../../src/adapters/traffic/index.ts';
import { diagnose } from '../../../../src/cli/doctor.ts';
import { parseConfig } from '../../../../src/core/parse-config.ts';
import { openKube } from '../../../cluster/kube.ts';
import { silent } from '../../../cluster/world.ts';
import { startFakeNamerd } from '../../../support/fake-namerd.ts';

const read = (name: string) => readFileSync(join('manifests/examples/namerd', name), 'utf8');

const namerd = await startFakeNamerd();
const playground = await createPlayground({ readyAfterMs: 20, drainMs: 20, world: false });
const kube = openKube(playground.kubeconfig);
const cluster = createCluster({ kubeconfig: playground.kubeconfig, log: silent });
afterAll(async () => {
  await cluster.close();
  await kube.close();
  await playground.stop();
  await namerd.stop();
});

const folder = mkdtempSync(join(tmpdir(), 'sluice-namerd-example-'));
afterAll(() => rmSync(folder, { recursive: true }));

test('the example can be rolled out, and doctor finds a dtab that is gone', async () => {
  const text = read('sluice.yaml').replace('http://namerd.default:4180', namerd.url);
  const parsed = parseConfig(parse(text));
  expect(parsed).toMatchObject({ ok: true });
  const service = parsed.ok ? parsed.config.services.world : undefined;
  if (!service) throw new Error('the example rolls out world');
  await kube.call('POST', '/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'hello' } });
  const paths = {
    Service: '/api/v1/namespaces/hello/services',
    Deployment: '/apis/apps/v1/namespaces/hello/deployments',
  };
  for (const manifest of parseAllDocuments(read('world.yaml')).map((document) => document.toJS())) {
    await kube.call('POST', paths[manifest.kind as keyof typeof paths], manifest);
  }
  for (const namespace of ['internal', 'external']) namerd.put(namespace, read(`${namespace}.dtab`));
  namerd.services.set('/#/io.l5d.k8s/hello/http/world', 3);
  const target = { ...service.target, container: service.target.container ?? '' };
  const router = createRouter('namerd', { cluster, log: silent });
  expect(await router.preflight(target)).toEqual({
    ok: true,
    facts: {
      objects: ['internal', 'external'].map((name) => `dtab ${name} of ${namerd.url}, dentry /host/world`),
      epoch: 0,
      several: [],
    },
    warnings: [],
  });
  expect(await createTwin({ cluster, log: silent }).preflight(target, service.image)).toMatchObject({
    ok: true,
    facts: { version: '0.1.6', container: 'service' },
  });
  const environment = { KUBECONFIG: playground.kubeconfig, SLUICE_CONFIG: join(folder, 'sluice.yaml') };
  writeFileSync(environment.SLUICE_CONFIG, text);
  const look = async () => (await diagnose(environment)).filter(({ subject }) => subject === 'service world');
  expect(await look()).toMatchObject([{ level: 'ok', text: expect.stringMatching(/ serves 0\.1\.6, routed by dtab/) }]);
  namerd.remove('external');
  expect(await look()).toMatchObject([
    {
      level: 'fail',
      text: `dtab external of ${namerd.url} does not exist: make it with namerctl dtab create external, or correct traffic.namespaces.`,
    },
  ]);
});
