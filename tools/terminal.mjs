// What the launcher says, and how it runs other programs in the same terminal.
import { spawn } from 'node:child_process';
import { constants } from 'node:os';

/** A failure that its message explains completely: shown without a stack. */
export class Complaint extends Error {}

/** On stderr, because the output of a task may be read by another program.
 * @param {string} text */
export const say = (text) => process.stderr.write(`sluice: ${text}\n`);

/** For a program that only prepares: its words go to stderr, like ours.
 * @type {{ stdio: import('node:child_process').StdioOptions }} */
export const besides = { stdio: ['ignore', 2, 2] };

/** @type {NodeJS.Signals[]} */
const stopSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
const graceMs = 15_000;

/**
 * Runs a program and passes signals on to it; one that does not stop in time is killed.
 * @param {string} command
 * @param {string[]} args
 * @param {import('node:child_process').SpawnOptions & { timeoutMs?: number }} [options] detached: it cannot read from the
 *   terminal, and whatever it started and left behind ends with it
 * @returns {Promise<{ code: number, stopped: boolean }>} stopped: somebody asked us to stop meanwhile
 */
export function run(command, args, { timeoutMs, ...options } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: 'inherit', ...options });
    let stopped = false;
    /** @type {NodeJS.Timeout | undefined} */
    let killer;
    const stop = (/** @type {NodeJS.Signals} */ signal) => {
      child.kill(signal);
      killer ??= setTimeout(() => child.kill('SIGKILL'), graceMs);
    };
    const onSignal = (/** @type {NodeJS.Signals} */ signal) => {
      stopped = true;
      // A terminal sends Ctrl-C to a child that is not detached too, and twice could mean "at once" to it.
      if (signal !== 'SIGINT' || options.detached || !process.stdin.isTTY) stop(signal);
    };
    const limit = timeoutMs === undefined ? undefined : setTimeout(() => stop('SIGTERM'), timeoutMs);
    for (const signal of stopSignals) process.on(signal, onSignal);
    const settle = () => {
      clearTimeout(limit);
      clearTimeout(killer);
      for (const signal of stopSignals) process.off(signal, onSignal);
      if (options.detached && child.pid) killGroup(child.pid);
    };
    child.once('error', (error) => {
      settle();
      reject(new Complaint(`cannot run ${command}: ${error.message}`));
    });
    child.once('exit', (code, signal) => {
      settle();
      resolve({ code: code ?? 128 + constants.signals[signal ?? 'SIGKILL'], stopped });
    });
  });
}

/** Kills what is left of a detached child's process group.
 * @param {number} pid the child's */
export function killGroup(pid) {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error; // ESRCH: nothing is left
  }
}
