import type { JsonObject } from '../json.ts';
import { asArray, type Check, invalidValue } from './causes.ts';

const cpu = {
  type: 'Resource',
  resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 80 } },
};

export function fillAutoscaler(spec: JsonObject): JsonObject {
  return asArray(spec.metrics).length > 0 ? spec : { ...spec, metrics: [cpu] };
}

export const checkAutoscaler: Check = ({ minReplicas = 1, maxReplicas }) => {
  if (Number(maxReplicas) >= Number(minReplicas)) return [];
  return [invalidValue('spec.maxReplicas', maxReplicas, 'must be greater than or equal to `minReplicas`')];
};
