/** What is said about commands: which there are, what is wrong with one, and what one would do. */
import type { Answer } from '../../app/answers.ts';
import { COMMANDS, type CommandError } from '../../core/command.ts';
import type { PlannedWrite } from '../../core/writes.ts';
import { code, date, either, mention, plain, who } from './mrkdwn.ts';
import { limitOf } from './snapshot.ts';
import { MAX, nameOf, stableOf, stepWords } from './words.ts';

export const meant = (near: string | null) => (near === null ? '' : ` Did you mean ${code(near, 80)}?`);

export function names(known: readonly string[]): string {
  if (known.length === 0) return 'none';
  const more = known.length > 20 ? ` and ${known.length - 20} more` : '';
  return `${known
    .slice(0, 20)
    .map((name) => code(name, 63))
    .join(', ')}${more}`;
}

export function help({ services }: Extract<Answer, { kind: 'help' }>): string {
  const rows = (inThread: boolean) => COMMANDS.filter(({ threadOnly }) => Boolean(threadOnly) === inThread);
  const lines = rows(false).map(({ usage, summary }) => `• ${code(`/deploy ${usage}`, 200)} ${summary}`);
  const threaded = rows(true).map(({ usage, summary }) => `${code(`@sluice ${usage}`, 80)} (${summary})`);
  const shown = services
    .slice(0, 20)
    .map(({ name, strategies }) => `• ${code(name, 63)}: ${strategies.map((s) => plain(s, 40)).join(', ')}`);
  const more = services.length > 20 ? [`… and ${services.length - 20} more`] : [];
  return [
    '*Sluice lets a new version through gate by gate.*',
    ...lines,
    `In a rollout's thread say ${code('@sluice status', 20)}, ${code('@sluice abort', 20)} or ${either(threaded)}.`,
    services.length > 0
      ? '*Services and their strategies* (the first is used when none is named)'
      : 'No services are configured.',
    ...shown,
    ...more,
  ].join('\n');
}

export function commandError(error: CommandError): string {
  switch (error.kind) {
    case 'missing service':
      return `Which service? ${usage(error.usage)}`;
    case 'missing version':
      return `${error.service === null ? 'Which version?' : `Which version of ${code(error.service, 63)}?`}${meant(error.near)} ${usage(error.usage)}`;
    case 'extra word':
      return `${code(error.given, 80)} is one word too many, so nothing happened.${meant(error.near)} ${usage(error.usage)}`;
    case 'unquoted value':
      return `${code(error.given, 80)} stands outside the quotes, so nothing happened. Write ${code(`${error.flag} "…"`, 40)} around the whole text.`;
    case 'unknown flag':
      return `There is no ${code(error.given, 80)} here, so nothing happened.${meant(error.near)}${error.known.length > 0 ? ` Known: ${names(error.known)}.` : ''}`;
    case 'duplicate flag':
      return `${code(error.flag, 40)} stands there twice, so nothing happened. Write it once.`;
    case 'missing value':
      return `${code(error.flag, 40)} needs a text in quotes: ${code(`${error.flag} "…"`, 40)}. Nothing happened.`;
    case 'unexpected value':
      return `${code(error.flag, 40)} takes no value, but ${code(error.given, 80)} follows. Nothing happened.`;
    case 'unclosed quote':
      return `A quote is not closed: ${code(error.given, 80)}. Nothing happened; end the text with a quote.`;
    case 'control character':
      return `The text holds an invisible character (${plain(error.code, 10)}), so nothing happened. Type it anew instead of pasting it.`;
    default:
      return error satisfies never;
  }
}

const usage = (text: string) => `Usage: ${code(`/deploy ${text}`, 200)}`;

