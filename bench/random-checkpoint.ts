/**
 * Writes Hugging Face checkpoints with random weights: for benches, which need a published model's shape but not its
 * weights, and for tests, which need whole models of a few kilobytes. The same shape and seed give the same bytes.
 * Knows names and shapes of tensors; `random-tokenizer.ts` makes the tokenizer for them.
 */
import { createHash } from 'node:crypto';
import { type FileHandle, mkdir, open, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { narrowToBfloat16 } from '../src/model/float-conversion.js';
import type { ModelFamily } from '../src/model/imported-model.js';
import { randomTokenizerFiles, SPECIAL_TOKENS } from './random-tokenizer.js';

export interface RandomShape {
  family: ModelFamily;
  vocabSize: number;
  hiddenSize: number;
  intermediateSize: number;
  layers: number;
  heads: number;
  kvHeads: number;
  /** hiddenSize / heads by default. */
  headDim?: number;
  maxPositions: number;
  ropeTheta?: number;
  tiedEmbeddings: boolean;
  dtype: 'F32' | 'BF16';
  /** Any 32-bit number; 1 by default. */
  seed?: number;
}

export const RANDOM_SHAPES = {
  /** Qwen2.5-0.5B: about 494 million parameters, 1 GB. */
  'qwen2.5-0.5b': {
    family: 'qwen2',
    vocabSize: 151_936,
    hiddenSize: 896,
    intermediateSize: 4864,
    layers: 24,
    heads: 14,
    kvHeads: 2,
    maxPositions: 32_768,
    ropeTheta: 1_000_000,
    tiedEmbeddings: true,
    dtype: 'BF16',
  },
  /** Llama-3.1-8B: about 8.0 billion parameters, 16 GB. */
  'llama-3.1-8b': {
    family: 'llama',
    vocabSize: 128_256,
    hiddenSize: 4096,
    intermediateSize: 14_336,
    layers: 32,
    heads: 32,
    kvHeads: 8,
    maxPositions: 131_072,
    ropeTheta: 500_000,
    tiedEmbeddings: false,
    dtype: 'BF16',
  },
  /** One small layer under a large vocabulary. Logits are normal with deviation 0.05 sqrt(hiddenSize), here 1.5: flat. */
  'flat-152k': {
    family: 'llama',
    vocabSize: 151_936,
    hiddenSize: 896,
    intermediateSize: 896,
    layers: 1,
    heads: 14,
    kvHeads: 2,
    maxPositions: 4096,
    tiedEmbeddings: true,
    dtype: 'BF16',
  },
  /** The same under a wider head: deviation 3.2, nearer to a trained model's logits. */
  'peaked-152k': {
    family: 'llama',
    vocabSize: 151_936,
    hiddenSize: 4096,
    intermediateSize: 1024,
    layers: 1,
    heads: 32,
    kvHeads: 2,
    maxPositions: 4096,
    tiedEmbeddings: true,
    dtype: 'BF16',
  },
  /** A model for tests of everything around models: under 200 kB. */
  tiny: {
    family: 'llama',
    vocabSize: 512,
    hiddenSize: 64,
    intermediateSize: 96,
    layers: 2,
    heads: 2,
    kvHeads: 1,
    maxPositions: 4096,
    tiedEmbeddings: true,
    dtype: 'F32',
  },
} as const satisfies Record<string, RandomShape>;

interface RandomTensor {
  name: string;
  shape: number[];
  /** Standard deviation around `mean`. */
  deviation: number;
  mean: number;
}

const ARCHITECTURES: Readonly<Record<ModelFamily, string>> = {
  llama: 'LlamaForCausalLM',
  mistral: 'MistralForCausalLM',
  qwen2: 'Qwen2ForCausalLM',
  qwen3: 'Qwen3ForCausalLM',
};

/** Values drawn at once. */
const SLAB_ELEMENTS = 1024 * 1024;

/**
 * Writes config.json, model.safetensors, tokenizer.json, tokenizer_config.json and generation_config.json.
 *
 * @param directory made when absent; files of these names in it are replaced
 * @param shape a name of RANDOM_SHAPES or a shape
 * @throws TypeError when the shape leaves no room for the tokenizer's 256 bytes and its special tokens
 */
export async function writeRandomCheckpoint(
  directory: string,
  shape: RandomShape | keyof typeof RANDOM_SHAPES,
): Promise<void> {
  const full: RandomShape = typeof shape === 'string' ? RANDOM_SHAPES[shape] : shape;
  await mkdir(directory, { recursive: true });
  for (const [name, json] of Object.entries(randomTokenizerFiles(full.vocabSize))) {
    await writeFile(join(directory, name), json);
  }
  const [bos, eos] = [SPECIAL_TOKENS.bos, SPECIAL_TOKENS.endOfTurn].map((token) => tokenId(full, token));
  const generation = { bos_token_id: bos, eos_token_id: [eos], do_sample: false };
  await writeFile(join(directory, 'generation_config.json'), JSON.stringify(generation, undefined, 2));
  await writeFile(join(directory, 'config.json'), JSON.stringify(configJson(full, bos, eos), undefined, 2));
  await writeWeights(join(directory, 'model.safetensors'), full);
}

function tokenId(shape: RandomShape, token: string): number {
  const { length } = Object.keys(SPECIAL_TOKENS);
  return shape.vocabSize - length + Object.values<string>(SPECIAL_TOKENS).indexOf(token);
}

function configJson(shape: RandomShape, bos: number | undefined, eos: number | undefined): object {
  return {
    architectures: [ARCHITECTURES[shape.family]],
    model_type: shape.family,
    vocab_size: shape.vocabSize,
    hidden_size: shape.hiddenSize,
    intermediate_size: shape.intermediateSize,
    num_hidden_layers: shape.layers,
    num_attention_heads: shape.heads,
    num_key_value_heads: shape.kvHeads,
    head_dim: headDim(shape),
    hidden_act: 'silu',
    max_position_embeddings: shape.maxPositions,
    rms_norm_eps: 1e-6,
    rope_theta: shape.ropeTheta ?? 10_000,
    tie_word_embeddings: shape.tiedEmbeddings,
    ...(shape.family === 'mistral' ? { sliding_window: null } : {}),
    bos_token_id: bos,
    eos_token_id: eos,
    torch_dtype: shape.dtype === 'F32' ? 'float32' : 'bfloat16',
  };
}

function headDim(shape: RandomShape): number {
  return shape.headDim ?? shape.hiddenSize / shape.heads;
}

function randomTensors(shape: RandomShape): RandomTensor[] {
  const { hiddenSize, intermediateSize, vocabSize, heads, kvHeads } = shape;
  const dim = headDim(shape);
  const tensors: RandomTensor[] = [];
  const norm = (name: string, size: number) => tensors.push({ name, shape: [size], deviation: 0.1, mean: 1 });
  const linear = (name: string, outputs: number, inputs: number, bias = false) => {
    tensors.push({ name: `${name}.weight`, shape: [outputs, inputs], deviation: inputs ** -0.5, mean: 0 });
    if (bias) tensors.push({ name: `${name}.bias`, shape: [outputs], deviation: 0.2, mean: 0 });
  };
  tensors.push({ name: 'model.embed_tokens.weight', shape: [vocabSize, hiddenSize], deviation: 0.05, mean: 0 });
  for (let layer = 0; layer < shape.layers; layer++) {
    const at = `model.layers.${layer}`;
    const bias = shape.family === 'qwen2';
    norm(`${at}.input_layernorm.weight`, hiddenSize);
    linear(`${at}.self_attn.q_proj`, heads * dim, hiddenSize, bias);
    linear(`${at}.self_attn.k_proj`, kvHeads * dim, hiddenSize, bias);
    linear(`${at}.self_attn.v_proj`, kvHeads * dim, hiddenSize, bias);
    linear(`${at}.self_attn.o_proj`, hiddenSize, heads * dim);
    if (shape.family === 'qwen3') {
      norm(`${at}.self_attn.q_norm.weight`, dim);
      norm(`${at}.self_attn.k_norm.weight`, dim);
    }
    norm(`${at}.post_attention_layernorm.weight`, hiddenSize);
    linear(`${at}.mlp.gate_proj`, intermediateSize, hiddenSize);
    linear(`${at}.mlp.up_proj`, intermediateSize, hiddenSize);
    linear(`${at}.mlp.down_proj`, hiddenSize, intermediateSize);
  }
  norm('model.norm.weight', hiddenSize);
  if (!shape.tiedEmbeddings) linear('lm_head', vocabSize, hiddenSize);
  return tensors;
}

async function writeWeights(path: string, shape: RandomShape): Promise<void> {
  const tensors = randomTensors(shape);
  const width = shape.dtype === 'F32' ? 4 : 2;
  const header: Record<string, unknown> = { __metadata__: { format: 'pt' } };
  let offset = 0;
  for (const { name, shape: dims } of tensors) {
    const bytes = dims.reduce((product, size) => product * size, width);
    header[name] = { dtype: shape.dtype, shape: dims, data_offsets: [offset, offset + bytes] };
    offset += bytes;
  }
  const json = Buffer.from(JSON.stringify(header));
  // The header is padded with spaces so that the data starts at a multiple of 8.
  const padded = Buffer.concat([json, Buffer.alloc((8 - (json.byteLength % 8)) % 8, ' ')]);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(padded.byteLength));
  const draft = `${path}.${process.pid}`;
  const file = await open(draft, 'w');
  try {
    await file.writeFile(Buffer.concat([length, padded]));
    for (const tensor of tensors) await writeTensor(file, tensor, shape);
  } finally {
    await file.close();
  }
  await rename(draft, path);
}

