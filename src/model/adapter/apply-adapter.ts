/**
 * Puts an adapter (PEFT LoRA: adapter_config.json, adapter_model.safetensors) onto a checkpoint: low-rank changes of
 * linear layers and embeddings, trained rows of tables (`trainable_token_indices`, e.g. sink tokens), and whole tensors
 * (`modules_to_save`). The result is a checkpoint as any other, and gives what PEFT's `merge_and_unload` gives.
 * Refuses an adapter of another base by name. `weight-writer.ts` does the arithmetic with `weight-patch.ts`.
 */
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { BlockstitchError } from '../../errors.js';
import type { CheckpointConfig } from '../checkpoint-config.js';
import { readBlockAttention } from '../checkpoint-config.js';
import { type CheckpointTensors, readExactly, readTensorEntries } from '../checkpoint-tensors.js';
import { widen } from '../float-conversion.js';
import { isFloat, type TensorEntry } from '../stored-dtype.js';
import { type AdapterConfig, readAdapterConfig } from './adapter-config.js';
import { type LowRank, type TrainedRows, WeightPatch } from './weight-patch.js';

const TENSORS_FILE = 'adapter_model.safetensors';
const EMBEDDING = 'model.embed_tokens';
const HEAD = 'lm_head';

/** The tensors of one module of the base, by what they are. */
interface ModuleParts {
  a?: TensorEntry;
  b?: TensorEntry;
  embeddingA?: TensorEntry;
  embeddingB?: TensorEntry;
  rows?: TensorEntry;
  /** A whole weight in place of the base's. */
  weight?: TensorEntry;
  bias?: TensorEntry;
}

const PARTS: readonly [RegExp, keyof ModuleParts][] = [
  [/^(.+)\.lora_A(?:\.default)?\.weight$/, 'a'],
  [/^(.+)\.lora_B(?:\.default)?\.weight$/, 'b'],
  [/^(.+)\.lora_embedding_A(?:\.default)?$/, 'embeddingA'],
  [/^(.+)\.lora_embedding_B(?:\.default)?$/, 'embeddingB'],
  [/^(.+)\.token_adapter\.trainable_tokens_delta(?:\.default)?$/, 'rows'],
  [/^(.+?)(?:\.base_layer|\.modules_to_save(?:\.default)?)?\.weight$/, 'weight'],
  [/^(.+?)(?:\.base_layer|\.modules_to_save(?:\.default)?)?\.bias$/, 'bias'],
];

/**
 * @param directory the adapter's
 * @returns the base with the adapter's tensors in place; the base itself is not changed
 * @throws BlockstitchError `checkpoint_invalid` naming the adapter's file and the tensor or field
 */
export async function applyAdapter(
  base: { config: CheckpointConfig; tensors: CheckpointTensors },
  directory: string,
): Promise<{ config: CheckpointConfig; tensors: CheckpointTensors }> {
  const settings = await readAdapterConfig(directory);
  const file = join(directory, TENSORS_FILE);
  const modules = groupTensors(file, await readTensorEntries(file));
  const entries = new Map(base.tensors.entries);
  const model = { ...base.config.model };
  for (const [module, parts] of modules) {
    const name = `${module}.weight`;
    // A tied head has no tensor of its own: it becomes one when it, or the embedding alone, is replaced.
    if (model.tiedEmbeddings && (module === HEAD || (module === EMBEDDING && parts.weight && !parts.embeddingA))) {
      if (module === HEAD && !parts.weight) refuse(file, `it changes ${HEAD}, which the base ties to its embedding`);
      const shared = base.tensors.entries.get(`${EMBEDDING}.weight`);
      if (shared && !modules.get(HEAD)?.weight) entries.set(`${HEAD}.weight`, { ...shared, name: `${HEAD}.weight` });
      model.tiedEmbeddings = false;
    }
    const stored = parts.weight ? { ...parts.weight, name } : entries.get(name);
    if (stored === undefined) {
      refuse(file, `it changes ${module}, which the base does not have: it was made for another one`);
    }
    const own = entries.get(name);
    if (parts.weight && own && parts.weight.shape[1] !== own.shape[1]) differs(file, parts.weight, own);
    if (parts.bias) entries.set(`${module}.bias`, { ...parts.bias, name: `${module}.bias` });
    entries.set(name, await patched(file, module, stored, parts, settings));
  }
  const embedding = entries.get(`${EMBEDDING}.weight`);
  model.vocabSize = Math.max(model.vocabSize, embedding?.shape[0] ?? 0);
  if (settings.blockAttention) {
    model.blockAttention = readBlockAttention(settings.blockAttention, model.vocabSize);
  }
  const configBytes = Buffer.concat([base.config.configBytes, settings.bytes]);
  const files = [...base.tensors.files, file];
  return { config: { ...base.config, model, configBytes }, tensors: { ...base.tensors, entries, files } };
}

