import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it, vi } from 'vitest';
import { run } from '../../tools/terminal.mjs';

const launch = (args: string[], env: NodeJS.ProcessEnv = {}) =>
  spawnSync(process.execPath, ['tools/run.mjs', ...args], {
    encoding: 'utf8',
    timeout: 9_000,
    env: { ...process.env, ...env },
  });

it('refuses an unknown task with the known ones', () => {
  const { status, stderr } = launch(['tset']);
  expect(status).toBe(1);
  expect(stderr).toMatch(/^sluice: unknown task "tset"; known: test, check, .*\n$/);
});

it('says what a task needs before it begins', () => {
  const { status, stderr } = launch(['e2e'], { KUBECONFIG: '' });
  expect(status).toBe(1);
  expect(stderr).toMatch(/^sluice: KUBECONFIG is not set/);
});

it('passes exit codes through', async () => {
  expect(await run(process.execPath, ['-e', 'process.exit(7)'])).toEqual({ code: 7, stopped: false });
  expect(await run('sh', ['-c', 'kill -TERM $$'])).toEqual({ code: 143, stopped: false });
});

it('ends what takes too long', async () => {
  expect(await run('sleep', ['30'], { timeoutMs: 50 })).toMatchObject({ code: 143 });
});

it('leaves nothing behind that a detached program started', async () => {
  const script = 'setTimeout(() => {}, 60_000)';
  const forgetful = `console.log(require('child_process').spawn(process.execPath, ['-e', '${script}']).pid); process.exit()`;
  const output = spawnSync(
    process.execPath,
    [
      '--input-type=module',
      '-e',
      `import { run } from './tools/terminal.mjs'; await run(process.execPath, ['-e', process.argv[1]], { detached: true });`,
      forgetful,
    ],
    { encoding: 'utf8', timeout: 9_000 },
  ).stdout;
  const pid = Number(output);
  expect(pid).toBeGreaterThan(0);
  await vi.waitUntil(() => !isRunning(pid));
});

it('passes a signal on and waits for the end', async () => {
  const script = `
    import { run } from './tools/terminal.mjs';
    const { code, stopped } = await run('sh', ['-c', 'trap "echo bye; exit 5" TERM; echo ready; while :; do sleep 0.05; done']);
    console.log(code, stopped);`;
  const launcher = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  launcher.stdout.on('data', (data) => {
    output += data;
  });
  while (!output.includes('ready')) await sleep(10);
  launcher.kill('SIGTERM');
  await once(launcher, 'close');
  expect(output).toBe('ready\nbye\n5 true\n');
});

/** Killed, it may stay in the process table as a zombie, which signal 0 still reaches. */
function isRunning(pid: number): boolean {
  const { stdout } = spawnSync('ps', ['-o', 'stat=', '-p', `${pid}`], { encoding: 'utf8' });
  return /^[^Z]/.test(stdout.trim());
}