async function writeTensor(file: FileHandle, tensor: RandomTensor, shape: RandomShape): Promise<void> {
  const elements = tensor.shape.reduce((product, size) => product * size, 1);
  const draw = gaussianSource(`${tensor.name} ${shape.seed ?? 1}`);
  for (let at = 0; at < elements; at += SLAB_ELEMENTS) {
    const values = new Float32Array(Math.min(SLAB_ELEMENTS, elements - at));
    draw(values, tensor.mean, tensor.deviation);
    if (shape.dtype === 'F32') await file.writeFile(new Uint8Array(values.buffer));
    else {
      const narrow = new Uint16Array(values.length);
      narrowToBfloat16(values, narrow);
      await file.writeFile(new Uint8Array(narrow.buffer));
    }
  }
}

/** Nearly normal numbers: the sum of a random word's four bytes, from a xorshift generator (Marsaglia 2003). */
function gaussianSource(seed: string): (target: Float32Array, mean: number, deviation: number) => void {
  let state = createHash('sha256').update(seed).digest().readUInt32LE(0) || 1;
  // A byte has variance (256^2 - 1) / 12; four independent ones have four times that.
  const unit = Math.sqrt((4 * (256 ** 2 - 1)) / 12);
  return (target, mean, deviation) => {
    const scale = deviation / unit;
    const shift = mean - 2 * 255 * scale;
    let word = state;
    for (let i = 0; i < target.length; i++) {
      word ^= word << 13;
      word ^= word >>> 17;
      word ^= word << 5;
      target[i] = ((word & 255) + ((word >>> 8) & 255) + ((word >>> 16) & 255) + (word >>> 24)) * scale + shift;
    }
    state = word;
  };
}
