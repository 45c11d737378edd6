import { expect, it } from 'vitest';
import { createRouter, createRouters } from '../../../src/adapters/traffic/index.ts';
import { deadCluster, silent } from '../../cluster/world.ts';

const KNOWN = ['gateway-api', 'namerd', 'smi', 'istio', 'ingress-nginx', 'kubernetes', 'kubernetes/in-place'];

it('makes a router for each known name', () => {
  expect(Object.keys(createRouters({ cluster: deadCluster, log: silent }))).toEqual(KNOWN);
});

it('answers an unknown name with the known ones', () => {
  expect(() => createRouter('istoi', { cluster: deadCluster, log: silent })).toThrow(
    `unknown router "istoi"; known: ${KNOWN.join(', ')}`,
  );
});
