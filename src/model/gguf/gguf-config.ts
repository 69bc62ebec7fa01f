/**
 * Translates the metadata of a GGUF file into the fields of a Hugging Face config.json, so that one reader checks both
 * (`checkpoint-config.ts`). Refuses by name what it does not know: architectures, settings of an architecture, RoPE
 * scaling. Key names are those of docs/gguf.md of the ggml project and of gguf-py's constants.py.
 */
import { type GgufHeader, type GgufValue, refuseGguf } from '../../gguf/gguf-header.js';
import type { ModelFamily } from '../imported-model.js';

/** What a GGUF file says about its model, in the words of config.json. */
export interface GgufConfig {
  fields: Record<string, unknown>;
  /** Metadata key of a field, for messages: `hidden_size` -> `llama.embedding_length`. */
  labels: ReadonlyMap<string, string>;
  /** Rows of query and key lie in pairs (`row-order.ts`). */
  pairedRows: boolean;
}

interface Architecture {
  family: ModelFamily;
  /** llama.cpp rotates neighbouring dimensions for llama, dimensions half a head apart for the others. */
  pairedRows: boolean;
}

/** mistral files say llama. */
const ARCHITECTURES: Readonly<Record<string, Architecture>> = {
  llama: { family: 'llama', pairedRows: true },
  qwen2: { family: 'qwen2', pairedRows: false },
  qwen3: { family: 'qwen3', pairedRows: false },
};

/** Settings of an architecture that become fields of config.json, without its name in front. */
const FIELDS: Readonly<Record<string, string>> = {
  block_count: 'num_hidden_layers',
  context_length: 'max_position_embeddings',
  embedding_length: 'hidden_size',
  feed_forward_length: 'intermediate_size',
  'attention.head_count': 'num_attention_heads',
  'attention.head_count_kv': 'num_key_value_heads',
  'attention.key_length': 'head_dim',
  'attention.layer_norm_rms_epsilon': 'rms_norm_eps',
  'attention.sliding_window': 'sliding_window',
};

/** Settings with the only values that change nothing. */
const NEUTRAL: Readonly<Record<string, readonly GgufValue[]>> = {
  expert_count: [0],
  expert_used_count: [0],
  use_parallel_residual: [false],
  logit_scale: [0, 1],
  embedding_scale: [0, 1],
  residual_scale: [0, 1],
  attn_logit_softcapping: [0],
  final_logit_softcapping: [0],
  'attention.scale': [0],
  'attention.causal': [true],
  'attention.max_alibi_bias': [0],
  'attention.clamp_kqv': [0],
  'rope.scaling.yarn_log_multiplier': [0],
  'rope.scaling.yarn_ext_factor': [1],
  'rope.scaling.yarn_attn_factor': [1],
};

/** Settings that are read by name below, or that say nothing about the arithmetic. */
const READ_ELSEWHERE = new Set([
  'vocab_size',
  'tensor_data_layout',
  'attention.value_length',
  'rope.dimension_count',
  'rope.freq_base',
  'rope.scale_linear',
  'rope.scaling.type',
  'rope.scaling.factor',
  'rope.scaling.attn_factor',
  'rope.scaling.original_context_length',
  'rope.scaling.finetuned',
  'rope.scaling.yarn_beta_fast',
  'rope.scaling.yarn_beta_slow',
]);

/** Control tokens that end an answer, beside those that the metadata names: llama.cpp ends at them too. */
const END_TOKENS = new Set(['<|eot_id|>', '<|im_end|>', '<|endoftext|>', '<|end_of_text|>', '<|eom_id|>', '<|end|>']);
const END_KEYS = ['eos_token_id', 'eot_token_id', 'eom_token_id'];
const CONTROL_TYPE = 3;

/** @throws BlockstitchError `checkpoint_invalid`; it names the metadata key */
export function readGgufConfig(file: string, header: GgufHeader): GgufConfig {
  const { metadata } = header;
  const name = metadata.get('general.architecture');
  const architecture = typeof name === 'string' ? ARCHITECTURES[name] : undefined;
  if (architecture === undefined || typeof name !== 'string' || !Object.hasOwn(ARCHITECTURES, name)) {
    const known = Object.keys(ARCHITECTURES).join(', ');
    return refuseGguf(file, `its general.architecture ${shown(name)} is unsupported (known: ${known})`);
  }
  refuseUnknown(file, metadata, name);
  const get = (key: string) => metadata.get(`${name}.${key}`);
  const fields: Record<string, unknown> = {};
  const labels = new Map<string, string>();
  for (const [key, field] of Object.entries(FIELDS)) {
    const value = sameForAllLayers(get(key));
    labels.set(field, `${name}.${key}`);
    if (value !== undefined) fields[field] = value;
  }
  const { family } = architecture;
  const window = Number(fields.sliding_window ?? 0);
  if (window === 0) delete fields.sliding_window;
  else if (family !== 'llama') refuseGguf(file, `its ${name}.attention.sliding_window ${window} is unsupported`);
  fields.model_type = window > 0 ? 'mistral' : family;
  fields.vocab_size = vocabularySize(file, header);
  labels.set('vocab_size', 'tokenizer.ggml.tokens');
  fields.tie_word_embeddings = !header.tensors.some((tensor) => tensor.name === 'output.weight');
  // llama.cpp's default for every family, also where that of `transformers` is another (qwen3).
  fields.head_dim ??= Number(fields.hidden_size) / Number(fields.num_attention_heads);
  for (const key of ['attention.value_length', 'rope.dimension_count']) {
    const value = get(key);
    if (value !== undefined && value !== fields.head_dim) {
      refuseGguf(file, `its ${name}.${key} ${shown(value)} is not the head's ${shown(fields.head_dim)}`);
    }
  }
  if (fields.rms_norm_eps === undefined) refuseGguf(file, `its ${name}.attention.layer_norm_rms_epsilon is missing`);
  if (fields.max_position_embeddings === undefined) refuseGguf(file, `its ${name}.context_length is missing`);
  fields.rope_parameters = ropeParameters(file, name, get);
  const bos = metadata.get('tokenizer.ggml.bos_token_id');
  labels.set('bos_token_id', 'tokenizer.ggml.bos_token_id');
  if (bos !== undefined) fields.bos_token_id = bos;
  labels.set('eos_token_id', 'tokenizer.ggml.eos_token_id');
  fields.eos_token_id = endTokens(metadata);
  return { fields, labels, pairedRows: architecture.pairedRows };
}

