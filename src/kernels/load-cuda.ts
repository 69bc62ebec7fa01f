/**
 * Loads the libraries for a GPU, only if a GPU is asked for: libblockstitch_cuda.so, and ONNX Runtime's CUDA provider,
 * which must lie beside onnxruntime-node's own library.
 * Knows where the files are and how to get a missing one. `native-addon.ts` knows what the library does.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { BlockstitchError } from '../errors.js';
import { loadAddon, packageRoot, runtimeDirectory } from './load-addon.js';
import type { DeviceInfo } from './native-addon.js';

/** Libraries of ONNX Runtime that its CPU package leaves out. */
export const PROVIDER_LIBRARIES = ['libonnxruntime_providers_shared.so', 'libonnxruntime_providers_cuda.so'] as const;

/** The least that has bfloat16 products and asynchronous copies. */
const LEAST_CAPABILITY = 8;

export interface CudaFiles {
  /** libblockstitch_cuda.so */
  library: string;
  /** Folder of onnxruntime-node's libraries. */
  providerDir: string;
}

export function cudaFiles(): CudaFiles {
  return {
    library: join(packageRoot(), 'kernels', 'build-cuda', 'libblockstitch_cuda.so'),
    providerDir: runtimeDirectory(),
  };
}

/**
 * Opens the device library in the main thread, before any session is made.
 *
 * @param numbers GPUs that will be used
 * @returns the machine's GPUs
 * @throws BlockstitchError `config_invalid` for `--device`; it says which part is missing and how to get it
 */
export function loadCuda(numbers: readonly number[], files: CudaFiles = cudaFiles()): DeviceInfo[] {
  if (!existsSync(files.library)) {
    throw unavailable(`${files.library} is missing: it is built by make cuda (docs/cuda.md)`);
  }
  const missing = PROVIDER_LIBRARIES.filter((name) => !existsSync(join(files.providerDir, name)));
  if (missing.length > 0) {
    throw unavailable(
      `ONNX Runtime's CUDA provider is missing (${missing.join(', ')} in ${files.providerDir}): node kernels/cuda/get-provider.mjs gets it`,
    );
  }
  const addon = loadAddon();
  let found: DeviceInfo[];
  try {
    addon.openDeviceLibrary(files.library);
    found = addon.devices();
  } catch (cause) {
    throw unavailable((cause as Error).message, cause);
  }
  const absent = numbers.find((number) => number >= found.length);
  if (absent !== undefined) {
    throw unavailable(`there is no GPU ${absent}: this machine has ${found.length}, numbered from 0`);
  }
  for (const number of numbers) {
    const { name, capability } = found[number] as DeviceInfo;
    if (Number.parseFloat(capability) < LEAST_CAPABILITY) {
      throw unavailable(`GPU ${number} (${name}) has compute capability ${capability}, 8.0 or later is needed`);
    }
  }
  return found;
}

function unavailable(reason: string, cause?: unknown): BlockstitchError {
  return new BlockstitchError('config_invalid', { setting: '--device', reason }, { cause });
}
