import { defineConfig } from 'vitest/config';

// One file at a time: the tests share a cluster.
export default defineConfig({
  test: {
    include: ['test/e2e/**/*.e2e.ts'],
    pool: 'forks',
    fileParallelism: false,
    testTimeout: 180_000,
    hookTimeout: 120_000,
    teardownTimeout: 10_000,
    passWithNoTests: true,
  },
});
