import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { loadCuda, PROVIDER_LIBRARIES } from '../../../src/kernels/load-cuda.js';

const EMULATED = join(import.meta.dirname, '../../../kernels/build/libblockstitch_emulated.so');
const directory = mkdtempSync(join(tmpdir(), 'blockstitch-cuda-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

describe('loading what a GPU needs', () => {
  test('a machine without our library, without the provider, or with a broken library is told what to do', () => {
    const library = join(directory, 'libblockstitch_cuda.so');
    const files = { library, providerDir: directory };
    expect(() => loadCuda([0], files)).toThrow(/libblockstitch_cuda.so is missing: it is built by make cuda/);
    writeFileSync(library, 'not a library');
    expect(() => loadCuda([0], files)).toThrow(
      /CUDA provider is missing \(libonnxruntime_providers_shared.so, libonnxruntime_providers_cuda.so in .*get-provider.mjs/,
    );
    for (const name of PROVIDER_LIBRARIES) writeFileSync(join(directory, name), '');
    expect(() => loadCuda([0], files)).toThrow(/--device is invalid: .*libblockstitch_cuda.so: file too short/);
    // A library that opens: its only GPU is the emulated one, of a capability too low for the kernels.
    const emulated = { library: EMULATED, providerDir: directory };
    expect(() => loadCuda([1], emulated)).toThrow(/there is no GPU 1: this machine has 1/);
    expect(() => loadCuda([0], emulated)).toThrow(/compute capability 0.0, 8.0 or later is needed/);
  });
});
