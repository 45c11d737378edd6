/** Defaults and refusals of Kubernetes Services. */
import type { JsonObject } from '../json.ts';
import { asArray, asObject, type Check, invalidValue, required } from './causes.ts';

let lastClusterIp = 0;

export function fillService(spec: JsonObject, old: JsonObject | undefined): JsonObject {
  const ports = asArray(spec.ports).map((port) => ({ targetPort: asObject(port).port, ...asObject(port) }));
  const clusterIP = spec.clusterIP ?? old?.clusterIP ?? `10.96.${++lastClusterIp >> 8}.${lastClusterIp & 255}`;
  return { ...spec, ports, clusterIP, clusterIPs: [clusterIP] };
}

export const checkService: Check = (spec, old) => {
  if (old && old.clusterIP !== spec.clusterIP) {
    return [invalidValue('spec.clusterIPs[0]', [spec.clusterIP ?? null], 'may not change once set')];
  }
  const ports = asArray(spec.ports);
  if (ports.length === 0 && spec.clusterIP !== 'None') return [required('spec.ports')];
  if (ports.length === 1) return [];
  return ports.flatMap((port, index) => (asObject(port).name ? [] : [required(`spec.ports[${index}].name`)]));
};
