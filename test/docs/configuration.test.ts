/** docs/configuration.md says what the schemas say: the same keys, required or with the same defaults. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { readBotEnv } from '../../src/config.ts';
import { parseConfig } from '../../src/core/parse-config.ts';

type Node = {
  readonly properties?: Readonly<Record<string, Node>>;
  readonly additionalProperties?: boolean | Node;
  readonly items?: Node;
  readonly anyOf?: readonly Node[];
  readonly oneOf?: readonly Node[];
  readonly required?: readonly string[];
  readonly default?: unknown;
};

const schema: Node = JSON.parse(readFileSync('sluice.schema.json', 'utf8'));
const text = readFileSync('docs/configuration.md', 'utf8');
const [, environment = '', file = ''] = text.split(/^## .*$/m);

/** Every key by its path, with its default as the page writes it; null: the page may explain in words. */
function keys(node: Node, path: string): [string, string | null][] {
  const own = Object.entries(node.properties ?? {}).flatMap(([key, child]): [string, string | null][] => {
    const inner = path === '' ? key : `${path}.${key}`;
    return [[inner, node.required?.includes(key) ? 'required' : written(child.default)], ...keys(child, inner)];
  });
  const rest = typeof node.additionalProperties === 'object' ? keys(node.additionalProperties, `${path}.<name>`) : [];
  const items = node.items ? keys(node.items, `${path}[]`) : [];
  const variants = [...(node.anyOf ?? []), ...(node.oneOf ?? [])].flatMap((variant) => keys(variant, path));
  return [...own, ...rest, ...items, ...variants];
}

function written(value: unknown): string | null {
  if (value === undefined) return null;
  if (Array.isArray(value)) return '`[]`';
  return typeof value === 'object' ? '' : `\`${String(value)}\``;
}

function documented(): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  let path = '';
  for (const line of file.split('\n')) {
    const [, heading] = /^### `(.+)`$/.exec(line) ?? [];
    if (heading !== undefined) path = heading;
    const [, key, value = ''] = /^\| `([^`]+)` \| (.*?) ?\| .* \|$/.exec(line) ?? [];
    if (key !== undefined) found.set(path === '' ? key : `${path}.${key}`, value);
  }
  return found;
}

test('the page names every key of sluice.yaml, and no other', () => {
  const known = new Set(keys(schema, '').map(([path]) => path));
  expect([...documented().keys()].sort()).toEqual([...known].sort());
});

test('what is required, and each default, is as in the schema', () => {
  const page = documented();
  for (const [path, value] of keys(schema, '')) {
    if (value !== null) expect(`${path}: ${page.get(path)}`).toBe(`${path}: ${value}`);
  }
});

test('the built-in strategy stands there as it is', () => {
  const [, yaml = ''] = /```yaml\n(.*?)```/s.exec(file) ?? [];
  const rest = { slack: { channel: 'deploys' }, services: {} };
  expect(parseConfig({ ...rest, ...parse(yaml) })).toEqual(parseConfig(rest));
});

test('the page names every variable of the environment', () => {
  const variables = environment.matchAll(/^\| `(\w+)`/gm).map(([, name]) => name);
  const example = readFileSync('.env.example', 'utf8')
    .matchAll(/^(?:# )?([A-Z][A-Z_]+)=/gm)
    .map(([, name]) => name);
  expect([...variables].sort()).toEqual([...example].sort());
  const missing = readBotEnv({});
  expect(missing.ok ? [] : missing.errors.map((error) => error.split(':')[0])).toEqual(
    expect.arrayContaining(['SLACK_BOT_TOKEN', 'REDIS_URL']),
  );
});
