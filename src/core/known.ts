/** What another version of Sluice wrote and this one does not know: during an update both run. */
import type { Phase, PromoteStage, StartStage, StepStage } from './rollout.ts';

type StagesOf<Kind extends Phase['kind']> =
  Extract<Phase, { kind: Kind }> extends { stage: infer Stage extends string }
    ? Readonly<Record<Stage, true>>
    : Readonly<Record<never, true>>;

const PROMOTE: Readonly<Record<PromoteStage, true>> = {
  ...{ template: true, ready: true, route: true, confirm: true, cool: true, clean: true },
};
const START: Readonly<Record<StartStage, true>> = { create: true, ready: true, announce: true };
const STEP: Readonly<Record<StepStage, true>> = {
  ...{ scale: true, ready: true, route: true, confirm: true, test: true, bake: true, judge: true },
};

const STAGES: { readonly [Kind in Phase['kind']]: StagesOf<Kind> } = {
  queued: {},
  starting: START,
  stepping: STEP,
  waiting: {},
  drifted: PROMOTE,
  promoting: PROMOTE,
  halted: PROMOTE,
  aborting: { route: true, fence: true, cool: true, clean: true },
  succeeded: {},
  aborted: {},
};

/** Nothing may be concluded from a phase that is not known, and nothing said about it. */
export function isKnownPhase(phase: { readonly kind: string; readonly stage?: string }): boolean {
  if (!Object.hasOwn(STAGES, phase.kind)) return false;
  return phase.stage === undefined || Object.hasOwn(STAGES[phase.kind as Phase['kind']], phase.stage);
}
