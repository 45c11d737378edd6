/**
 * Proof that the tests bite: takes one safety rule at a time out of a copy of the tree and runs the tests that must notice.
 * `npm run mutants [words]`: only those whose name or file has one of the words. Exits with 1 when one survives.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { MUTANTS, type Mutant } from './list.ts';

/** For one mutant; a test that hangs ends by its own time first. */
const LIMIT_MS = 120_000;
const LEFT_OUT = new Set(['.git', 'node_modules']);

/** `failed`: tests, as `file: name`; `trouble`: why the run itself says nothing. */
type Run = { readonly failed: readonly string[]; readonly trouble: string | null };

const words = process.argv.slice(2);
const chosen = MUTANTS.filter(
  ({ name, file }) => words.length === 0 || words.some((word) => name.includes(word) || file.includes(word)),
);
const say = (text: string) => process.stdout.write(`${text}\n`);

const folder = mkdtempSync(join(tmpdir(), 'sluice-mutants-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
copyTree(process.cwd(), folder);
process.exitCode = await main();

async function main(): Promise<number> {
  const started = Date.now();
  const files = [...new Set(chosen.flatMap(({ tests }) => tests))];
  const { failed: red, trouble } = await runTests(files, 3 * LIMIT_MS);
  if (trouble !== null) {
    say(`the tests do not run: ${trouble}`);
    return 1;
  }
  // A test that is red anyway proves nothing.
  for (const test of red) say(`red without any mutant, so left out: ${test}`);
  say(`${chosen.length} mutants, ${files.length} test files\n`);
  say('| taken out | from | noticed by | time |');
  say('|---|---|---|---|');
  let survivors = 0;
  for (const mutant of chosen) {
    const since = Date.now();
    const noticed = await tryOut(mutant, red);
    if (noticed === null) survivors++;
    say(`| ${mutant.name} | ${mutant.file} | ${noticed ?? '**NOBODY**'} | ${seconds(since)} |`);
  }
  say(`\n${chosen.length - survivors} of ${chosen.length} noticed, ${survivors} survived, ${seconds(started)}`);
  return survivors > 0 || red.length > 0 ? 1 : 0;
}

/** The test that noticed; null: none did. */
async function tryOut({ name, file, find, put, tests }: Mutant, red: readonly string[]): Promise<string | null> {
  const path = join(folder, file);
  const text = readFileSync(path, 'utf8');
  if (text.split(find).length !== 2) throw new Error(`mutant "${name}": its text is not exactly once in ${file}`);
  writeFileSync(
    path,
    text.replace(find, () => put),
  );
  try {
    // The first one is enough, unless it could be one that is red anyway.
    const bail = !red.some((test) => tests.some((path) => test.startsWith(path)));
    const { failed, trouble } = await runTests(tests, LIMIT_MS, bail ? 1 : 0);
    if (trouble !== null) say(`${name}: ${trouble}`);
    return failed.find((test) => !red.includes(test))?.replaceAll('|', '/') ?? null;
  } finally {
    writeFileSync(path, text);
  }
}

async function runTests(files: readonly string[], limitMs: number, bail = 0): Promise<Run> {
  const report = join(folder, 'report.json');
  rmSync(report, { force: true });
  const vitest = join('node_modules', 'vitest', 'vitest.mjs');
  const options = ['--bail', String(bail), '--reporter', 'json', '--outputFile', report];
  const child = spawn(process.execPath, [vitest, 'run', ...options, ...files], {
    cwd: folder,
    stdio: 'ignore',
    timeout: limitMs,
  });
  await once(child, 'exit');
  return child.signalCode === null ? readReport(report) : { failed: [], trouble: `not done in ${limitMs / 1000} s` };
}

type Report = {
  readonly success: boolean;
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly message: string;
    readonly assertionResults: readonly { readonly status: string; readonly fullName: string }[];
  }[];
};

function readReport(path: string): Run {
  const { success, testResults }: Report = JSON.parse(readFileSync(path, 'utf8'));
  const failed: string[] = [];
  let trouble: string | null = null;
  for (const { name, status, message, assertionResults } of testResults) {
    const file = name.slice(folder.length + 1);
    const own = assertionResults.filter((one) => one.status === 'failed').map(({ fullName }) => `${file}: ${fullName}`);
    failed.push(...own);
    // It does not even load: that is an error in the list, not a test that noticed.
    if (own.length === 0 && status === 'failed') trouble = `${file} does not load: ${message.split('\n')[0]}`;
  }
  if (!success && failed.length === 0) trouble ??= 'failed without a failing test';
  return { failed, trouble };
}

/** `node_modules` as links, so that what tools write there stays in the copy. */
function copyTree(from: string, to: string): void {
  for (const name of readdirSync(from)) {
    if (!LEFT_OUT.has(name)) cpSync(join(from, name), join(to, name), { recursive: true });
  }
  mkdirSync(join(to, 'node_modules'));
  for (const name of readdirSync(join(from, 'node_modules'))) {
    if (name === '.vite' || name === '.vitest') continue;
    symlinkSync(join(from, 'node_modules', name), join(to, 'node_modules', name));
  }
}

function seconds(since: number): string {
  return `${((Date.now() - since) / 1000).toFixed(1)} s`;
}
