/** The strategies that need no line in `sluice.yaml`, in the order in which services have them. */
import { type StepEntry, Steps } from './step-schema.ts';

const TRY = { preview: { header: 'x-canary: always', optional: true }, test: true, gate: true };
const share = (weight: number) => ({ weight, bake: '1m', gate: true });

export const BUILT_IN: Readonly<Record<string, readonly StepEntry[]>> = {
  canary: Steps.parse([TRY, share(10), share(50), share(100)]),
  'blue-green': Steps.parse([TRY, share(100)]),
  mirror: Steps.parse([{ mirror: 20, test: true, bake: '1m', gate: true }, share(10), share(50), share(100)]),
  ab: Steps.parse([{ preview: { header: 'x-canary: always' }, test: true, bake: '1m', gate: true }, share(100)]),
  rolling: Steps.parse([share(100)]),
};
