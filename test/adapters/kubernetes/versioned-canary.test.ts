/** A new version as a copy of the one that serves: which label tells their pods apart, and what else is copied. */
import { describe, expect, it } from 'vitest';
import type { Deployment } from '../../../src/adapters/kubernetes/objects.ts';
import { versionDrafts, versionLabel } from '../../../src/adapters/kubernetes/versioned-canary.ts';
import type { Target } from '../../../src/core/plan.ts';
import { versionName } from '../../../src/core/versions.ts';
import { planFor } from '../../cluster/world.ts';

const fence = { rollout: 'world-aaaaaa', epoch: 1, seq: 2 };
const target = (from: string, to: string): Target => ({
  service: 'world',
  namespace: 'hello',
  deployment: versionName('world', from),
  container: 'world',
  workload: 'versioned',
  traffic: { router: 'gateway-api', routes: ['hello/world'] },
  versioned: { base: 'world', canary: versionName('world', to) },
});
const metadata = { name: 'world', namespace: 'hello', uid: 'u', resourceVersion: '1' };
const deployment = (matchLabels: Record<string, string>): Deployment => ({
  metadata,
  spec: {
    replicas: 2,
    selector: { matchLabels },
    template: { metadata: { labels: matchLabels }, spec: { containers: [{ name: 'world', image: 'world:1' }] } },
    progressDeadlineSeconds: 600,
  },
});

describe('the label that tells the pods of two versions apart', () => {
  it.each<[string, [string, string], Record<string, string>, string | null]>([
    ['the version', ['v1', 'v2'], { app: 'world', version: 'v1' }, 'version=v2'],
    ['a version with dots, as it was typed', ['1.4.0', '1.5.0'], { app: 'world', version: '1.4.0' }, 'version=1.5.0'],
    ['one with dashes', ['main-3f2a', 'main-4b5c'], { app: 'world', version: 'main-3f2a' }, 'version=main-4b5c'],
    ['one that is typed otherwise than the last', ['v1', '1.5.0'], { app: 'world', version: 'v1' }, 'version=1.5.0'],
    ['one with capitals', ['1.4.0-RC1', '1.4.0'], { app: 'world', version: '1.4.0-RC1' }, 'version=1.4.0'],
    ['as the name has it', ['1.4.0', '1.5.0'], { app: 'world', version: '1-4-0' }, 'version=1-5-0'],
    ["the Deployment's name", ['1.4.0', '1.5.0'], { app: 'world-1-4-0' }, 'app=world-1-5-0'],
    ['neither: the new name', ['1.4.0', '1.5.0'], { app: 'world' }, 'app=world-1-5-0'],
    ['nothing that could', ['1.4.0', '1.5.0'], { tier: 'web' }, null],
  ])('says %s', (_, [from, to], matchLabels, wanted) => {
    const found = versionLabel(deployment(matchLabels), target(from, to), null);
    expect(found && `${found.key}=${found.canary}`).toBe(wanted);
  });

  it('is that of an older version where it comes back, whose selector cannot change', () => {
    const existing = deployment({ app: 'world', version: 'one-five' });
    const found = versionLabel(deployment({ app: 'world', version: '1.4.0' }), target('1.4.0', '1.5.0'), existing);
    expect(found?.canary).toBe('one-five');
  });

  it('has a value that a label may have where the name has a hash', () => {
    const found = versionLabel(deployment({ version: 'v1' }), target('v1', 'V_2-'), null);
    expect(found?.canary).toMatch(/^[A-Za-z0-9]([\w.-]{0,61}[A-Za-z0-9])?$/);
  });
});

it('both its objects carry what their owners find them by', () => {
  const live = deployment({ app: 'world', version: '1.4.0' });
  const labels = { team: 'x', version: '1.4.0', 'argocd.argoproj.io/instance': 'shop' };
  const annotations = {
    'prometheus.io/scrape': 'true',
    'cloud.google.com/backend-config': '{}',
    owner: 'shop',
    'kubectl.kubernetes.io/last-applied-configuration': '{}',
    'deployment.kubernetes.io/revision': '7',
    'kubernetes.io/change-cause': 'v1',
    'cloud.google.com/neg-status': '{}',
    'argocd.argoproj.io/tracking-id': 'shop',
    'kustomize.toolkit.fluxcd.io/prune': 'disabled',
    'fluxcd.io/sync-checksum': 'x',
    'meta.helm.sh/release-name': 'shop',
    'helm.sh/resource-policy': 'keep',
    'external-dns.alpha.kubernetes.io/hostname': 'world.example.com',
    'sluice.dev/rollout': 'world-bbbbbb',
    'cloud.google.com/neg': '{"exposed_ports":{"80":{"name":"world"}}}',
    'consul.hashicorp.com/service-name': 'world',
    'tailscale.com/hostname': 'world',
    'getambassador.io/config': 'kind: Mapping',
    'keel.sh/policy': 'major',
  };
  const service = {
    metadata: { ...metadata, labels, annotations },
    spec: { selector: { app: 'world', version: '1.4.0' } },
  };
  const of = target('1.4.0', '1.5.0');
  const label = versionLabel(live, of, null);
  if (!label) throw new Error('no label');
  const found = { live: { ...live, metadata: { ...metadata, labels, annotations } }, service, existing: null };
  const drafts = versionDrafts(planFor(of, '1.5.0'), found, label, fence);
  const wanted = { team: 'x', version: '1.5.0', 'app.kubernetes.io/managed-by': 'sluice' };
  expect(drafts.deployment.labels).toEqual(wanted);
  expect(drafts.service.labels).toEqual(wanted);
  const copied = {
    'prometheus.io/scrape': 'true',
    'cloud.google.com/backend-config': '{}',
    owner: 'shop',
    'sluice.dev/rollout': fence.rollout,
    'sluice.dev/epoch': '1',
    'sluice.dev/seq': '2',
    'sluice.dev/phase': 'active',
  };
  expect(drafts.deployment.annotations).toEqual(copied);
  expect(drafts.service.annotations).toEqual(copied);
  expect(drafts.service.spec.selector).toEqual({ app: 'world', version: '1.5.0' });
});
