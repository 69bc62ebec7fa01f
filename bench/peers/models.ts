/**
 * The models that all contenders run, and their files: `make peers` gets SmolLM2; a random checkpoint and the GGUF files
 * for llama.cpp are written when they are missing. Knows files, not engines.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { NAMED_MODELS } from '../../src/cli/named-models.js';
import { PACKAGE_DIR } from '../../src/config.js';
import { RANDOM_SHAPES } from '../random-checkpoint.js';
import { randomCheckpoint } from '../random-model.js';

const PEERS = join(PACKAGE_DIR, 'build', 'peers');
/** The interpreter that has the peers' packages. */
export const PEERS_PYTHON = join(PEERS, 'bin', 'python');
export const PEER_SCRIPTS = join(PACKAGE_DIR, 'bench', 'peers');

/** Block formats that llama.cpp is measured with. */
export const GGUF_TYPES = ['Q4_0', 'Q4_1', 'Q8_0'] as const;
export type GgufType = (typeof GGUF_TYPES)[number];

export interface PeersModel {
  name: string;
  title: string;
  vocabSize: number;
  /** Hugging Face directory, for vLLM. */
  directory: string;
  /** What this engine imports. */
  own: string;
  gguf: Record<GgufType, string>;
}

export const PEERS_MODELS = ['smollm2', 'qwen2.5-0.5b'] as const;

/**
 * @param name one of PEERS_MODELS
 * @throws Error when the peers are not installed, or for another name
 */
export async function peersModel(name: string, progress: (line: string) => void): Promise<PeersModel> {
  if (!existsSync(PEERS_PYTHON)) throw new Error(`the peers are not in ${PEERS}: run make peers`);
  if (name === 'smollm2') {
    const file = join(PEERS, NAMED_MODELS['smollm2']?.file ?? '');
    const gguf = ggufFiles(file, file.replace('.Q4_1.gguf', ''), progress);
    const title = 'SmolLM2-135M-Instruct';
    return { name, title, vocabSize: 49_152, directory: join(PEERS, 'hf'), own: file, gguf };
  }
  if (name === 'qwen2.5-0.5b') {
    const directory = await randomCheckpoint(name, progress);
    const gguf = ggufFiles(directory, join(PEERS, name), progress);
    const title = "random weights in Qwen2.5-0.5B's shape";
    return { name, title, vocabSize: RANDOM_SHAPES[name].vocabSize, directory, own: directory, gguf };
  }
  throw new Error(`no model '${name}' for the peers; one of: ${PEERS_MODELS.join(', ')}`);
}

/** The files of `stem` in every format; those that are missing are made from `source`. */
function ggufFiles(source: string, stem: string, progress: (line: string) => void): Record<GgufType, string> {
  const made = GGUF_TYPES.map((type) => {
    const file = `${stem}.${type}.gguf`;
    if (!existsSync(file)) {
      progress(`writing ${basename(file)}`);
      const argv = [join(PEER_SCRIPTS, 'make_gguf.py'), source, file, type];
      const { status, stderr, error } = spawnSync(PEERS_PYTHON, argv, { encoding: 'utf8' });
      if (error) throw error;
      if (status !== 0) throw new Error(`${file} was not written: ${stderr.slice(-2000)}`);
    }
    return [type, file] as const;
  });
  return Object.fromEntries(made) as Record<GgufType, string>;
}
