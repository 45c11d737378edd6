// Every npm script starts here: `node tools/run.mjs <task> [arguments]`. Whatever Node runs this file (20 is enough), it
// installs the packages if needed, finds a Node that is new enough, lends the task a Redis, and runs it.
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findNode } from './node.mjs';
import { ensurePackages } from './packages.mjs';
import { lendRedis } from './redis.mjs';
import { Complaint, run, say } from './terminal.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const bin = (/** @type {string} */ name) => join('node_modules', '.bin', name);

/**
 * A step: its title, and what Node runs. The arguments that were typed go to the last step of a task.
 * @typedef {[title: string, ...command: string[]]} Step
 * @typedef {object} Task
 * @property {Step[]} steps
 * @property {'memory' | 'durable'} [redis]
 * @property {boolean} [bot] the bot itself: it runs without the packages for development, and may read from the terminal
 * @property {Record<string, string>} [needs] environment variables, and what each names
 */

/** @type {Step} */
const tests = ['tests', bin('vitest'), 'run'];
// Only the bot itself reads .env: it names the real Slack and Redis, which no test may touch.
const dotenv = '--env-file-if-exists=.env';

/** @type {Record<string, Task>} */
const tasks = {
  test: { redis: 'memory', steps: [tests] },
  check: {
    redis: 'memory',
    steps: [
      ['format and lint', bin('biome'), 'check', '--error-on-warnings'],
      ['types', bin('tsc')],
      ['dead code', bin('knip')],
      tests,
    ],
  },
  faults: {
    redis: 'memory',
    steps: [['tests under faults', bin('vitest'), 'run', '--config', 'vitest.faults.config.ts']],
  },
  chaos: { redis: 'memory', steps: [['crash matrix', 'test/chaos/run.ts']] },
  mutants: { redis: 'memory', steps: [['mutants', 'test/mutants/run.ts']] },
  e2e: {
    redis: 'memory',
    needs: { KUBECONFIG: 'a cluster that the tests may change' },
    steps: [['tests on a cluster', bin('vitest'), 'run', '--config', 'vitest.e2e.config.ts']],
  },
  demo: { redis: 'durable', steps: [['demo', 'playground/demo.ts']] },
  bench: { redis: 'memory', steps: [['bench', 'bench/run.ts']] },
  start: { bot: true, steps: [['start', dotenv, 'src/main.ts']] },
  sluice: { bot: true, steps: [['sluice', dotenv, 'src/cli.ts']] },
  sbom: { steps: [['sbom', 'tools/supply.mjs', 'sbom']] },
  advisories: { steps: [['advisories', 'tools/supply.mjs', 'advisories']] },
  fmt: { steps: [['format', bin('biome'), 'check', '--write']] },
};

/** @param {string} name
 * @param {string[]} args */
async function perform(name, args) {
  const task = Object.hasOwn(tasks, name) ? tasks[name] : undefined;
  if (!task) throw new Complaint(`unknown task "${name}"; known: ${Object.keys(tasks).join(', ')}`);
  for (const [variable, meaning] of Object.entries(task.needs ?? {})) {
    if (!process.env[variable]) throw new Complaint(`${variable} is not set; it names ${meaning}`);
  }
  await ensurePackages(root, { production: task.bot ?? false });
  const node = findNode(root);
  const env = { ...process.env, PATH: dirname(node) + delimiter + process.env.PATH };
  const redis = task.redis && (await lendRedis({ durable: task.redis === 'durable' }));
  try {
    return await runSteps(task.steps, args, node, { cwd: root, env: { ...env, ...redis?.env }, detached: !task.bot });
  } finally {
    await redis?.stop();
  }
}

/**
 * Goes on after a step that failed, so that one run shows everything that is wrong.
 * @param {Step[]} steps
 * @param {string[]} args
 * @param {string} node
 * @param {import('node:child_process').SpawnOptions} options
 */
async function runSteps(steps, args, node, options) {
  /** @type {string[]} */
  const failed = [];
  let exitCode = 0;
  for (const step of steps) {
    const [title, ...command] = step;
    if (steps.length > 1) say(title);
    const typed = step === steps.at(-1) ? args : [];
    // Node 22 says each time that running TypeScript is experimental.
    const { code, stopped } = await run(node, ['--disable-warning=ExperimentalWarning', ...command, ...typed], options);
    if (stopped) return code;
    if (code !== 0) {
      exitCode = code;
      failed.push(title);
    }
  }
  if (steps.length > 1) say(failed.length > 0 ? `failed: ${failed.join(', ')}` : 'all good');
  return exitCode;
}

const [name = '', ...args] = process.argv.slice(2);
try {
  process.exitCode = await perform(name, args);
} catch (error) {
  if (!(error instanceof Complaint)) throw error;
  say(error.message);
  process.exitCode = 1;
}
