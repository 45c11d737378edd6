/** Every write that a rollout would make, in order, before it is made: for dry runs and `plan`. */
import { loadOf, type Plan, type Preview, type Route, type Step, type Target } from './plan.ts';
import { sidesOf } from './sides.ts';
import { besideRoutes, previewRequest, routeObjects, writeWords } from './traffic.ts';

export type PlannedWrite = {
  /** `start`, `step 2`, `promotion`, `clean-up`, `abort` */
  readonly when: string;
  readonly object: string;
  /** As half a sentence. */
  readonly what: string;
  /** `spec.rules[0].backendRefs[1].weight: 10 → 50`, as far as it is known before. */
  readonly fields: readonly string[];
};

/**
 * What a router would write to one object: the fields for each route in order, and for the way back from the last one, or for
 * the canary to take stable's place for good, where it can.
 */
export type Foreseen = {
  readonly object: string;
  /** It is not there yet. */
  readonly isNew?: true;
  readonly routes: readonly (readonly string[])[];
  readonly back: readonly string[];
  readonly settled?: readonly string[];
};

/**
 * What a workload would write to an object that is there already: at the start, and back at the clean-up. Of the canary's own
 * Deployment nothing else is said.
 */
export type ForeseenHold = { readonly object: string; readonly held: string; readonly back: string };

const write = (when: string, object: string, what: string, fields: readonly string[] = []): PlannedWrite => ({
  when,
  object,
  what,
  fields,
});
const SECONDS = (ms: number) => `${ms / 1000} s`;

export function writesOf(
  plan: Plan,
  foreseen: readonly Foreseen[] = [],
  holds: readonly ForeseenHold[] = [],
): readonly PlannedWrite[] {
  const { target, steps } = plan;
  if (target.workload === 'in-place') return inPlaceWrites(plan);
  const { deployment, versioned } = target;
  const sides = sidesOf(target);
  const [canary, stable] = [`Deployment ${sides.canary}`, `Deployment ${deployment}`];
  const services = sides.keepsStable
    ? `Kubernetes Service ${sides.canary}`
    : `Kubernetes Services ${sides.stable} and ${sides.canary}`;
  const words = writeWords(target);
  const { marks, back } = words;
  const objects = routeObjects(target);
  // What people name may be a part of it: `VirtualService hello/world, route main`.
  const seen = (object: string) =>
    foreseen.find((one) => one.object === object || object.startsWith(`${one.object}, `));
  const fieldsOf = (object: string, pick: (one: Foreseen) => readonly string[] | undefined) => {
    const found = seen(object);
    return (found && pick(found)) ?? [];
  };
  const asleep = holds.find(({ object }) => object === canary);
  const beside = holds.filter((one) => one !== asleep);
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
    ...objects.map((object) => write('start', object, seen(object)?.isNew ? `made, with ${marks}` : marks)),
    ...besideRoutes(target).map((object) => write('start', object, `${marks}, and ${words.canary} added`)),
    write('start', stable, 'annotations sluice.dev/…'),
    ...beside.map(({ object, held }) => write('start', object, `annotations sluice.dev/…, ${held}`)),
    write('start', canary, `${asleep?.held ?? 'made'}, with image ${plan.image}`),
    write('start', services, asleep ? 'annotations sluice.dev/…; made if it is gone' : 'made'),
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
    ...(versioned
      ? objects.map((object) =>
          write(
            'promotion',
            object,
            `${words.canary} in the place of ${words.stable}`,
            fieldsOf(object, (one) => one.settled),
          ),
        )
      : [write('promotion', stable, `the pod template of ${plan.version}`), ...restored('promotion')]),
    ...besideRoutes(target).map((object) => write('clean-up', object, `${words.canary} taken out again`)),
    ...beside.map(({ object, back }) => write('clean-up', object, back)),
    ...(versioned
      ? [
          write('clean-up', stable, `scaled to 0 after ${SECONDS(plan.coolDownMs)}, and kept for the way back`),
          write('clean-up', `what Sluice made for versions before ${deployment}`, 'deleted'),
        ]
      : [write('clean-up', `${canary} and both Kubernetes Services`, `deleted after ${SECONDS(plan.coolDownMs)}`)]),
    write('clean-up', [...objects, stable].join(', '), 'only terminal marks stay'),
    ...restored('abort').map((one) => ({ ...one, what: `${one.what}, then the clean-up` })),
  ];
}

/** New pods are ready to serve, and none of the old ones goes for them. */
const HELD = [
  'spec.strategy: maxSurge of these new pods, maxUnavailable 0',
  'spec.minReadySeconds, spec.progressDeadlineSeconds: longer than any rollout',
  'spec.paused: true, as soon as they are made',
];
const OWNERS = ['spec.strategy, spec.minReadySeconds, spec.progressDeadlineSeconds, spec.paused: as they were'];

/** The Deployment itself is all that rolls; the route objects carry annotations. */
function inPlaceWrites({ target, steps, version, image }: Plan): readonly PlannedWrite[] {
  const stable = `Deployment ${target.deployment}`;
  const objects = routeObjects(target);
  const noted = (when: string, what: string) => objects.map((object) => write(when, object, what));
  const rolled = (when: string, { route: { weight }, achieved }: Step) => {
    if (weight === 0) return write(when, stable, 'nothing rolls yet');
    const what = `the pod template of ${version}`;
    const share = achieved === undefined ? `${weight}%` : `about ${achieved}`;
    return weight === 100
      ? write(when, stable, `${what} for all pods, rolling as its owners have it`, OWNERS)
      : write(when, stable, `${what} for new pods beside old ones: ${share}, then paused`, HELD);
  };
  return [
    ...noted('start', 'annotations sluice.dev/…'),
    write('start', stable, 'annotations sluice.dev/…, among them its pod template and how it rolls'),
    write('start', stable, `an annotation with the pod template of image ${image}; nothing rolls yet`),
    ...steps.flatMap((step, index) => [
      rolled(`step ${index + 1}`, step),
      ...noted(`step ${index + 1}`, `an annotation that records ${step.route.weight}%`),
    ]),
    write('promotion', stable, `keeps the pod template of ${version}`),
    ...noted('promotion', 'its annotation taken off'),
    write('clean-up', [...objects, stable].join(', '), 'only terminal marks stay'),
    ...noted('abort', 'its annotation taken off'),
    write('abort', stable, 'its old pod template, rolling as its owners have it, in one patch', OWNERS),
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
    ...(preview ? [`requests with ${previewWords(previewRequest(target, preview))} to ${canary}`] : []),
    ...(mirror === null ? [] : [`copies of ${mirror}% to ${canary}`]),
  ].join('; ');
}

/** `x-canary: always`, `x-user matching ^qa-.*`, `cookie canary=always` */
export function previewWords(preview: Preview): string {
  if ('cookie' in preview) return `cookie ${preview.cookie}=${preview.value}`;
  return 'pattern' in preview ? `${preview.header} matching ${preview.pattern}` : `${preview.header}: ${preview.value}`;
}
