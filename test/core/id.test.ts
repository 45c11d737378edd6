import { describe, expect, it } from 'vitest';
import { newId, serviceOf } from '../../src/core/id.ts';

describe('the id of a rollout', () => {
  it('is made of the service and random characters', () => {
    expect(newId('world', (count) => new Uint8Array(count).fill(255))).toBe('world-zzzzzz');
    expect(newId('world', () => Uint8Array.of(0, 1, 9, 10, 32, 63))).toBe('world-019a0z');
  });

  it.each([
    ['of a service', 'world-7k2m9q', 'world'],
    ['of a service with a dash', 'hello-world-7k2m9q', 'hello-world'],
    ['of a service that looks like an id', 'world-7k2m9q-abcdef', 'world-7k2m9q'],
    ['of a service of one letter', 'w-7k2m9q', 'w'],
    ['that is only a service', 'world', null],
    ['with too few characters', 'world-7k2m9', null],
    ['without a service', '-7k2m9q', null],
    ['with a service that ends in a dash', 'world--7k2m9q', null],
    ['that would leave its keys', 'wor}ld-7k2m9q', null],
    ['that is empty', '', null],
  ])('%s tells its service', (_, id, service) => {
    expect(serviceOf(id)).toBe(service);
  });
});
