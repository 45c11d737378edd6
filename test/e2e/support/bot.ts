/** The bot as it is deployed: processes that read their environment. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { type ApiProxy, startApiProxy } from './api-proxy.ts';
import { apiServer } from './kube.ts';
import { freePort, type Running, start } from './processes.ts';
import { until } from './wait.ts';

export type Bot = {
  readonly api: ApiProxy;
  readonly process: () => Running;
  /** `more`: of its environment, this time. */
  readonly restart: (more?: Record<string, string>) => Promise<void>;
  readonly output: () => string;
  readonly stop: () => Promise<void>;
};

/** Writes `sluice.yaml` and lends what every process of one installation shares. */
export function createInstallation(config: object, env: Record<string, string>, kubeconfig: string) {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-e2e-bot-'));
  const file = join(folder, 'sluice.yaml');
  writeFileSync(file, stringify(config));
  const inherited = { PATH: process.env.PATH, HOME: process.env.HOME };
  const shared = { ...inherited, ...env, SLUICE_CONFIG: file, LOG_LEVEL: 'debug' };
  const node = (program: string, args: readonly string[], more: Record<string, string>) =>
    start(process.execPath, ['--disable-warning=ExperimentalWarning', program, ...args], { ...shared, ...more });

  return {
    async startBot(): Promise<Bot> {
      const api = await startApiProxy(apiServer(kubeconfig));
      const outputs: (() => string)[] = [];
      let running: Running;
      const boot = async (more: Record<string, string> = {}) => {
        const port = await freePort();
        running = node('src/main.ts', [], { KUBECONFIG: api.kubeconfig, PORT: `${port}`, ...more });
        outputs.push(running.output);
        const isReady = async () => {
          if (!running.isAlive()) return 'ended';
          return (await fetch(`http://127.0.0.1:${port}/readyz`, { signal: AbortSignal.timeout(1_000) })).ok && 'ready';
        };
        const state = await until('the bot is ready', isReady, { seen: running.output });
        if (state === 'ended') throw new Error(`the bot ended at its start:\n${running.output()}`);
      };
      await boot();
      return {
        api,
        process: () => running,
        restart: boot,
        output: () => outputs.map((output) => output()).join('--- started again ---\n'),
        stop: async () => {
          running.thaw();
          await running.kill();
          await api.stop();
        },
      };
    },

    /** Runs the command line as an operator would, on the same cluster and Redis; answers with its output. */
    async cli(...args: readonly string[]): Promise<{ readonly output: string; readonly code: number | null }> {
      const running = node('src/cli.ts', args, { KUBECONFIG: kubeconfig });
      await until(`sluice ${args.join(' ')} ends`, () => !running.isAlive(), {
        withinMs: 30_000,
        seen: running.output,
      });
      return { output: running.output(), code: running.code() };
    },

    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
