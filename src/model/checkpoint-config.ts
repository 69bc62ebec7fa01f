/**
 * Reads config.json and generation_config.json of a Hugging Face directory for the graph builder. The metadata of a GGUF
 * file comes here too, in the same words (`gguf/gguf-config.ts`).
 * Knows four families. Refuses by name every setting that would change their arithmetic. Absent fields get the defaults
 * of the `transformers` classes. `checkpoint-tensors.ts` reads weights, `rope.ts` reads RoPE settings.
 */
import { existsSync } from 'node:fs';
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { BlockstitchError } from '../errors.js';
import { missingConfigReason, missingDirectoryReason } from './checkpoint-hints.js';
import { FieldReader, readFieldFile, shownValue } from './field-reader.js';
import type { ImportedModel, ModelConfig, ModelFamily } from './imported-model.js';
import { type RopeSettings, readRopeSettings, scaledPositions } from './rope.js';

/** What a checkpoint's JSON files say. */
export interface CheckpointConfig {
  model: ModelConfig;
  rope: RopeSettings;
  /** Sliding window of each layer in tokens; 0 if the layer sees everything. Length = layers. */
  windows: readonly number[];
  generation: ImportedModel['generation'];
  /** Bytes of config.json, for the fingerprint. */
  configBytes: Uint8Array;
}

interface FamilyRules {
  architecture: string;
  qkvBias: boolean;
  qkNorm: boolean;
  /** Default of max_position_embeddings. */
  maxPositions: number;
  headDim?: number;
  /** mistral: every layer slides. qwen: only with use_sliding_window, from max_window_layers on. */
  window: 'none' | 'all' | 'upper';
}

const FAMILIES: Readonly<Record<ModelFamily, FamilyRules>> = {
  llama: { architecture: 'LlamaForCausalLM', qkvBias: false, qkNorm: false, maxPositions: 2048, window: 'none' },
  mistral: { architecture: 'MistralForCausalLM', qkvBias: false, qkNorm: false, maxPositions: 131_072, window: 'all' },
  qwen2: { architecture: 'Qwen2ForCausalLM', qkvBias: true, qkNorm: false, maxPositions: 32_768, window: 'upper' },
  qwen3: {
    architecture: 'Qwen3ForCausalLM',
    qkvBias: false,
    qkNorm: true,
    maxPositions: 32_768,
    headDim: 128,
    window: 'upper',
  },
};

/** Settings that change the arithmetic in ways that the graph does not have. Any value but these is refused. */
const REFUSED: Readonly<Record<string, readonly unknown[]>> = {
  quantization_config: [undefined, null],
  attention_bias: [undefined, null, false],
  mlp_bias: [undefined, null, false],
  num_experts: [undefined, null, 0],
  num_local_experts: [undefined, null, 0],
  attn_logit_softcapping: [undefined, null],
  final_logit_softcapping: [undefined, null],
};

/** Longest context: its RoPE tables take up to 4 GiB. */
const MAX_POSITIONS = 1 << 22;
/** Widest head that the BlockAttention op takes. */
const MAX_HEAD_DIM = 256;

/**
 * @param directory Hugging Face directory
 * @throws BlockstitchError `checkpoint_invalid` naming the file and the field
 */
export async function readCheckpointConfig(directory: string): Promise<CheckpointConfig> {
  const path = join(directory, 'config.json');
  const configBytes = await readConfigFile(directory, path);
  const config = checkpointConfig(path, FieldReader.parse(path, configBytes), await readGeneration(directory));
  return { ...config, configBytes };
}

/**
 * @param path the file, for messages
 * @param generation what generation_config.json adds
 * @returns `configBytes` is empty
 * @throws BlockstitchError `checkpoint_invalid` naming the field
 */
