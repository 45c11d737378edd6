/** `plan`: every step and every write of a rollout, before it is asked for. Nothing is touched. */
import { say as answerWords } from '../adapters/slack/answers.ts';
import { duration } from '../adapters/slack/mrkdwn.ts';
import { limitOf } from '../adapters/slack/snapshot.ts';
import { stepWords } from '../adapters/slack/words.ts';
import { createPreparation } from '../app/prepare.ts';
import { composeViews } from '../compose.ts';
import type { GatePlan, Plan, Route, Step } from '../core/plan.ts';
import { nearest } from '../core/suggest.ts';
import { actor, DONE, FAILED, readSurroundings, say, type Words } from './io.ts';
import { columns, plainText } from './text.ts';

export async function plan([name = '', version = '', strategy]: Words): Promise<number> {
  const { env, config, log } = await readSurroundings();
  const service = Object.hasOwn(config.services, name) ? config.services[name] : undefined;
  const known = Object.keys(config.services);
  if (!service) {
    const near = nearest(name, known);
    return say(plainText(answerWords({ kind: 'unknown service', given: name, near, known })), FAILED);
  }
  const views = composeViews({ env, config, log });
  try {
    await views.store.reach();
    const { prepare } = createPreparation({
      ...views,
      // Channels and groups are Slack's: `doctor` looks at them.
      chat: { channel: async (channel) => ({ ok: true, id: channel }), permalink: async () => null },
      people: { unreadableGroups: async () => [] },
    });
    const prepared = await prepare(
      service,
      { version, strategy: strategy ?? null, reason: null, redeploy: true },
      actor(),
    );
    return 'kind' in prepared ? say(plainText(answerWords(prepared)), FAILED) : say(planText(prepared.plan), DONE);
  } finally {
    await views.cluster.close();
    await views.store.close();
  }
}

export function planText(plan: Plan): string {
  const { target, checks, tests, access, warnings } = plan;
  const who = access.approve.join(' or ');
  return [
    `${target.service} ${plan.version} (${plan.from ?? 'unknown'} is live) with strategy ${plan.strategy}; nothing was touched`,
    '',
    'Steps',
    ...columns(plan.steps.map((step, index) => [`${index + 1}.`, stepText(step)])),
    '',
    'Checks, while the canary has traffic',
    ...(checks.length > 0
      ? columns(
          checks.map((check) => [
            check.name,
            limitOf(check),
            check.query,
            `every ${duration(check.intervalMs)} over ${duration(check.windowMs)}, ${check.fails} failures in a row abort`,
          ]),
        )
      : ['  none']),
    ...(tests.length > 0
      ? [
          '',
          'Tests, of every canary pod',
          ...columns(tests.map((one) => [one.name, `GET ${one.get}`, `${one.status}`])),
        ]
      : []),
    '',
    `Approval by ${who}${access.fourEyes ? ', not by who asked for it' : ''}`,
    '',
    `Writes in namespace ${target.namespace}`,
    ...columns(writes(plan)),
    ...(warnings.length > 0 ? ['', ...warnings.map((warning) => `Warning: ${warning}`)] : []),
  ].join('\n');
}

const stepText = (step: Step) => plainText(stepWords(step)) + (step.gate ? gateText(step.gate) : '');

const gateText = ({ timeoutMs, onTimeout }: GatePlan) => `, ${onTimeout}s after ${duration(timeoutMs)}`;

/** In their order: when, and what. */
function writes(plan: Plan): readonly (readonly string[])[] {
  const { target, steps } = plan;
  const { deployment, traffic } = target;
  const routes = traffic.routes.map((route) => `HTTPRoute ${route}`).join(', ');
  const [canary, stable] = [`${deployment}-canary`, `${deployment}-stable`];
  return [
    ['start', `claim ${routes} and Deployment ${deployment} (annotations sluice.dev/…)`],
    ['', `create Deployment ${canary} with image ${plan.image}`],
    ['', `create Kubernetes Services ${stable} and ${canary}`],
    ...steps.flatMap(({ route }, index) => [
      [`step ${index + 1}`, `scale Deployment ${canary} to ${scale(route.weight)}`],
      ['', `${routes}: ${routeText(route, stable, canary)}`],
    ]),
    ['promotion', `Deployment ${deployment}: the pod template of ${plan.version}`],
    ['', `${routes}: its own backends again`],
    [
      'clean-up',
      `after ${duration(plan.coolDownMs)} delete Deployment ${canary}, Kubernetes Services ${stable} and ${canary}`,
    ],
    ['', 'annotations: only the marks of an ended rollout stay'],
    ['abort', `at any time ${routes}: its own backends again, then the clean-up`],
  ];
}

const scale = (weight: number) => (weight === 0 ? '1 pod' : `${weight}% of the pods of stable, rounded up`);

function routeText({ weight, preview }: Route, stable: string, canary: string): string {
  const weights = `${stable} ${100 - weight}, ${canary} ${weight}`;
  return preview ? `${weights}; requests with ${preview.header}: ${preview.value} to ${canary}` : weights;
}
