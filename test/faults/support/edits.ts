/** What people and other tools do to the cluster behind Sluice's back. */
import { type Kind, kinds } from '../../../playground/api-server/kinds.ts';
import type { Deployment, KubeObject } from '../../../playground/api-server/objects.ts';
import { NAMESPACE } from '../../../playground/world.ts';
import type { Stage } from '../../scenarios/support/stage.ts';

export function createEdits({ playground: { store } }: Stage) {
  /** Changes a copy of the object as it is, and writes it. */
  function edit<T extends KubeObject>(kind: Kind<T>, name: string, change: (object: T) => T): void {
    store.update(kind, change(structuredClone(store.demand(kind, NAMESPACE, name))), 'main');
  }

  function copy<T extends KubeObject>(kind: Kind<T>, name: string): void {
    const { metadata, ...object } = store.demand(kind, NAMESPACE, 'world');
    const text = JSON.stringify({
      ...object,
      metadata: { name: 'world', namespace: NAMESPACE, labels: metadata.labels },
    });
    // The address is the API server's to give.
    const own = text.replaceAll('"world"', `"${name}"`).replaceAll('world.example', `${name}.example`);
    store.create(kind, JSON.parse(own.replace(/"clusterIP":"[^"]*",?/, '')));
  }

  return {
    edit,
    /** Another service that is as `world` is now. */
    add(name: string): void {
      copy(kinds.deployments, name);
      copy(kinds.services, name);
      copy(kinds.httpRoutes, name);
    },
    remove: (kind: Kind, name: string): void => void store.remove(kind, NAMESPACE, name),
    /** As `kubectl replace` with a manifest from before does. */
    strip: <T extends KubeObject>(kind: Kind<T>, name: string): void =>
      edit(kind, name, (object) => ({ ...object, metadata: { ...object.metadata, annotations: {} } })),
    scale: (name: string, replicas: number): void =>
      edit(kinds.deployments, name, (object) => ({ ...object, spec: { ...object.spec, replicas } })),
    setImage: (name: string, image: string): void =>
      edit(kinds.deployments, name, (object) => withImage(object, image)),
    select: (name: string, selector: Record<string, string>): void =>
      edit(kinds.services, name, (object) => ({ ...object, spec: { ...object.spec, selector } })),
  };
}

function withImage(object: Deployment, image: string): Deployment {
  const { template } = object.spec;
  const containers = template.spec.containers.map((one) => ({ ...one, image }));
  return { ...object, spec: { ...object.spec, template: { ...template, spec: { ...template.spec, containers } } } };
}
