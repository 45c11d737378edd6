/** Built-in kinds, as far as they have defaults or refusals that Sluice meets; the rest of them stays open. */
import { closed, count, list, name, oneOf, open, or, port, text } from './parts.ts';

const container = open(
  {
    name,
    image: name,
    ports: list(open({ containerPort: port, protocol: or('TCP', text) }, ['containerPort'])),
    resources: or({}, open({})),
    terminationMessagePath: or('/dev/termination-log', text),
    terminationMessagePolicy: or('File', text),
    imagePullPolicy: or('IfNotPresent', text),
  },
  ['name', 'image'],
);

export const podSpec = open(
  {
    containers: { type: 'array', items: container, minItems: 1 },
    restartPolicy: or('Always', text),
    terminationGracePeriodSeconds: or(30, count),
    dnsPolicy: or('ClusterFirst', text),
    securityContext: or({}, open({})),
    schedulerName: or('default-scheduler', text),
  },
  ['containers'],
);

export const template = open({ metadata: or({}, open({ labels: open({}) })), spec: podSpec }, ['spec']);

export const deployment = closed(
  {
    minReadySeconds: count,
    paused: { type: 'boolean' },
    replicas: or(1, count),
    selector: open({ matchLabels: open({}) }),
    template,
    strategy: or(
      { type: 'RollingUpdate' },
      open({ type: or('RollingUpdate', oneOf('RollingUpdate', 'Recreate')), rollingUpdate: open({}) }),
    ),
    revisionHistoryLimit: or(10, count),
    progressDeadlineSeconds: or(600, count),
  },
  ['selector', 'template'],
);

export const service = open({
  type: or('ClusterIP', oneOf('ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalName')),
  sessionAffinity: or('None', text),
  ipFamilies: or(['IPv4'], list(text)),
  ipFamilyPolicy: or('SingleStack', text),
  internalTrafficPolicy: or('Cluster', text),
  ports: list(open({ protocol: or('TCP', text), port }, ['port'])),
});

export const autoscaler = open(
  {
    scaleTargetRef: open({ kind: name, name }, ['kind', 'name']),
    minReplicas: or(1, { type: 'integer', min: 1 }),
    maxReplicas: { type: 'integer', min: 1 },
  },
  ['scaleTargetRef', 'maxReplicas'],
);
