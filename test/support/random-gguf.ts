/** Tiny llama models with random weights as GGUF files, in any element types. */
import { GGUF_BLOCKS, type GgufTensorType } from '../../src/gguf/gguf-types.js';
import { ggufFile, type Typed, tensorBytes, type WrittenTensor } from './gguf-writer.js';

export const HIDDEN = 256;
export const FEED_FORWARD = 512;
export const HEADS = 4;
export const VOCABULARY = 96;

/** Places of float16 scales in a block, and how large they may be: weights stay near 0.1. */
const SCALES: Partial<Record<GgufTensorType, readonly (readonly [number, number])[]>> = {
  Q4_0: [[0, 0.02]],
  Q4_1: [
    [0, 0.02],
    [2, -0.15],
  ],
  Q5_0: [[0, 0.01]],
  Q5_1: [
    [0, 0.01],
    [2, -0.15],
  ],
  Q8_0: [[0, 0.001]],
  Q4_K: [
    [0, 0.0005],
    [2, 0.004],
  ],
  Q5_K: [
    [0, 0.00025],
    [2, 0.004],
  ],
  Q6_K: [[208, 0.00005]],
};

/** Numbers from 0 to 1 by a linear congruence: the same in each run. */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

export function randomTensor(
  name: string,
  type: GgufTensorType,
  shape: readonly number[],
  random: () => number,
): WrittenTensor {
  const data = new Uint8Array(tensorBytes({ type, shape }));
  const view = new DataView(data.buffer);
  if (type === 'F32') {
    for (let at = 0; at < data.length; at += 4) view.setFloat32(at, (random() - 0.5) * 0.2, true);
    return { name, type, shape, data };
  }
  for (let i = 0; i < data.length; i++) data[i] = random() * 256;
  const block = GGUF_BLOCKS[type].bytes;
  for (const [place, size] of SCALES[type] ?? []) {
    for (let at = place; at < data.length; at += block) view.setUint16(at, float16Bits(size * (0.5 + random())), true);
  }
  return { name, type, shape, data };
}

/** A normal float16 near `value`. */
function float16Bits(value: number): number {
  const bits = new Uint32Array(new Float32Array([value]).buffer)[0] as number;
  const exponent = Math.max(1, ((bits >>> 23) & 0xff) - 112);
  return ((bits >>> 16) & 0x8000) | (exponent << 10) | ((bits >>> 13) & 0x3ff);
}

export interface RandomGguf {
  /** Element type of a weight by its name, without `blk.0.` and `.weight`. */
  typeOf: (name: string) => GgufTensorType;
  metadata?: Record<string, Typed>;
  seed?: number;
}

/** Metadata of a llama model of one layer. */
export function llamaMetadata(more: Record<string, Typed> = {}): Record<string, Typed> {
  return {
    'general.architecture': 'llama',
    'llama.block_count': { u32: 1 },
    'llama.context_length': { u32: 256 },
    'llama.embedding_length': { u32: HIDDEN },
    'llama.feed_forward_length': { u32: FEED_FORWARD },
    'llama.attention.head_count': { u32: HEADS },
    'llama.attention.head_count_kv': { u32: HEADS },
    'llama.attention.layer_norm_rms_epsilon': { f32: 1e-5 },
    'tokenizer.ggml.model': 'gpt2',
    'tokenizer.ggml.pre': 'smollm',
    'tokenizer.ggml.tokens': {
      strings: Array.from({ length: VOCABULARY }, (_, id) => String.fromCharCode(0x100 + id)),
    },
    'tokenizer.ggml.merges': { strings: [] },
    ...more,
  };
}

/** A llama model of one layer. The head is tied unless `typeOf('output')` is asked for by metadata `output`. */
export function randomGguf({ typeOf, metadata, seed = 1 }: RandomGguf): Buffer {
  const random = randomNumbers(seed);
  const norm = (name: string): WrittenTensor => {
    const tensor = randomTensor(name, 'F32', [HIDDEN], random);
    const values = new Float32Array((tensor.data as Uint8Array).buffer);
    for (let i = 0; i < values.length; i++) values[i] = 1 + (values[i] as number);
    return tensor;
  };
  const linear = (name: string, outputs: number, inputs: number) =>
    randomTensor(`blk.0.${name}.weight`, typeOf(name), [outputs, inputs], random);
  const tensors = [
    randomTensor('token_embd.weight', typeOf('token_embd'), [VOCABULARY, HIDDEN], random),
    norm('blk.0.attn_norm.weight'),
    norm('blk.0.ffn_norm.weight'),
    norm('output_norm.weight'),
    linear('attn_q', HIDDEN, HIDDEN),
    linear('attn_k', HIDDEN, HIDDEN),
    linear('attn_v', HIDDEN, HIDDEN),
    linear('attn_output', HIDDEN, HIDDEN),
    linear('ffn_gate', FEED_FORWARD, HIDDEN),
    linear('ffn_up', FEED_FORWARD, HIDDEN),
    linear('ffn_down', HIDDEN, FEED_FORWARD),
  ];
  return ggufFile({ metadata: llamaMetadata(metadata), tensors });
}
