/** The bot: wires the parts, starts them in an order that loses nothing, and stops within ten seconds. */
import { randomBytes } from 'node:crypto';
import process from 'node:process';
import { createGateChart } from './adapters/chart/gate.ts';
import { createSlack } from './adapters/slack/app.ts';
import { inspectSlack, scopeSentence } from './adapters/slack/inspect.ts';
import { createTelemetry } from './adapters/telemetry.ts';
import { createWeb } from './adapters/web.ts';
import { createBlindAbort } from './app/blind.ts';
import { createBot } from './app/bot.ts';
import { createCommands } from './app/commands.ts';
import { createDeploy } from './app/deploy.ts';
import { createOutbox } from './app/outbox.ts';
import { createPeople } from './app/people.ts';
import type { Bot } from './app/requests.ts';
import { createSweep } from './app/sweep.ts';
import { compose } from './compose.ts';
import { loadConfig, readBotEnv, settled } from './config.ts';
import { newId } from './core/id.ts';
import { whoMay } from './core/policy.ts';
import { createLog, maskSecrets } from './log.ts';
import { keepYoungSpaceSmall, returnMemory } from './memory.ts';

const SHUTDOWN_MS = 10_000;
const INTAKE_STOP_MS = 6_500;
const FLUSH_MS = 1_500;
const CLOSE_MS = 1_000;
/** Without a consumed tick for this long the process is wedged: probes come every 30 s. */
const STALE_CONSUMER_MS = 120_000;