function refuseUnknown(file: string, metadata: ReadonlyMap<string, GgufValue>, name: string): void {
  for (const [key, value] of metadata) {
    if (!key.startsWith(`${name}.`)) continue;
    const setting = key.slice(name.length + 1);
    if (Object.hasOwn(FIELDS, setting) || READ_ELSEWHERE.has(setting)) continue;
    const neutral = Object.hasOwn(NEUTRAL, setting) ? NEUTRAL[setting] : undefined;
    if (neutral === undefined) refuseGguf(file, `its setting ${key} is unknown`);
    if (!neutral?.includes(value)) refuseGguf(file, `its ${key} ${shown(value)} is unsupported`);
  }
}

/** Some settings may be lists with a value for each layer. The graph takes one value for all. */
function sameForAllLayers(value: GgufValue | undefined): unknown {
  if (!ArrayBuffer.isView(value)) return value;
  const values = value as unknown as ArrayLike<number | bigint>;
  for (let i = 1; i < values.length; i++) if (values[i] !== values[0]) return Array.from(values);
  return values.length > 0 ? Number(values[0]) : undefined;
}

function vocabularySize(file: string, { metadata, tensors }: GgufHeader): number {
  const embedding = tensors.find(({ name }) => name === 'token_embd.weight');
  if (embedding === undefined) return refuseGguf(file, 'the tensor token_embd.weight is missing');
  const rows = embedding.shape[0] ?? 0;
  const tokens = metadata.get('tokenizer.ggml.tokens');
  if (!Array.isArray(tokens)) return refuseGguf(file, 'its tokenizer.ggml.tokens is missing or not a list of strings');
  if (tokens.length > rows) {
    return refuseGguf(file, `its tokenizer.ggml.tokens has ${tokens.length} tokens, its embedding ${rows} rows`);
  }
  return rows;
}

/** In the words of `rope_parameters` of config.json, which `rope.ts` checks. */
function ropeParameters(file: string, name: string, get: (key: string) => GgufValue | undefined): object {
  const theta = get('rope.freq_base') ?? 10_000;
  const linear = get('rope.scale_linear') ?? 1;
  const type = get('rope.scaling.type') ?? (linear === 1 ? 'none' : 'linear');
  const factor = get('rope.scaling.factor') ?? linear;
  if (type === 'none' || (type === 'linear' && (factor === 1 || factor === 0))) {
    return { rope_type: 'default', rope_theta: theta };
  }
  if (type === 'linear') return { rope_type: 'linear', rope_theta: theta, factor };
  if (type !== 'yarn') {
    return refuseGguf(file, `its ${name}.rope.scaling.type ${shown(type)} is unsupported (known: none, linear, yarn)`);
  }
  const extra = get('rope.scaling.attn_factor');
  const factorOfScores = typeof factor === 'number' && factor > 1 ? 0.1 * Math.log(factor) + 1 : 1;
  const original = get('rope.scaling.original_context_length');
  return {
    rope_type: 'yarn',
    rope_theta: theta,
    factor,
    ...(original === undefined ? {} : { original_max_position_embeddings: original }),
    beta_fast: get('rope.scaling.yarn_beta_fast') ?? 32,
    beta_slow: get('rope.scaling.yarn_beta_slow') ?? 1,
    // llama.cpp multiplies the usual factor by this one.
    ...(typeof extra === 'number' ? { attention_factor: extra * factorOfScores } : {}),
  };
}

function endTokens(metadata: ReadonlyMap<string, GgufValue>): unknown[] {
  const ids = new Set<unknown>();
  for (const key of END_KEYS) {
    const id = metadata.get(`tokenizer.ggml.${key}`);
    if (id !== undefined) ids.add(id);
  }
  const tokens = metadata.get('tokenizer.ggml.tokens');
  const types = metadata.get('tokenizer.ggml.token_type');
  if (Array.isArray(tokens) && types instanceof Int32Array) {
    for (const [id, token] of tokens.entries()) {
      if (types[id] === CONTROL_TYPE && END_TOKENS.has(token)) ids.add(id);
    }
  }
  return [...ids];
}

function shown(value: unknown): string {
  if (typeof value === 'bigint') return String(value);
  return (JSON.stringify(value) ?? 'none').slice(0, 120);
}
