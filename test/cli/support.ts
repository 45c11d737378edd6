/** The command line as an operator runs it, between a simulated cluster, a small Slack and a corner of Redis. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { createPlayground } from '../../playground/playground.ts';
import { startFakeSlack } from '../support/fake-slack/index.ts';
import { redisCorner } from '../support/redis.ts';

export type Office = Awaited<ReturnType<typeof openOffice>>;

type Config = ReturnType<typeof configuration>;

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
  const playground = await createPlayground({});
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

  function write(change: (config: Config) => void = () => {}): void {
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
        env: { ...environment, ...more },
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