async function main(): Promise<void> {
  const env = settled(readBotEnv(process.env), 'environment').env;
  const log = createLog({ level: env.LOG_LEVEL });
  const { config } = settled(await loadConfig(env.SLUICE_CONFIG), env.SLUICE_CONFIG);
  const telemetry = createTelemetry();
  const parts = compose({ env, config, log, telemetry });
  const { store, queue, rollouts, abort, failpoints, routerOf, workloadOf } = parts;

  let bot: Bot | undefined;
  const slack = createSlack({
    botToken: env.SLACK_BOT_TOKEN,
    appToken: env.SLACK_APP_TOKEN ?? null,
    signingSecret: env.SLACK_SIGNING_SECRET ?? null,
    ...(env.SLACK_API_URL === undefined ? {} : { apiUrl: env.SLACK_API_URL }),
    log,
    bot: () => {
      if (!bot) throw new Error('the bot is still starting');
      return bot;
    },
    tables: config.slack.tables,
    teams: config.slack.teams,
    ...(config.slack.fallbackChannel === null ? {} : { fallbackChannel: config.slack.fallbackChannel }),
    chart: createGateChart(parts.metrics),
    fetch: failpoints.aroundUpload(globalThis.fetch),
  });
  const chat = failpoints.around('chat', slack.chat);
  const people = createPeople({ store, chat, log, clock: parts.clock });
  const outbox = createOutbox({ store, queue, chat, rollouts, log, clock: parts.clock });
  parts.setMessageListener((id) => void outbox.flush(id));

  const deploy = createDeploy({
    config,
    store,
    chat,
    people,
    rollouts,
    routerOf,
    workloadOf,
    log,
    newId: (service) => newId(service, randomBytes),
    onMessages: parts.onMessages,
    remember: (rollout) => commands.remember(rollout),
  });
  const commands = createCommands({ config, store, chat, people, rollouts, abort, deploy, log });
  bot = failpoints.aroundAck(
    createBot({
      config,
      store,
      chat,
      people,
      abort,
      blindAbort: createBlindAbort(parts),
      commands,
      log,
      routerOf: (service) => routerOf(targetOf(service)),
      newReference: () => randomBytes(4).toString('hex'),
      reconcile: () => void sweep.reconcile(),
    }),
  );
  telemetry.watch({ services: Object.keys(config.services), store });
  const sweep = createSweep({ ...parts, chat, commands, outbox, settled: returnMemory });

  function targetOf(service: string) {
    const found = config.services[service];
    if (!found) throw new Error(`no service ${service} in the configuration`);
    return { ...found.target, container: found.target.container ?? '' };
  }

  let ready = false;
  const web = createWeb(
    { live: () => performance.now() - queue.lastProgress() < STALE_CONSUMER_MS, ready: () => ready },
    slack.requestListener ? { path: '/slack/events', listener: slack.requestListener } : null,
    telemetry,
  );

  /** Nothing here keeps the bot from starting: what is outside comes and goes, and an abort needs none of it. */
  async function warnEarly(): Promise<void> {
    const inspector = inspectSlack({ botToken: env.SLACK_BOT_TOKEN, apiUrl: env.SLACK_API_URL, log });
    const namespaces = [...new Set(Object.values(config.services).map(({ target }) => target.namespace))];
    const looks = [
      store.warnings(),
      inspector.missingScopes().then((missing) => (missing ?? []).map(scopeSentence)),
      ...namespaces.map((namespace) => parts.cluster.missingRights(namespace, [])),
    ];
    for (const looked of await Promise.allSettled(looks)) {
      if (looked.status === 'rejected') log.warn({ err: looked.reason }, 'could not be looked at');
      else for (const warning of looked.value) log.warn({}, warning);
    }
  }

  let stopping = false;
  async function stop(signal: string): Promise<void> {
    if (stopping) return;
    stopping = true;
    ready = false;
    log.info({ signal }, 'stopping');
    setTimeout(() => process.exit(1), SHUTDOWN_MS).unref();
    sweep.stop();
    web.close();
    // Each part has bounds of its own; together they may take longer than a shutdown, and what is cut off is safe to repeat.
    await within(INTAKE_STOP_MS, [slack.stop(), queue.close()]);
    await within(FLUSH_MS, [outbox.settled()]);
    await within(CLOSE_MS, [parts.cluster.close(), store.close()]);
    process.exit(0);
  }
  process.once('SIGTERM', () => void stop('SIGTERM'));
  process.once('SIGINT', () => void stop('SIGINT'));
  for (const fault of ['uncaughtException', 'unhandledRejection'] as const) {
    // Everything is safe to repeat: a fresh process is better than one in an unknown state.
    process.on(fault, (error) => {
      log.error({ err: error, fault }, 'stopping on a fault nobody caught');
      setTimeout(() => process.exit(1), 100);
    });
  }

  await new Promise<void>((resolve, reject) => {
    web.once('error', reject);
    web.listen(env.PORT, resolve);
  });
  void warnEarly();
  await people.restore().catch((error: unknown) => log.warn({ err: error }, 'last known membership could not be read'));
  parts.cluster.onChange(rollouts.changed);
  queue.onTick((id) => telemetry.timed(() => rollouts.tick(id)));
  // Who guards a rollout must not end because Slack refuses tokens.
  await slack.start(sweep.isGuarding);
  // Known before anyone needs it: an abort does not wait for Slack.
  const everyone = Object.values(config.services).flatMap(({ access }) => whoMay('abort', access, null));
  void people.membership(everyone);
  // Not before: what a start reads wants room.
  keepYoungSpaceSmall();
  returnMemory();
  sweep.start();
  ready = true;
  const address = web.address();
  const port = typeof address === 'object' ? address?.port : env.PORT;
  log.info({ env: config.env, services: Object.keys(config.services), port }, 'Sluice is ready');
}

async function within(ms: number, work: readonly Promise<void>[]): Promise<void> {
  const late = new Promise<void>((resolve) => {
    setTimeout(resolve, ms);
  });
  await Promise.race([Promise.allSettled(work), late]);
}

main().catch((error: unknown) => {
  process.stderr.write(maskSecrets(`${error instanceof Error ? error.message : String(error)}\n`));
  process.exit(1);
});
