/**
 * Loads the native addon, in the one order that works: main thread first, before onnxruntime-node anywhere.
 * Knows where the files are and what to say if one is missing. `native-addon.ts` has the addon's exports.
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isMainThread } from 'node:worker_threads';
import { BlockstitchError } from '../errors.js';
import { silenceRuntime } from '../onnx-runtime.js';
import type { NativeAddon } from './native-addon.js';

const INTERFACE_VERSION = 1;

const require = createRequire(import.meta.url);
let loaded: NativeAddon | undefined;

/**
 * Loads the addon once per thread, and in the main thread attaches it to ONNX Runtime's library.
 *
 * @throws BlockstitchError `native_unavailable` if the addon was not built, or was built for another version, or if
 *   onnxruntime-node was loaded before it
 */
export function loadAddon(): NativeAddon {
  loaded ??= open();
  return loaded;
}

function open(): NativeAddon {
  silenceRuntime();
  const path = addonPath();
  const addonModule = { exports: {} as NativeAddon };
  if (isMainThread && runtimeLoaded()) {
    throw unavailable('onnxruntime-node was loaded before the addon; call loadAddon() first');
  }
  try {
    process.dlopen(addonModule, path, constants.dlopen.RTLD_NOW | constants.dlopen.RTLD_GLOBAL);
  } catch (cause) {
    throw unavailable(
      `${path} cannot be loaded: ${(cause as Error).message}; it is built for this machine by ${buildCommand()}`,
    );
  }
  const addon = addonModule.exports;
  if (addon.interfaceVersion !== INTERFACE_VERSION) {
    throw unavailable(`${path} has interface version ${addon.interfaceVersion}, ${INTERFACE_VERSION} is needed`);
  }
  if (isMainThread) {
    try {
      addon.attachOnnxRuntime(runtimeLibrary());
    } catch (cause) {
      throw unavailable((cause as Error).message);
    }
  }
  return addon;
}

/** The package's root, both from src/kernels and from dist/src/kernels. */
export function packageRoot(): string {
  let directory = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(directory, 'package.json'))) {
    const parent = dirname(directory);
    if (parent === directory) throw unavailable('the package root was not found');
    directory = parent;
  }
  return directory;
}

function buildCommand(): string {
  return `node ${join(packageRoot(), 'kernels', 'build.mjs')}`;
}

function addonPath(): string {
  const path = join(packageRoot(), 'kernels', 'build', 'blockstitch.node');
  if (!existsSync(path)) throw unavailable(`${path} is missing; it is built by ${buildCommand()}`);
  return path;
}

export function runtimeDirectory(): string {
  const entry = dirname(require.resolve('onnxruntime-node/package.json'));
  return join(entry, 'bin', 'napi-v6', process.platform, process.arch);
}

function runtimeLibrary(): string {
  const path = join(runtimeDirectory(), 'libonnxruntime.so.1');
  if (!existsSync(path)) throw unavailable(`ONNX Runtime's library is missing: ${path}`);
  return path;
}

/** Whether onnxruntime-node's binding is already in the process. */
function runtimeLoaded(): boolean {
  return require.cache[join(runtimeDirectory(), 'onnxruntime_binding.node')] !== undefined;
}

function unavailable(reason: string): BlockstitchError {
  return new BlockstitchError('native_unavailable', { reason });
}
