/** What the README names is there. */
import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { COMMANDS } from '../../src/core/command.ts';
import { parseConfig } from '../../src/core/parse-config.ts';

const readme = readFileSync('README.md', 'utf8');

test('every link and picture leads to a file', () => {
  const targets = [...readme.matchAll(/\]\(([^)#][^)]*)\)|src="([^"]+)"/g)].map(
    ([, link, image]) => link ?? image ?? '',
  );
  const missing = targets.filter((target) => !target.startsWith('https://') && !existsSync(target));
  expect(targets.length).toBeGreaterThan(10);
  expect(missing).toEqual([]);
});

test('every command stands there as help shows it', () => {
  const shown = readme.replaceAll('\\|', '|');
  expect(COMMANDS.map(({ usage }) => usage).filter((usage) => !shown.includes(`${usage}\``))).toEqual([]);
});

test('every script of package.json is named', () => {
  const { scripts }: { scripts: Record<string, string> } = JSON.parse(readFileSync('package.json', 'utf8'));
  const unnamed = Object.keys(scripts).filter((name) => !new RegExp(`npm (run )?${name}\\b`).test(readme));
  expect(unnamed).toEqual(['fmt']);
});

test('its sluice.yaml is valid', () => {
  const [, yaml = ''] = /```yaml\n(.*?)```/s.exec(readme) ?? [];
  expect(parseConfig(parse(yaml))).toMatchObject({ ok: true });
});
