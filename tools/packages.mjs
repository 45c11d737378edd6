// Installs the packages when node_modules is missing or does not match package-lock.json.
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { besides, Complaint, run, say } from './terminal.mjs';

const installTimeoutMs = 10 * 60_000;

/**
 * The part of a lock file that is read here.
 * @typedef {{ version?: string, integrity?: string, dev?: boolean, optional?: boolean, devOptional?: boolean }} Package
 * @typedef {{ packages?: Record<string, Package> }} Lock
 */

/**
 * Compares what is wanted with what npm wrote down as its last act in node_modules, so an installation that was
 * interrupted does not count, and one that somebody made by hand does. Optional packages are for some machines only.
 * @param {Lock} wanted package-lock.json
 * @param {Lock} installed node_modules/.package-lock.json
 * @param {{ production: boolean }} options
 */
export function areInstalled(wanted, installed, { production }) {
  return Object.entries(wanted.packages ?? {}).every(([path, want]) => {
    if (path === '' || want.optional || want.devOptional || (production && want.dev)) return true;
    const have = installed.packages?.[path];
    return have !== undefined && have.version === want.version && have.integrity === want.integrity;
  });
}

/**
 * @param {string} root
 * @param {{ production: boolean }} options production: packages for development may be missing
 */
export async function ensurePackages(root, options) {
  const upToDate = () =>
    areInstalled(
      readLock(join(root, 'package-lock.json')),
      readLock(join(root, 'node_modules', '.package-lock.json')),
      options,
    );
  if (upToDate()) return;
  await oneAtATime(join(root, '.npm-ci.lock'), async () => {
    if (upToDate()) return;
    say('installing packages (less than a minute, once)');
    // The warnings left out are about this Node being too old, which is what the packages are there to mend.
    const quiet = ['--no-audit', '--no-fund', '--loglevel=error'];
    const { code } = await run('npm', ['ci', '--include=dev', ...quiet], {
      cwd: root,
      ...besides,
      timeoutMs: installTimeoutMs,
    });
    if (code !== 0) throw new Complaint(`npm ci failed (exit code ${code})`);
  });
}

/** @param {string} path
 * @returns {Lock} */
const readLock = (path) => (existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : {});

/**
 * Two terminals may start at once, and `npm ci` begins by deleting node_modules. The lock holds its owner's process id,
 * so one left behind by a process that is gone does not block.
 * @param {string} lock
 * @param {() => Promise<void>} work
 */
export async function oneAtATime(lock, work) {
  const deadline = Date.now() + installTimeoutMs;
  while (!take(lock)) {
    const owner = readOwner(lock);
    if (owner && !isAlive(owner)) rmSync(lock, { force: true });
    else if (Date.now() > deadline)
      throw new Complaint(`another process is still installing packages; if none is, delete ${lock}`);
    else await sleep(200);
  }
  const release = () => rmSync(lock, { force: true });
  process.once('exit', release);
  try {
    await work();
  } finally {
    release();
    process.off('exit', release);
  }
}

/** @param {string} lock */
function take(lock) {
  try {
    writeFileSync(lock, String(process.pid), { flag: 'wx' });
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  }
}

/** 0 while the lock is being taken or released.
 * @param {string} lock */
function readOwner(lock) {
  try {
    return Number(readFileSync(lock, 'utf8'));
  } catch {
    return 0;
  }
}

/** @param {number} pid */
function isAlive(pid) {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
