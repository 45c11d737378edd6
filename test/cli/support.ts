/** The command line as an operator runs it, between a simulated cluster, a small Slack and a corner of Redis. */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { stringify } from 'yaml';
import { createPlayground } from '../../playground/playground.ts';
import { createPreparation } from '../../src/app/prepare.ts';
import { compose } from '../../src/compose.ts';
import { loadConfig, readToolEnv, settled } from '../../src/config.ts';
import { begin } from '../../src/core/decide.ts';
import { newId } from '../../src/core/id.ts';
import type { Actor } from '../../src/core/plan.ts';
import type { Rollout } from '../../src/core/rollout.ts';
import { startFakeSlack } from '../support/fake-slack/index.ts';
import { recordingLog, redisCorner } from '../support/redis.ts';

export type Office = Awaited<ReturnType<typeof openOffice>>;

export type Config = ReturnType<typeof configuration>;

function configuration(env: string, prometheus: string) {
  return {
    env,
    slack: { channel: 'deploys' } as Record<string, unknown>,
    metrics: { prometheus },
    services: {
      world: {
        namespace: 'hello',
        deployment: 'world',
        image: 'buoyantio/world:{version}',
        versions: 'v[0-9][\\w.-]*',
        traffic: { router: 'gateway-api', route: 'world' } as Record<string, unknown>,
        strategies: ['brisk'],
        checks: [{ name: 'success rate', query: 'linkerd/success-rate', min: 99 }] as Record<string, unknown>[],
        tests: [{ name: 'smoke', get: '/', status: 200 }],
        access: { deploy: ['S_DEVS'], approve: ['S_APPROVERS'], approvals: 1 } as Record<string, unknown>,
        coolDown: '1s',
      },
    },
    strategies: {
      brisk: [
        { weight: 10, gate: { timeout: '2h', onTimeout: 'hold' } },
        { weight: 100, bake: '1m', gate: true },
      ],
    },
  };
}

export async function openOffice() {
  const playground = await createPlayground({ readyAfterMs: 10, propagationMs: 10 });
  const slack = await startFakeSlack();
  const corner = redisCorner();
  const folder = mkdtempSync(join(tmpdir(), 'sluice-cli-'));
  const file = join(folder, 'sluice.yaml');
  const environment: Record<string, string | undefined> = {
    PATH: process.env.PATH,
    HOME: process.env.HOME,
    SLUICE_CONFIG: file,
    KUBECONFIG: playground.kubeconfig,
    REDIS_URL: corner.url,
    SLACK_BOT_TOKEN: slack.token,
    SLACK_SIGNING_SECRET: slack.signingSecret,
    SLACK_API_URL: slack.apiUrl,
  };
  const config = () => configuration(corner.env, playground.prometheusUrl);

  function write(change: (config: Config) => unknown = () => {}): void {
    const changed = config();
    change(changed);
    writeFileSync(file, stringify(changed));
  }
  write();

  return {
    playground,
    slack,
    folder,
    file,
    environment,
    /** `sluice.yaml`, changed for one test; without an argument as at first. */
    write,

    /** `more`: environment variables; undefined takes one away. */
    async sluice(args: readonly string[], more: Record<string, string | undefined> = {}) {
      const child = spawn(process.execPath, ['src/cli.ts', ...args], {
        // Each command is a process: what it compiles, the next one finds.
        env: { NODE_COMPILE_CACHE: join(tmpdir(), 'sluice-test-compile-cache'), ...environment, ...more },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      let [out, err] = ['', ''];
      child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
      child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text));
      const [code] = await once(child, 'close');
      return { code: Number(code), out, err };
    },

    async close() {
      await Promise.all([playground.stop(), slack.stop(), corner.clear()]);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A rollout without a bot: whoever runs it delivers its messages and lets it look at itself. */
export async function startRollout({ environment, file }: Office, requester: Actor) {
  const { config } = settled(await loadConfig(file), file);
  const { env } = settled(readToolEnv(environment), 'environment');
  const parts = compose({ env, config, log: recordingLog() });
  const { store, rollouts } = parts;
  const service = config.services.world;
  if (!service) throw new Error('the office has a service');
  const { prepare } = createPreparation({
    ...parts,
    chat: { channel: async (id) => ({ ok: true, id }), permalink: async () => null },
    people: { unreadableGroups: async () => [] },
  });
  const asked = { version: 'v2', strategy: null, reason: 'new greeting', redeploy: false };
  const prepared = await prepare(service, asked, requester);
  if ('kind' in prepared) throw new Error(JSON.stringify(prepared));
  const id = newId('world', randomBytes);
  const event = { type: 'requested', id, plan: prepared.plan, epoch: await store.nextEpoch('world', 0) } as const;
  await store.create(begin(event, await store.now()), event, null);

  async function rollout(): Promise<Rollout> {
    const loaded = await store.load(id);
    if (!loaded) throw new Error(`${id} is gone`);
    return loaded.rollout;
  }

  return {
    id,
    rollout,
    store,
    /** Goes on until it waits at a gate. */
    async toGate(): Promise<void> {
      while ((await rollout()).phase.kind !== 'waiting') {
        for (const { outgoing } of await store.unsent(id)) {
          const ts = `1763632800.${outgoing.key}`;
          if ((await rollout()).messages[outgoing.key] === undefined)
            await rollouts.record(id, { type: 'message_delivered', key: outgoing.key, ts });
        }
        await rollouts.tick(id);
        await pause(20);
      }
    },
    async end() {
      await parts.queue.close();
      await parts.cluster.close();
      await store.close();
    },
  };
}
