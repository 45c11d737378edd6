/** `plan`: every step and every write of a rollout, before it is asked for. Nothing is touched. */
import { say as answerWords } from '../adapters/slack/answers.ts';
import { duration } from '../adapters/slack/mrkdwn.ts';
import { limitOf } from '../adapters/slack/snapshot.ts';
import { stepWords } from '../adapters/slack/words.ts';
import { createPreparation } from '../app/prepare.ts';
import { composeViews } from '../compose.ts';
import type { GatePlan, Plan, Step, Target } from '../core/plan.ts';
import { nearest } from '../core/suggest.ts';
import type { PlannedWrite } from '../core/writes.ts';
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
    const { prepare, foresee } = createPreparation({
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
    if ('kind' in prepared) return say(plainText(answerWords(prepared)), FAILED);
    return say(planText(prepared.plan, await foresee(prepared.plan)), DONE);
  } finally {
    await views.cluster.close();
    await views.store.close();
  }
}

export function planText(plan: Plan, writes: readonly PlannedWrite[]): string {
  const { target, checks, tests, access, warnings } = plan;
  const who = access.approve.join(' or ');
  return [
    `${target.service} ${plan.version} (${plan.from ?? 'unknown'} is live) with strategy ${plan.strategy}; nothing was touched`,
    '',
    'Steps',
    ...columns(plan.steps.map((step, index) => [`${index + 1}.`, stepText(step, plan.target)])),
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
          ...columns(
            tests.map((one) => [
              one.name,
              `GET ${one.get}`,
              `${one.status}`,
              one.port === undefined ? '' : `at port ${one.port}`,
            ]),
          ),
        ]
      : []),
    '',
    `Approval by ${who}${access.fourEyes ? ', not by who asked for it' : ''}`,
    '',
    `Writes in namespace ${target.namespace}, in this order`,
    ...writeLines(writes),
    ...(warnings.length > 0 ? ['', ...warnings.map((warning) => `Warning: ${warning}`)] : []),
  ].join('\n');
}

const stepText = (step: Step, target: Target) =>
  plainText(stepWords(step, target)) + (step.gate ? gateText(step.gate) : '');

const gateText = ({ timeoutMs, onTimeout }: GatePlan) => `, ${onTimeout}s after ${duration(timeoutMs)}`;

/** In their order: when, and what; below it each field, as far as it is known. */
function writeLines(writes: readonly PlannedWrite[]): readonly string[] {
  const heads = columns(
    writes.map(({ when, object, what }, index) => [writes[index - 1]?.when === when ? '' : when, `${object}: ${what}`]),
  );
  return heads.flatMap((head, index) => [head, ...(writes[index]?.fields ?? []).map((field) => `      ${field}`)]);
}
