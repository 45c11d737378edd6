// Finds a Node that is new enough: the libraries need 22.19, and it runs TypeScript without a build.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { Complaint } from './terminal.mjs';

/** @param {string} version */
export function isNewEnough(version) {
  const [major = 0, minor = 0] = version.replace(/^v/, '').split('.').map(Number);
  return major > 22 || (major === 22 && minor >= 19);
}

/** Where the packages of tools/local-node put their Node. npm's own link, node_modules/.bin/node, is missing with some versions of npm.
 * @param {string} platform
 * @param {string} arch */
export const localNodes = (platform, arch) =>
  [`node-${platform}-${arch}`, `node-bin-${platform}-${arch}`].map((name) => join('node_modules', name, 'bin', 'node'));

/** @param {string} root */
export function findNode(root) {
  if (isNewEnough(process.version)) return process.execPath;
  const local = localNodes(process.platform, process.arch).map((path) => join(root, path));
  const found = local.find((path) =>
    isNewEnough(spawnSync(path, ['--version'], { encoding: 'utf8', timeout: 5_000 }).stdout ?? ''),
  );
  if (found) return found;
  throw new Complaint(
    `Node 22.19 or newer is needed. This is ${process.version}, and there is no package with a newer one for ` +
      `${process.platform} ${process.arch}: install Node 24 from https://nodejs.org and try again`,
  );
}
