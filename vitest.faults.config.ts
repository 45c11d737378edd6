import { defineConfig } from 'vitest/config';

// Whole bots under faults, and on each traffic system: slower than the unit tests, without a real cluster.
export default defineConfig({
  test: {
    include: ['test/faults/**/*.fault.ts'],
    pool: 'forks',
    maxWorkers: 2,
    // Each has a bot of its own, and those of two files have to be ready in time.
    maxConcurrency: 3,
    testTimeout: 120_000,
    hookTimeout: 60_000,
    teardownTimeout: 10_000,
    passWithNoTests: true,
  },
});
