/** A HorizontalPodAutoscaler of `world`, whose load a test sets. */
import { kinds } from '../../../playground/api-server/kinds.ts';
import { ASKED } from '../../../playground/controllers/autoscalers.ts';
import { NAMESPACE } from '../../../playground/world.ts';
import type { Stage } from './stage.ts';

export function useAutoscaler({ playground: { store }, get, slack }: Stage) {
  const scaler = () => get(kinds.autoscalers, 'world');
  const mark = (name: string) => scaler()?.metadata.annotations?.[`sluice.dev/${name}`];
  const until = (what: string, holds: () => boolean) => slack.until(holds, { what, timeoutMs: 15_000 });

  return {
    until,
    /** One to eight pods. */
    appear(annotations: Readonly<Record<string, string>> = {}): void {
      store.create(kinds.autoscalers, {
        apiVersion: 'autoscaling/v2',
        kind: 'HorizontalPodAutoscaler',
        metadata: { name: 'world', namespace: NAMESPACE, annotations },
        spec: {
          scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'world' },
          minReplicas: 1,
          maxReplicas: 8,
        },
      });
    },
    /** The load on stable is what so many pods are for. */
    asksFor(pods: number): void {
      const object = store.demand(kinds.autoscalers, NAMESPACE, 'world');
      const annotations = { ...object.metadata.annotations, [ASKED]: `${pods}` };
      store.update(kinds.autoscalers, { ...object, metadata: { ...object.metadata, annotations } }, 'main');
    },
    least: () => scaler()?.spec.minReplicas,
    size: (name: string) => get(kinds.deployments, name)?.spec.replicas,
    isClaimed: () => mark('phase') !== undefined,
    /** Only the terminal marks are left on it. */
    released: () =>
      until('the autoscaler is released', () => mark('phase') === 'done' && mark('restore') === undefined),
  };
}