function groupTensors(file: string, tensors: readonly TensorEntry[]): Map<string, ModuleParts> {
  if (tensors.length === 0) refuse(file, 'it holds no tensor');
  const modules = new Map<string, ModuleParts>();
  for (const entry of tensors) {
    const bare = entry.name.replace(/^base_model\.model\./, '');
    const found = PARTS.map(([pattern, part]) => ({ part, module: pattern.exec(bare)?.[1] })).find(
      (each) => each.module,
    );
    if (found?.module === undefined || /\.lora_/.test(found.module)) {
      refuse(file, `the tensor ${entry.name} is unsupported`);
    }
    const parts = modules.get(found.module) ?? {};
    if (parts[found.part]) refuse(file, `it has two tensors for ${found.module} (${entry.name})`);
    modules.set(found.module, { ...parts, [found.part]: entry });
  }
  return modules;
}

/** The weight with its changes; as it is, if the adapter only replaces it. */
async function patched(
  file: string,
  module: string,
  stored: TensorEntry,
  parts: ModuleParts,
  settings: AdapterConfig,
): Promise<TensorEntry> {
  const [rows = 0, columns = 0] = stored.shape;
  const lowRank = await readLowRank(file, module, stored, parts, settings);
  const trained = await readRows(file, module, stored, parts, settings);
  if (!lowRank && !trained) return stored;
  const patch = new WeightPatch(rows, columns, lowRank, trained);
  return { ...stored, shape: [patch.rows, columns], patch };
}

async function readLowRank(
  file: string,
  module: string,
  stored: TensorEntry,
  { a, b, embeddingA, embeddingB }: ModuleParts,
  settings: AdapterConfig,
): Promise<LowRank | undefined> {
  const [first, second] = embeddingA || embeddingB ? [embeddingA, embeddingB] : [a, b];
  if (first === undefined && second === undefined) return undefined;
  if (first === undefined || second === undefined) refuse(file, `of ${module} it has only one of lora_A and lora_B`);
  const [outputs = 0, inputs = 0] = stored.shape;
  const rank = first.shape[0] as number;
  // A of an embedding is [rank, vocabulary], B [hidden, rank]: the change is the transposed product.
  const [wantedA, wantedB] = embeddingA ? [outputs, inputs] : [inputs, outputs];
  if (first.shape.length !== 2 || second.shape.length !== 2 || second.shape[1] !== rank || rank < 1) {
    refuse(
      file,
      `the ranks of lora_A [${first.shape.join(', ')}] and lora_B [${second.shape.join(', ')}] of ${module} differ`,
    );
  }
  if (first.shape[1] !== wantedA) differs(file, first, stored);
  if (second.shape[0] !== wantedB) differs(file, second, stored);
  const scale = settings.alphaOf(module) / (settings.rankStabilized ? Math.sqrt(rank) : rank);
  const [one, two] = [await readFloats(first), await readFloats(second)];
  if (!embeddingA) return { rank, scale, a: one, b: two };
  return { rank, scale, a: transposed(two, inputs, rank), b: transposed(one, rank, outputs) };
}

async function readRows(
  file: string,
  module: string,
  stored: TensorEntry,
  { rows }: ModuleParts,
  settings: AdapterConfig,
): Promise<TrainedRows | undefined> {
  if (rows === undefined) return undefined;
  const indices = settings.tokenRows.get(module.split('.').at(-1) ?? module) ?? [];
  const [have = 0, columns = 0] = stored.shape;
  if (rows.shape.length !== 2 || rows.shape[1] !== columns) differs(file, rows, stored);
  if (rows.shape[0] !== indices.length || new Set(indices).size !== indices.length) {
    refuse(
      file,
      `${rows.name} has ${rows.shape[0]} rows, trainable_token_indices names ${indices.length} of ${module}`,
    );
  }
  // New rows come directly behind the base's own.
  const added = indices.filter((index) => index >= have).sort((one, other) => one - other);
  const gap = added.findIndex((index, at) => index !== have + at);
  if (gap >= 0) {
    refuse(
      file,
      `trainable_token_indices adds the row ${added[gap]} to ${module}, but not the row ${have + gap} before it`,
    );
  }
  return { indices, values: await readFloats(rows) };
}

async function readFloats(entry: TensorEntry): Promise<Float32Array> {
  const handle = await open(entry.file, 'r');
  try {
    const values = new Float32Array(entry.shape.reduce((product, size) => product * size, 1));
    const bytes = await readExactly(handle, entry.file, entry.offset, entry.bytes);
    if (!isFloat(entry.dtype)) refuse(entry.file, `the tensor ${entry.name} is not of floats`);
    widen(entry.dtype, bytes, values);
    const bad = values.findIndex((value) => !Number.isFinite(value));
    if (bad >= 0) refuse(entry.file, `the tensor ${entry.name} holds ${values[bad]}`);
    return values;
  } finally {
    await handle.close();
  }
}

/** [rows, columns] to [columns, rows]. */
function transposed(values: Float32Array, rows: number, columns: number): Float32Array {
  const result = new Float32Array(values.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      result[column * rows + row] = values[row * columns + column] as number;
    }
  }
  return result;
}

function differs(file: string, part: TensorEntry, stored: TensorEntry): never {
  const shapes = `the tensor ${part.name} is [${part.shape.join(', ')}], but ${stored.name} is [${stored.shape.join(', ')}]`;
  refuse(file, `it was made for another base: ${shapes}`);
}

function refuse(path: string, reason: string): never {
  throw new BlockstitchError('checkpoint_invalid', { path, reason });
}
