/**
 * Builds libblockstitch_cuda.so and the harness with nvcc: `node kernels/build.mjs --cuda [--targets 80,90]`.
 * Knows where a CUDA toolkit may be: CUDA_HOME, the PATH, /usr/local/cuda, or the one `make cuda-toolkit` puts into
 * kernels/build-nvcc. Exit code 3 means that there is none.
 */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const kernels = dirname(here);

/** Exit code of a build that had no CUDA compiler. */
export const NO_TOOLKIT = 3;

/** Compute capabilities of A100, of L4 and RTX 40, of H100; the newest also as PTX. */
const TARGETS = ['80', '89', '90'];

/** @returns the toolkit's compiler, headers and static runtime, or undefined where there is none */
export function findToolkit(env = process.env) {
  const onPath = (env.PATH ?? '').split(':').filter((folder) => folder !== '' && existsSync(join(folder, 'nvcc')));
  const roots = [
    ...(env.CUDA_HOME ? [env.CUDA_HOME] : []),
    ...onPath.map((folder) => dirname(folder)),
    '/usr/local/cuda',
    join(kernels, 'build-nvcc', 'nvidia', 'cu13'),
  ];
  for (const root of roots) {
    const nvcc = join(root, 'bin', 'nvcc');
    // Installers put libraries in lib64, the package index in lib, Debian under its own triplet.
    const libraries = ['lib64', 'lib', 'targets/x86_64-linux/lib', 'lib/x86_64-linux-gnu'].map((name) =>
      join(root, name),
    );
    const lib = libraries.find((folder) => existsSync(join(folder, 'libcudart_static.a')));
    const include = ['include', 'targets/x86_64-linux/include']
      .map((name) => join(root, name))
      .find((folder) => existsSync(join(folder, 'cuda_runtime_api.h')));
    if (existsSync(nvcc) && lib && include) return { nvcc, lib, include };
  }
  return undefined;
}

/**
 * @param run      runs a tool, ends the process when it fails
 * @param targets  compute capabilities, ascending
 * @param parallel compilations at once
 */
export function buildCuda(run, { targets = TARGETS, parallel }) {
  const toolkit = findToolkit();
  if (toolkit === undefined) {
    console.error('no CUDA compiler: install a CUDA toolkit (12.4 or newer), or run make cuda-toolkit');
    process.exit(NO_TOOLKIT);
  }
  const build = join(kernels, 'build-cuda');
  const hint = 'A CUDA toolkit 12.4 or newer and a C++17 compiler that it accepts are needed (docs/cuda.md).';
  run(
    'cmake',
    [
      '-S',
      here,
      '-B',
      build,
      `-DNVCC=${toolkit.nvcc}`,
      `-DCUDA_INCLUDE=${toolkit.include}`,
      `-DCUDA_LIB=${toolkit.lib}`,
      `-DCUDA_TARGETS=${targets.join(';')}`,
    ],
    hint,
  );
  run('cmake', ['--build', build, '--parallel', String(parallel)], hint);
  console.log(
    `built ${join(build, 'libblockstitch_cuda.so')} with ${toolkit.nvcc} for sm_${targets.join(', sm_')} and PTX`,
  );
}
