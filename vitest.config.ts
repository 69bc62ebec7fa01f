/** Test projects by how much they need: unit (nothing), integration (native addon, Redis, HTTP), e2e (real clients), faults, load. */
import { defineConfig } from 'vitest/config';

const project = (name: string, timeoutMs: number, options: object = {}) => ({
  test: {
    name,
    include: [`test/${name}/**/*.test.ts`],
    testTimeout: timeoutMs,
    hookTimeout: 120_000,
    pool: 'forks' as const,
    ...options,
  },
});

export default defineConfig({
  test: {
    globalSetup: './test/support/global-setup.ts',
    maxWorkers: 2,
    projects: [
      project('unit', 20_000),
      project('integration', 120_000),
      project('e2e', 180_000),
      project('faults', 180_000),
      project('load', 180_000, { fileParallelism: false }),
    ],
  },
});