export function checkpointConfig(
  path: string,
  fields: FieldReader,
  generation: { defaults: ImportedModel['generation']; eosTokenIds: number[] },
): CheckpointConfig {
  const family = readFamily(fields);
  const rules = FAMILIES[family];
  refuseUnsupported(fields, rules);

  const layers = fields.integer('num_hidden_layers', 1, 1024);
  const hiddenSize = fields.integer('hidden_size', 8, 65_536);
  const heads = fields.integer('num_attention_heads', 1, 1024);
  const kvHeads = fields.optionalInteger('num_key_value_heads', 1, 1024) ?? heads;
  if (heads % kvHeads !== 0) fields.fail(`${heads} attention heads are not a multiple of ${kvHeads} key-value heads`);
  const headDim = readHeadDim(fields, rules, hiddenSize, heads);
  const maxPositions = fields.optionalInteger('max_position_embeddings', 1, 1 << 24) ?? rules.maxPositions;
  const rope = readRopeSettings(path, fields.record, maxPositions);
  const windows = readWindows(fields, rules, layers);
  const vocabSize = fields.integer('vocab_size', 1, 1 << 24);
  const bosTokenId = fields.optionalInteger('bos_token_id', 0, vocabSize - 1);
  const section = fields.section('block_attention');
  const blockAttention = section && readBlockAttention(section, vocabSize);
  const positions = scaledPositions(rope, maxPositions);
  if (positions > MAX_POSITIONS) {
    fields.fail(`its context of ${positions} positions is unsupported (up to ${MAX_POSITIONS})`);
  }
  const slidingWindow = Math.max(...windows);
  const model: ModelConfig = {
    family,
    vocabSize,
    hiddenSize,
    intermediateSize: fields.integer('intermediate_size', 1, 1 << 20),
    layers,
    heads,
    kvHeads,
    headDim,
    rotaryDim: headDim,
    maxPositions: positions,
    ...(slidingWindow > 0 ? { slidingWindow } : {}),
    rmsNormEps: fields.optionalNumber('rms_norm_eps', 0, 1) ?? 1e-6,
    tiedEmbeddings: fields.optionalBoolean('tie_word_embeddings') ?? false,
    qkvBias: rules.qkvBias,
    qkNorm: rules.qkNorm,
    ...(bosTokenId === undefined ? {} : { bosTokenId }),
    eosTokenIds: [...new Set([...fields.tokenIds('eos_token_id', vocabSize), ...generation.eosTokenIds])],
    ...(blockAttention ? { blockAttention } : {}),
  };
  return { model, rope, windows, generation: generation.defaults, configBytes: new Uint8Array(0) };
}

async function readConfigFile(directory: string, path: string): Promise<Uint8Array> {
  try {
    await access(path);
  } catch (cause) {
    const reason = existsSync(directory) ? missingConfigReason(directory) : missingDirectoryReason(directory);
    throw new BlockstitchError('checkpoint_invalid', { path: directory, reason }, { cause });
  }
  return readFieldFile(path);
}

function readFamily(fields: FieldReader): ModelFamily {
  const type = fields.record.model_type;
  if (typeof type === 'string' && Object.hasOwn(FAMILIES, type)) return type as ModelFamily;
  return fields.fail(
    `its model_type ${shownValue(type ?? null)} is unsupported (known: ${Object.keys(FAMILIES).join(', ')})`,
  );
}

function refuseUnsupported(fields: FieldReader, rules: FamilyRules): void {
  const { architectures, hidden_act: activation } = fields.record;
  if (architectures !== undefined && architectures !== null) {
    if (!Array.isArray(architectures) || !architectures.includes(rules.architecture)) {
      fields.fail(`its architectures ${shownValue(architectures)} do not include ${rules.architecture}`);
    }
  }
  if ((activation ?? 'silu') !== 'silu') {
    fields.fail(`its activation hidden_act ${shownValue(activation)} is unsupported (known: silu)`);
  }
  for (const [key, harmless] of Object.entries(REFUSED)) {
    if (!harmless.includes(fields.record[key])) {
      fields.fail(`its ${key} ${shownValue(fields.record[key])} is unsupported`);
    }
  }
}

