/** Every write that a rollout would make, in order, before it is made: for dry runs and `plan`. */
import { loadOf, type Plan, type Preview, type Route, type Target } from './plan.ts';
import { previewRequest, routeObjects, writeWords } from './traffic.ts';

export type PlannedWrite = {
  /** `start`, `step 2`, `promotion`, `clean-up`, `abort` */
  readonly when: string;
  readonly object: string;
  /** As half a sentence. */
  readonly what: string;
  /** `spec.rules[0].backendRefs[1].weight: 10 → 50`, as far as it is known before. */
  readonly fields: readonly string[];
};

/** What a router would write to one object: the fields for each route in order, and for the way back from the last one. */
export type Foreseen = {
  readonly object: string;
  readonly routes: readonly (readonly string[])[];
  readonly back: readonly string[];
};

const SECONDS = (ms: number) => `${ms / 1000} s`;

export function writesOf(plan: Plan, foreseen: readonly Foreseen[] = []): readonly PlannedWrite[] {
  const { target, steps } = plan;
  if (target.workload === 'in-place') return inPlaceWrites(plan);
  const { deployment } = target;
  const [canary, stable] = [`Deployment ${deployment}-canary`, `Deployment ${deployment}`];
  const services = `Kubernetes Services ${deployment}-stable and ${deployment}-canary`;
  const { marks, back } = writeWords(target);
  const write = (when: string, object: string, what: string, fields: readonly string[] = []): PlannedWrite => ({
    when,
    object,
    what,
    fields,
  });
  const objects = routeObjects(target);
  const fieldsOf = (object: string, pick: (one: Foreseen) => readonly string[] | undefined) => {
    // What people name may be a part of it: `VirtualService hello/world, route main`.
    const found = foreseen.find((one) => one.object === object || object.startsWith(`${one.object}, `));
    return (found && pick(found)) ?? [];
  };
  const restored = (when: string) =>
    objects.map((object) =>
      write(
        when,
        object,
        back,
        fieldsOf(object, (one) => one.back),
      ),
    );
  return [
    ...objects.map((object) => write('start', object, marks)),
    write('start', stable, 'annotations sluice.dev/…'),
    write('start', canary, `made, with image ${plan.image}`),
    write('start', services, 'made'),
    ...steps.flatMap(({ route }, index) => [
      write(`step ${index + 1}`, canary, sizeWords(route)),
      ...objects.map((object) =>
        write(
          `step ${index + 1}`,
          object,
          sharesOf(target, route),
          fieldsOf(object, (one) => one.routes[index]),
        ),
      ),
    ]),
    write('promotion', stable, `the pod template of ${plan.version}`),
    ...restored('promotion'),
    write('clean-up', `${canary} and both Kubernetes Services`, `deleted after ${SECONDS(plan.coolDownMs)}`),
    write('clean-up', [...objects, stable].join(', '), 'only terminal marks stay'),
    ...restored('abort').map((one) => ({ ...one, what: `${one.what}, then the clean-up` })),
  ];
}

/** The Deployment itself is all that rolls; the route objects carry notes. */
function inPlaceWrites({ target, steps, version }: Plan): readonly PlannedWrite[] {
  const stable = `Deployment ${target.deployment}`;
  const objects = routeObjects(target);
  const write = (when: string, object: string, what: string): PlannedWrite => ({ when, object, what, fields: [] });
  const noted = (when: string, what: string) => objects.map((object) => write(when, object, what));
  const rolled = ({ weight }: Route) => {
    if (weight === 0) return 'nothing rolls yet';
    return weight === 100
      ? `the pod template of ${version}, rolling as its owners have it`
      : `the pod template of ${version}, new pods for ${weight}% beside the old ones, then paused`;
  };
  return [
    ...noted('start', 'annotations sluice.dev/…'),
    write('start', stable, 'annotations sluice.dev/…'),
    ...steps.flatMap(({ route }, index) => [
      write(`step ${index + 1}`, stable, rolled(route)),
      ...noted(`step ${index + 1}`, `a note of ${route.weight}%`),
    ]),
    write('promotion', stable, `keeps the pod template of ${version}`),
    write('clean-up', [...objects, stable].join(', '), 'only terminal marks stay'),
    write('abort', stable, 'its old pod template, and rolling as before, in one patch'),
  ];
}

function sizeWords(route: Route): string {
  const load = loadOf(route);
  return load === 0 ? '1 pod' : `${load}% of stable's pods`;
}

/** `world-stable 90, world-canary 10; requests with x-canary: always to world-canary` */
function sharesOf(target: Target, { weight, preview, mirror }: Route): string {
  const { stable, canary } = writeWords(target);
  return [
    `${stable} ${100 - weight}, ${canary} ${weight}`,
    ...(preview ? [`requests with ${previewText(previewRequest(target, preview))} to ${canary}`] : []),
    ...(mirror === null ? [] : [`copies of ${mirror}% to ${canary}`]),
  ].join('; ');
}

/** `x-canary: always`, `x-user matching ^qa-.*`, `cookie canary=always` */
function previewText(preview: Preview): string {
  if ('cookie' in preview) return `cookie ${preview.cookie}=${preview.value}`;
  return 'pattern' in preview ? `${preview.header} matching ${preview.pattern}` : `${preview.header}: ${preview.value}`;
}
