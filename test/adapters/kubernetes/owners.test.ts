/** Who else writes an object. */
import { expect, it } from 'vitest';
import { Deployments } from '../../../src/adapters/kubernetes/objects.ts';
import { otherOwner, revertWarnings } from '../../../src/adapters/kubernetes/owners.ts';

const object = (annotations: Record<string, string>, labels: Record<string, string> = {}) => ({
  metadata: { name: 'world', namespace: 'hello', uid: 'u', resourceVersion: '1', annotations, labels },
});

it.each<[string, ReturnType<typeof object>, string | null]>([
  ['nobody', object({ 'example.com/note': 'x' }), null],
  ['Flagger by its label', object({}, { 'app.kubernetes.io/managed-by': 'flagger' }), 'Flagger'],
  ['Flagger by its annotation', object({ 'flagger.app/config-tracking': 'disabled' }), 'Flagger'],
  [
    'Flagger by the spec that it has replaced',
    object({ 'flagger.kubernetes.app/original-configuration': '{}' }),
    'Flagger',
  ],
  ['Argo Rollouts', object({ 'rollout.argoproj.io/revision': '3' }), 'Argo Rollouts'],
  ['Argo CD rolls nothing out', object({ 'argocd.argoproj.io/tracking-id': 'world' }), null],
])('who rolls it out: %s', (_, held, owner) => expect(otherOwner(held)).toBe(owner));

it.each<[string, ReturnType<typeof object>, readonly RegExp[]]>([
  ['Argo CD', object({ 'argocd.argoproj.io/tracking-id': 'hello:apps/Deployment:hello/world' }), [/^Argo CD /]],
  ['Argo CD by a label', object({}, { 'argocd.argoproj.io/instance': 'hello' }), [/^Argo CD /]],
  ['Flux', object({}, { 'kustomize.toolkit.fluxcd.io/name': 'hello' }), [/^Flux keeps Deployment hello\/world/]],
  ['a HelmRelease of Flux', object({}, { 'helm.toolkit.fluxcd.io/name': 'hello' }), [/^Flux /]],
  [
    'not Flux where it is told to leave it alone',
    object({ 'kustomize.toolkit.fluxcd.io/reconcile': 'disabled' }, { 'kustomize.toolkit.fluxcd.io/name': 'hello' }),
    [],
  ],
  ['not Helm, which writes when somebody upgrades', object({ 'meta.helm.sh/release-name': 'hello' }), []],
])('who takes writes back: %s', (_, held, said) => {
  expect(revertWarnings(Deployments, held)).toEqual(said.map((one) => expect.stringMatching(one)));
});
