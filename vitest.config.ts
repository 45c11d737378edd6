import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Whole bots, command lines and clusters, however few lines their files have: begun last, one would be left alone. */
const LONG = /\/test\/(scenarios|cli|playground)\//;

class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const isLong = ({ moduleId }: TestSpecification) => LONG.test(moduleId);
    const sorted = await super.sort(files);
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))];
  }
}

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/e2e/**'],
    pool: 'forks',
    // Reading the libraries again for each file is a quarter of all the work. Tests leave nothing behind in the process.
    isolate: false,
    // Some always wait: for pods, for processes, for a bake.
    maxWorkers: Math.min(availableParallelism() + 1, 6),
    sequence: { sequencer: LongFirst },
    testTimeout: 10_000,
    hookTimeout: 20_000,
    teardownTimeout: 10_000,
  },
});