function readHeadDim(fields: FieldReader, rules: FamilyRules, hiddenSize: number, heads: number): number {
  const headDim = fields.optionalInteger('head_dim', 1, 65_536) ?? rules.headDim ?? hiddenSize / heads;
  if (!Number.isInteger(headDim)) {
    fields.fail(`it has no head_dim, and hidden_size ${hiddenSize} is not a multiple of ${heads} attention heads`);
  }
  if (headDim % 8 !== 0 || headDim > MAX_HEAD_DIM) {
    fields.fail(`its head_dim ${headDim} is unsupported (multiples of 8 up to ${MAX_HEAD_DIM})`);
  }
  return headDim;
}

/** The window of each layer: from `layer_types` if it is there, else by the family's rule. */
function readWindows(fields: FieldReader, rules: FamilyRules, layers: number): number[] {
  const { use_sliding_window: use, layer_types: types } = fields.record;
  const declared = fields.record.sliding_window === null ? 0 : fields.optionalInteger('sliding_window', 1, 1 << 30);
  const applies = rules.window === 'all' || (rules.window === 'upper' && use === true);
  const window = applies ? (declared ?? 4096) : 0;
  const from = rules.window === 'upper' ? (fields.optionalInteger('max_window_layers', 0, 1 << 20) ?? 28) : 0;
  if (types === undefined || types === null) return Array.from({ length: layers }, (_, i) => (i >= from ? window : 0));
  if (!Array.isArray(types) || types.length !== layers) fields.fail(`its layer_types do not name ${layers} layers`);
  return (types as unknown[]).map((type) => {
    if (type === 'full_attention') return 0;
    if (type !== 'sliding_attention') fields.fail(`its layer type ${shownValue(type)} is unsupported`);
    if (window === 0) fields.fail('its layer_types ask for sliding attention, but no sliding_window applies');
    return window;
  });
}

const BLOCK_ATTENTION_FIELDS = ['mode', 'sink_token_ids', 'block_start_token_ids', 'block_end_token_ids'];

/** The `block_attention` section of a config.json, or of an adapter. */
export function readBlockAttention(
  section: FieldReader,
  vocabSize: number,
): NonNullable<ModelConfig['blockAttention']> {
  const unknown = Object.keys(section.record).find((key) => !BLOCK_ATTENTION_FIELDS.includes(key));
  // A field that is not taken would change answers, not fail.
  if (unknown !== undefined)
    section.fail(`its block_attention.${unknown} is unknown (known: ${BLOCK_ATTENTION_FIELDS.join(', ')})`);
  const mode = section.record.mode ?? 'block';
  if (mode !== 'block' && mode !== 'full') section.fail(`its block_attention.mode ${shownValue(mode)} is unknown`);
  const sinkTokenIds = section.tokenIds('sink_token_ids', vocabSize);
  const start = section.tokenIds('block_start_token_ids', vocabSize);
  const end = section.tokenIds('block_end_token_ids', vocabSize);
  const edges = start.length + end.length > 0 ? { edges: { start, end } } : {};
  return { mode: mode as 'block' | 'full', sinkTokenIds, ...edges };
}

/** generation_config.json is optional. A wrong value in it is refused, not skipped. */
async function readGeneration(
  directory: string,
): Promise<{ defaults: ImportedModel['generation']; eosTokenIds: number[] }> {
  const path = join(directory, 'generation_config.json');
  if (!existsSync(path)) return { defaults: {}, eosTokenIds: [] };
  const fields = FieldReader.parse(path, await readFieldFile(path));
  const eosTokenIds = fields.tokenIds('eos_token_id', 1 << 24);
  const defaults: ImportedModel['generation'] = {};
  const temperature = fields.optionalNumber('temperature', 0, 100);
  const topP = fields.optionalNumber('top_p', 0, 1);
  // -1 turns it off, as in requests.
  const topK = fields.optionalInteger('top_k', -1, 2 ** 31 - 1);
  const repetitionPenalty = fields.optionalNumber('repetition_penalty', 0, 100);
  if (fields.record.do_sample === false) defaults.temperature = 0;
  else if (temperature !== undefined) defaults.temperature = temperature;
  if (topP !== undefined) defaults.topP = topP;
  if (topK !== undefined) defaults.topK = Math.max(0, topK);
  if (repetitionPenalty !== undefined) defaults.repetitionPenalty = repetitionPenalty;
  return { defaults, eosTokenIds };
}
