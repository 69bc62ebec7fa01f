#!/usr/bin/env node
/**
 * Builds the native addon with CMake: `node kernels/build.mjs [--tests] [--bench] [--sanitize]`.
 * `--cuda [--targets 80,90]` builds the CUDA library and its harness instead (kernels/cuda/build.mjs).
 * Knows where Node-API's headers are (an npm package) and what to say when a tool is missing. CMakeLists.txt knows the rest.
 */
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildCuda } from './cuda/build.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const sanitize = process.argv.includes('--sanitize');
const tests = sanitize || process.argv.includes('--tests');

if (process.argv.includes('--help')) {
  console.log(
    'usage: node kernels/build.mjs [--tests] [--bench] [--sanitize]\n\n  --tests     build the kernel tests too\n  --bench     build the kernel bench too\n  --sanitize  build only the tests, with AddressSanitizer and UBSan, in kernels/build-sanitize\n  --cuda      build libblockstitch_cuda.so and its harness with nvcc, in kernels/build-cuda\n  --targets   with --cuda: compute capabilities, e.g. 80,89,90 (the default)',
  );
  process.exit(0);
}

/** Runs a tool quietly; on failure prints what it said and ends. */
function run(command, args, hint) {
  const result = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 1 << 26 });
  if (result.error) {
    console.error(
      `${command} is needed to build the native kernels and could not be run (${result.error.code}).\n${hint}`,
    );
    process.exit(1);
  }
  if (result.status !== 0) {
    console.error(
      `${result.stdout}${result.stderr}\nBuilding the native kernels failed: ${command} ${args.join(' ')}\n${hint}`,
    );
    process.exit(result.status ?? 1);
  }
}

if (process.argv.includes('--cuda')) {
  const at = process.argv.indexOf('--targets');
  const targets = at < 0 ? undefined : (process.argv[at + 1] ?? '').split(',');
  if (targets?.some((target) => !/^\d{2,3}$/.test(target))) {
    console.error('--targets takes compute capabilities such as 80,90');
    process.exit(2);
  }
  buildCuda(run, { targets, parallel: availableParallelism() });
  process.exit(0);
}

const require = createRequire(import.meta.url);
const includes = require('node-api-headers').include_dir;
const build = join(here, sanitize ? 'build-sanitize' : 'build');
const hint = 'On Debian: apt-get install cmake g++ make. Then run the same command again.';
run(
  'cmake',
  [
    '-S',
    here,
    '-B',
    build,
    `-DNODE_API_INCLUDES=${includes}`,
    `-DBLOCKSTITCH_TESTS=${tests ? 'ON' : 'OFF'}`,
    `-DBLOCKSTITCH_BENCH=${process.argv.includes('--bench') ? 'ON' : 'OFF'}`,
    `-DBLOCKSTITCH_SANITIZE=${sanitize ? 'ON' : 'OFF'}`,
  ],
  hint,
);
run('cmake', ['--build', build, '--parallel', String(availableParallelism())], hint);