export function dryRun({ plan, writes }: Extract<Answer, { kind: 'dry run' }>): string {
  const { target } = plan;
  const steps = plan.steps.map((step, i) => `${i + 1}. ${stepWords(step, target)}`);
  const checks = plan.checks.map((check) => `${plain(check.name, MAX.name)} ${limitOf(check)}`);
  const warnings = plan.warnings.slice(0, 5).map((warning) => `Warning: ${plain(warning, MAX.reason)}`);
  return [
    `*Dry run: ${nameOf(plan)} (now ${stableOf(plan)}) with ${plain(plan.strategy, 40)}.* Nothing was touched.`,
    ...steps.slice(0, 20),
    checks.length > 0 ? `Checks: ${checks.slice(0, 10).join('; ')}` : 'Checks: none are configured.',
    `Approval by ${either(plan.access.approve.map(mention))}${plan.access.fourEyes ? ', not by you' : ''}.`,
    `*Writes in namespace ${plain(target.namespace, 63)}, in order*`,
    ...writeLines(writes),
    ...warnings,
  ].join('\n');
}

const WRITES_SHOWN = 40;

/** A line for what is written at the same time. The values of fields are for the command line. */
function writeLines(writes: readonly PlannedWrite[]): readonly string[] {
  // An abort gives back what the promotion gives back.
  const all = writes.filter(({ when }) => when !== 'abort');
  const shown = Map.groupBy(all.slice(0, WRITES_SHOWN), ({ when }) => when);
  const more = all.length > WRITES_SHOWN ? [`… and ${all.length - WRITES_SHOWN} more`] : [];
  const lines = [...shown].map(([when, together]) => {
    const parts = together.map(({ object, what }) => `${plain(object, 160)}: ${plain(what, 200)}`);
    return `• _${plain(when, 20)}_ ${parts.join(' · ')}`;
  });
  return [...lines, ...more];
}

type History = Extract<Answer, { kind: 'history' }>;

export function history(answer: History): string {
  const kept = revisionLines(answer);
  if (answer.releases.length > 0) return [...releaseLines(answer), ...kept].join('\n');
  const none = `Sluice has not rolled out ${plain(answer.service, MAX.name)} yet`;
  return kept.length > 0 ? [`${none}.`, ...kept].join('\n') : `${none}, so there is nothing to go back to.`;
}

function releaseLines({ service, live, releases, takes, revisions }: History): readonly string[] {
  const lines = releases.slice(0, 20).map(({ version, at, rollout, by, rolledBack }, index) => {
    const how = rolledBack ? 'by a rollback' : rollout === '' ? 'before Sluice' : '';
    const parts = [
      date(at),
      ...(by ? [who(by)] : []),
      ...(how ? [how] : []),
      ...(rollout === '' ? [] : [code(rollout, 80)]),
    ];
    const now = version === live && index === releases.findIndex((one) => one.version === live) ? ' (live)' : '';
    return `• *${plain(version, MAX.version)}*${now} ${parts.join(' · ')}`;
  });
  const back = `${code(`/deploy rollback ${service} to …`, 120)} takes ${names(takes)}.`;
  const none = revisions.length > 0 ? [] : ['There is no other version to go back to.'];
  return [`*${plain(service, MAX.name)}, newest first*`, ...lines, ...(takes.length > 0 ? [back] : none)];
}

/** As `kubectl rollout history` shows them. */
function revisionLines({ service, revisions, takesRevisions }: History): readonly string[] {
  if (revisions.length === 0) return [];
  const lines = revisions.slice(0, 20).map(({ revision, version, cause, isLive }) => {
    const why = cause === null ? '' : ` · ${plain(cause, 160)}`;
    return `• ${revision}: *${plain(version, 120)}*${isLive ? ' (live)' : ''}${why}`;
  });
  const back = `${code(`/deploy rollback ${service} to <revision>`, 120)} brings back one of these with its whole pod template.`;
  const others = revisions.some(({ isLive }) => !isLive);
  return ['*Revisions that the cluster has*', ...lines, ...(takesRevisions && others ? [back] : [])];
}
