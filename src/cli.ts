/** The same without Slack: `npm run sluice -- status | abort <service|id> | validate`. */
import { hostname, userInfo } from 'node:os';
import process from 'node:process';
import { compose, settled } from './compose.ts';
import { loadConfig, readToolEnv } from './config.ts';
import { describePhase } from './core/decide.ts';
import { serviceOf } from './core/id.ts';
import { isTerminal, type Rollout } from './core/rollout.ts';
import { createLog } from './log.ts';

const USAGE = `npm run sluice -- <command>
  validate              checks sluice.yaml
  status [service|id]   what runs, at which step
  abort <service|id>    all traffic to stable now; works while Slack is down
`;
const ABORT_WAIT_MS = 60_000;

async function main([command, target]: readonly string[]): Promise<number> {
  switch (command) {
    case 'validate':
      return validate();
    case 'status':
      return withParts((parts) => status(parts, target));
    case 'abort':
      if (target === undefined) return say(`abort what? A service or a rollout's id.\n${USAGE}`, 2);
      return withParts((parts) => abort(parts, target));
    default:
      return say(USAGE, command === undefined || command === 'help' ? 0 : 2);
  }
}

type Parts = ReturnType<typeof compose>;

async function read() {
  const { env } = settled(readToolEnv(process.env), 'environment');
  const { config } = settled(await loadConfig(env.SLUICE_CONFIG), env.SLUICE_CONFIG);
  return { env, config };
}

async function validate(): Promise<number> {
  const path = process.env.SLUICE_CONFIG || 'sluice.yaml';
  const { config } = settled(await loadConfig(path), path);
  return say(`${path} is valid: ${Object.keys(config.services).join(', ')}\n`, 0);
}

async function withParts(work: (parts: Parts) => Promise<number>): Promise<number> {
  const parts = compose({ ...(await read()), log: createLog({ level: 'warn' }) });
  try {
    return await work(parts);
  } finally {
    await parts.queue.close();
    await parts.cluster.close();
    await parts.store.close();
  }
}

async function status({ store, config }: Parts, target: string | undefined): Promise<number> {
  const services = Object.keys(config.services);
  const ids =
    target === undefined
      ? await store.active(services)
      : [await idOf(target, config.services, store)].filter((id) => id !== null);
  const loaded = (await Promise.all(ids.map((id) => store.load(id)))).flatMap((one) => (one ? [one.rollout] : []));
  return say(loaded.length === 0 ? 'no rollout runs\n' : loaded.map((rollout) => `${line(rollout)}\n`).join(''), 0);
}

async function abort({ store, config, abort, rollouts }: Parts, target: string): Promise<number> {
  const id = await idOf(target, config.services, store);
  if (id === null) return say(`no rollout of ${target} runs\n`, 1);
  const user = userInfo().username;
  const started = await abort(
    id,
    { kind: 'cli', user: `${user}@${hostname()}`, name: `cli:${user}@${hostname()}` },
    null,
  );
  if (started.kind === 'unknown') return say(`there is no rollout ${id}\n`, 1);
  if (started.kind === 'rejected') return say(`${id}: ${started.rejection.kind}\n`, 1);
  await started.done;
  // A running bot goes on with it; without one this process does.
  for (const end = Date.now() + ABORT_WAIT_MS; Date.now() < end; ) {
    await rollouts.tick(id);
    const loaded = await store.load(id);
    if (!loaded || loaded.rollout.route.weight === 0) {
      const safe =
        loaded &&
        (isTerminal(loaded.rollout) ||
          (loaded.rollout.phase.kind === 'aborting' && loaded.rollout.phase.stage !== 'route'));
      if (safe) return say(`${line(loaded.rollout)}\nall traffic is on the stable version\n`, 0);
    }
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  return say(`${id} is aborting, but the route is not back yet; it is being repeated\n`, 1);
}

async function idOf(target: string, services: object, store: Parts['store']): Promise<string | null> {
  if (Object.hasOwn(services, target)) return store.holder(target);
  return serviceOf(target) === null ? null : target;
}

function line(rollout: Rollout): string {
  const { plan, phase } = rollout;
  return `${rollout.id}  ${plan.target.service} ${plan.from ?? '?'} -> ${plan.version}  ${phase.kind} ${describePhase(rollout)}`;
}

function say(text: string, code: number): number {
  (code === 0 ? process.stdout : process.stderr).write(text);
  return code;
}

main(process.argv.slice(2)).then(
  (code) => process.exit(code),
  (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(1);
  },
);
