/**
 * Opens a checkpoint of either kind, a Hugging Face directory or a GGUF file: what it says about its model, and where
 * its tensors lie. All else is the same for both.
 */
import { isGgufPath, readGgufHeader } from '../gguf/gguf-file.js';
import { applyAdapter } from './adapter/apply-adapter.js';
import { type CheckpointConfig, checkpointConfig, readCheckpointConfig } from './checkpoint-config.js';
import { type CheckpointTensors, readCheckpointTensors } from './checkpoint-tensors.js';
import { type DecoderEntries, findDecoderWeights } from './decoder-weights.js';
import { FieldReader } from './field-reader.js';
import { readGgufConfig } from './gguf/gguf-config.js';
import { namedTensors, readRopeFactors } from './gguf/gguf-tensors.js';
import { isHeadTied } from './tied-head.js';

export interface Checkpoint {
  config: CheckpointConfig;
  tensors: CheckpointTensors;
  entries: DecoderEntries;
}

/**
 * @param path absolute path of the directory or the GGUF file
 * @param adapterDir absolute path of an adapter that is merged into it
 * @throws BlockstitchError `checkpoint_invalid` naming file, field or tensor
 */
export async function openCheckpoint(path: string, adapterDir?: string): Promise<Checkpoint> {
  const base = (await isGgufPath(path)) ? await openGguf(path) : await openDirectory(path);
  const { config, tensors } = adapterDir === undefined ? base : await applyAdapter(base, adapterDir);
  return { config, tensors, entries: findDecoderWeights(path, config.model, tensors) };
}

async function openDirectory(path: string): Promise<Omit<Checkpoint, 'entries'>> {
  const config = await readCheckpointConfig(path);
  const tensors = await readCheckpointTensors(path);
  config.model.tiedEmbeddings = await isHeadTied(config.model.tiedEmbeddings, tensors);
  return { config, tensors };
}

async function openGguf(file: string): Promise<Omit<Checkpoint, 'entries'>> {
  const header = await readGgufHeader(file);
  const { fields, labels, pairedRows } = readGgufConfig(file, header);
  const config = checkpointConfig(file, FieldReader.of(file, fields, labels), { defaults: {}, eosTokenIds: [] });
  const { headDim, rotaryDim } = config.model;
  const factors = await readRopeFactors(file, header, rotaryDim);
  const { theta, type } = config.rope;
  if (factors !== undefined && type === 'default') config.rope = { type: 'factors', theta, factors };
  else if (factors !== undefined) FieldReader.of(file, fields).fail(`it has rope_freqs.weight beside ${type} scaling`);
  // The file's own hash covers its metadata. These bytes say how this release understands it.
  config.configBytes = new TextEncoder().encode(JSON.stringify(fields));
  return { config, tensors: namedTensors(file, header, pairedRows ? headDim : undefined) };
}
