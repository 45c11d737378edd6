/** What moves traffic for Linkerd 2 beside HTTPRoutes: TrafficSplits of the SMI, and the ServiceProfiles made of them. */
import type { Shape } from '../shape.ts';
import { closed, list, open, text } from './parts.ts';

const split = (weight: Shape) =>
  closed(
    {
      service: text,
      backends: list(closed({ service: text, weight }, ['service', 'weight'])),
      matches: list(closed({ apiGroup: text, kind: text, name: text }, ['kind', 'name'])),
    },
    ['service', 'backends'],
  );

/** By version: the first knows quantities (`500m`), the last two whole numbers only. */
export const trafficSplits: Readonly<Record<string, Shape>> = {
  v1alpha1: split({ type: 'quantity', min: 0 }),
  v1alpha2: split({ type: 'number', min: 0 }),
  v1alpha3: split({ type: 'integer', min: 0 }),
  v1alpha4: split({ type: 'integer', min: 0 }),
};

export const serviceProfile = open({
  dstOverrides: list(closed({ authority: text, weight: { type: 'quantity', min: 0 } }, ['authority', 'weight'])),
});
