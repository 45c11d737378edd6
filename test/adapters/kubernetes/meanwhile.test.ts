/** Patches of Deployments that meet a change made after the object was read: each tests what it replaces. */
import { expect, it } from 'vitest';
import type { Intent } from '../../../src/adapters/kubernetes/fence.ts';
import { birthMarks, MANAGED_LABEL, readMarks } from '../../../src/adapters/kubernetes/marks.ts';
import type { Deployment, PodTemplate } from '../../../src/adapters/kubernetes/objects.ts';
import {
  intendClaim,
  intendDemotion,
  intendRaise,
  intendScale,
  intendTemplate,
} from '../../../src/adapters/kubernetes/twin-writes.ts';
import { applyPatch } from '../../cluster/json-patch.ts';

const BY = { rollout: 'world-1', epoch: 3, seq: 5 };
const template = (image: string): PodTemplate => ({ spec: { containers: [{ name: 'world', image }] } });
const restore = { service: 'world', template: template('v1') };

const deployment = (annotations: Record<string, string>, image = 'v1'): Deployment => ({
  metadata: { name: 'world', namespace: 'hello', uid: 'u', resourceVersion: '7', labels: MANAGED_LABEL, annotations },
  spec: {
    replicas: 2,
    selector: { matchLabels: { app: 'world' } },
    template: template(image),
    progressDeadlineSeconds: 600,
  },
});
const held = (epoch: number, seq: number, image?: string) =>
  deployment(
    { ...birthMarks({ rollout: 'world-1', epoch, seq }), 'sluice.dev/restore': JSON.stringify(restore) },
    image,
  );

const meanwhile = {
  'somebody writes anything': { op: 'replace', path: '/metadata/resourceVersion', value: '8' },
  'somebody changes the template': { op: 'replace', path: '/spec/template', value: template('by-hand') },
  'somebody changes its size': { op: 'replace', path: '/spec/replicas', value: 7 },
  'another rollout takes it': { op: 'replace', path: '/metadata/annotations/sluice.dev~1rollout', value: 'world-2' },
  'a newer epoch takes it': { op: 'replace', path: '/metadata/annotations/sluice.dev~1epoch', value: '9' },
  'a later write lands': { op: 'replace', path: '/metadata/annotations/sluice.dev~1seq', value: '9' },
} as const;

const toNew = () => template('v2');
const claim = (object: Deployment) => intendClaim(object, BY, { service: 'world' }, restore);
const promote = (object: Deployment) => intendTemplate(object, BY, toNew, false);
const overwrite = (object: Deployment) => intendTemplate(object, BY, toNew, true);
const demote = (object: Deployment) => intendDemotion(object, { ...BY, epoch: 4 });
const raise = (object: Deployment) => intendRaise(object, { ...BY, epoch: 4 });
const scale = (object: Deployment) => intendScale(object, BY, 4);

it.each<[string, (object: Deployment) => Intent, Deployment, keyof typeof meanwhile]>([
  ['a claim', claim, deployment({}), 'somebody writes anything'],
  ['a claim with a raised epoch', claim, held(2, 9), 'somebody writes anything'],
  ['a promotion', promote, held(3, 4), 'somebody changes the template'],
  ['a promotion', promote, held(3, 4), 'another rollout takes it'],
  ['a promotion', promote, held(3, 4), 'a newer epoch takes it'],
  ['a promotion', promote, held(3, 4), 'a later write lands'],
  ['a promotion that replaces what was written by hand', overwrite, held(3, 4, 'odd'), 'somebody changes the template'],
  ['a demotion', demote, held(3, 4, 'v2'), 'somebody changes the template'],
  ['a demotion', demote, held(3, 4, 'v2'), 'a newer epoch takes it'],
  ['a raised epoch', raise, held(3, 4), 'a newer epoch takes it'],
  ['a raised epoch', raise, held(3, 4), 'another rollout takes it'],
  ['a larger canary', scale, held(3, 4), 'somebody changes its size'],
  ['a larger canary', scale, held(3, 4), 'a newer epoch takes it'],
])('%s is refused when meanwhile: %#', (_, intend, object, change) => {
  const intent = intend(object);
  if (!('ops' in intent)) throw new Error(`nothing is written: ${intent.kind}`);
  expect(() => applyPatch(object, intent.ops)).not.toThrow();
  const changed = applyPatch(object, [meanwhile[change]]);
  expect(() => applyPatch(changed, intent.ops), change).toThrow(/test of/);
});

it('a demotion is not held up by a later write of its own epoch', () => {
  const object = held(3, 4, 'v2');
  const intent = demote(object);
  if (!('ops' in intent)) throw new Error('nothing is written');
  const changed = applyPatch(object, [meanwhile['a later write lands']]);
  expect(applyPatch(changed, intent.ops).spec.template).toEqual(template('v1'));
});

it('a demotion raises the epoch also where the template is still the old one', () => {
  const object = held(3, 4);
  const intent = demote(object);
  if (!('ops' in intent)) throw new Error('nothing is written');
  expect(readMarks(applyPatch(object, intent.ops))?.epoch).toBe(4);
});
