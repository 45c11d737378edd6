// What the bot is made of, and what is known against it: `node tools/supply.mjs sbom [file]` and `… advisories`. Packages for
// development are left out of both: they never reach the image.
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Complaint, say } from './terminal.mjs';

const MAX_BYTES = 64_000_000;
const TIMEOUT_MS = 120_000;

/** @param {string[]} args */
function npm(...args) {
  const options = /** @type {const} */ ({ encoding: 'utf8', maxBuffer: MAX_BYTES, timeout: TIMEOUT_MS });
  const { stdout, stderr, error } = spawnSync('npm', args, options);
  if (error) throw new Complaint(`npm ${args[0]}: ${error.message}`);
  return { stdout, stderr };
}

/**
 * Says what `npm audit --json` found. What is no report is no verdict either: many registries within companies, and no
 * network at all, know nothing of advisories.
 * @param {string} output
 * @returns {{ code: number, text: string }}
 */
export function judgeAdvisories(output) {
  const report = parsed(output);
  const found = report?.vulnerabilities;
  if (!found) {
    const why = report?.statusCode ? `HTTP ${report.statusCode}` : (report?.error?.code ?? 'no answer');
    return { code: 0, text: `skipped: no registry here tells of advisories (${why}); run it where one does` };
  }
  const names = Object.values(found).map(({ name, severity }) => `${name} (${severity})`);
  return names.length === 0
    ? { code: 0, text: 'no advisory is known against a package of the bot' }
    : { code: 1, text: `advisories are known against ${names.join(', ')}: npm audit says more` };
}

/**
 * @param {string} text
 * @returns {{ vulnerabilities?: Record<string, { name: string, severity: string }>, statusCode?: number, error?: { code?: string } } | null}
 */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/**
 * Leaves out what only developers install. npm's own `--omit=dev` also drops what both need.
 * @param {Sbom} sbom
 * @returns {Sbom}
 */
function withoutDevelopment(sbom) {
  const isForDevelopment = (/** @type {Component} */ { properties = [] }) =>
    properties.some(({ name, value }) => name === 'cdx:npm:package:development' && value === 'true');
  const components = sbom.components.filter((component) => !isForDevelopment(component));
  const root = sbom.metadata.component['bom-ref'];
  const kept = new Set([root, ...components.map((component) => component['bom-ref'])]);
  const dependencies = sbom.dependencies
    .filter(({ ref }) => kept.has(ref))
    .map(({ ref, dependsOn = [] }) => ({ ref, dependsOn: dependsOn.filter((one) => kept.has(one)) }));
  return { ...sbom, components, dependencies };
}

/**
 * The part of a CycloneDX document that is read here.
 * @typedef {{ 'bom-ref': string, name: string, properties?: { name: string, value: string }[] }} Component
 * @typedef {{ bomFormat: string, metadata: { component: Component }, components: Component[],
 *   dependencies: { ref: string, dependsOn?: string[] }[] }} Sbom
 */

/** @param {string | undefined} file where the list goes, CycloneDX as JSON; standard output without one */
function writeSbom(file) {
  const { stdout, stderr } = npm('sbom', '--package-lock-only', '--sbom-format', 'cyclonedx');
  if (!stdout.startsWith('{')) throw new Complaint(`npm sbom: ${stderr.trim()}`);
  const list = `${JSON.stringify(withoutDevelopment(JSON.parse(stdout)), null, 2)}\n`;
  if (file === undefined) process.stdout.write(list);
  else writeFileSync(file, list);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [what, file] = process.argv.slice(2);
  try {
    if (what === 'sbom') writeSbom(file);
    else {
      const { code, text } = judgeAdvisories(npm('audit', '--json', '--omit=dev').stdout);
      say(text);
      process.exitCode = code;
    }
  } catch (error) {
    if (!(error instanceof Complaint)) throw error;
    say(error.message);
    process.exitCode = 1;
  }
}
