/** What the bot is made of, and what is known against it. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { judgeAdvisories } from '../../tools/supply.mjs';

describe('advisories', () => {
  it.each([
    ['none', { vulnerabilities: {} }, 0, /no advisory is known/],
    ['one', { vulnerabilities: { a: { name: 'a', severity: 'high' } } }, 1, /known against a \(high\)/],
    [
      'a registry that knows none',
      { statusCode: 405, message: '405 at https://registry.example' },
      0,
      /^skipped: .*\(HTTP 405\)/,
    ],
    [
      'no network',
      { error: { code: 'ENOTFOUND', summary: 'request to https://registry.example' } },
      0,
      /\(ENOTFOUND\)/,
    ],
  ])('%s', (_, report, code, words) => {
    const verdict = judgeAdvisories(JSON.stringify(report));
    expect(verdict).toEqual({ code, text: expect.stringMatching(words) });
    expect(verdict.text).not.toContain('registry.example');
  });

  it('no answer at all is no verdict', () => {
    expect(judgeAdvisories('')).toMatchObject({ code: 0, text: expect.stringContaining('skipped') });
  });
});

it('the list of parts names every package of the bot, and none for development', () => {
  const list = JSON.parse(
    execFileSync(process.execPath, ['tools/supply.mjs', 'sbom'], { encoding: 'utf8', maxBuffer: 64e6 }),
  );
  const names: string[] = list.components.map(({ name }: { name: string }) => name);
  const { dependencies, devDependencies } = JSON.parse(readFileSync('package.json', 'utf8'));
  expect(list.bomFormat).toBe('CycloneDX');
  expect(Object.keys(dependencies).filter((name) => !names.includes(name))).toEqual([]);
  // Types may be a dependency of a package of the bot as well.
  const tools = Object.keys(devDependencies).filter((name) => !name.startsWith('@types/'));
  expect(tools.filter((name) => names.includes(name))).toEqual([]);
}, 60_000);
