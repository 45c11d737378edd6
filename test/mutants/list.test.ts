import { existsSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { MUTANTS } from './list.ts';

it('every mutant is found exactly once: one whose line was changed changes with it', () => {
  const stale = MUTANTS.filter(
    ({ file, find }) => !existsSync(file) || readFileSync(file, 'utf8').split(find).length !== 2,
  );
  expect(stale.map(({ name, file, find }) => `${name}: ${file} has not once: ${find.trim()}`)).toEqual([]);
});

it('every mutant changes something, has a name of its own and tests that exist', () => {
  expect(MUTANTS.filter(({ find, put }) => find === put)).toEqual([]);
  expect(new Set(MUTANTS.map(({ name }) => name)).size).toBe(MUTANTS.length);
  expect(MUTANTS.flatMap(({ tests }) => tests).filter((path) => !existsSync(path))).toEqual([]);
});
