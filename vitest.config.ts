/** Test projects by how much they need: unit (nothing), integration (native addon, Redis, HTTP), e2e (real clients), faults, load. */
import { defineConfig } from 'vitest/config';

/** Only a test that hangs takes so long, on a machine however busy. */
const HANGS_MS = 300_000;

const project = (name: string, options: object = {}) => ({
  test: {
    name,
    include: [`test/${name}/**/*.test.ts`],
    testTimeout: HANGS_MS,
    hookTimeout: HANGS_MS,
    pool: 'forks' as const,
    // Tests that load ONNX Runtime by themselves, and what they start, tell nobody either (src/onnx-runtime.ts).
    env: { ORT_DISABLE_TELEMETRY: '1' },
    ...options,
  },
});

export default defineConfig({
  test: {
    globalSetup: './test/support/global-setup.ts',
    // One more than the cores of the smallest machine: many tests wait for processes that they started.
    maxWorkers: 3,
    projects: [
      project('unit'),
      project('integration'),
      project('e2e'),
      project('faults'),
      project('load', { fileParallelism: false }),
    ],
  },
});
