/**
 * The result of an import, for all other rooms: an ONNX graph on disk and the facts about it.
 * Graph inputs:  input_ids int64 [T] · step_metadata int32 [M] · logit_rows int64 [L] · top_k int64 [1]
 * Graph outputs: top_values float32 [L,k] · top_ids int64 [L,k] · log_sum_exp float32 [L] · logits float32 [L,vocab]
 *                (fetch `logits` only if full rows are needed)
 */
import { basename } from 'node:path';

export type ModelFamily = 'llama' | 'mistral' | 'qwen2' | 'qwen3';

/**
 * The form of the linear layers' weights: float32; int8 with a scale for each output, for products of bytes (on a GPU in blocks
 * of 32); int4 in blocks of 32 (MatMulNBits); or `native`, as the checkpoint stores them: the integers of a GGUF file's blocks are taken over, floats become float32.
 */
export type WeightFormat = 'fp32' | 'int8' | 'int4' | 'native';

export interface ModelConfig {
  family: ModelFamily;
  vocabSize: number;
  hiddenSize: number;
  intermediateSize: number;
  layers: number;
  heads: number;
  kvHeads: number;
  headDim: number;
  rotaryDim: number;
  /** Positions that the checkpoint was made for (after RoPE scaling). */
  maxPositions: number;
  slidingWindow?: number;
  rmsNormEps: number;
  tiedEmbeddings: boolean;
  qkvBias: boolean;
  qkNorm: boolean;
  bosTokenId?: number;
  eosTokenIds: number[];
  /** The checkpoint's `block_attention` section, if it has one. */
  blockAttention?: {
    mode: 'block' | 'full';
    /** In front of every prompt. */
    sinkTokenIds: number[];
    /** At the edges of every block, if there are some: `block_start_token_ids` and `block_end_token_ids`. */
    edges?: { start: number[]; end: number[] };
  };
}

export interface ImportedModel {
  /** Name of the served model: the base name of the directory or GGUF file, unless another is given. */
  name: string;
  /** The Hugging Face directory or the GGUF file: the tokenizer is read from here. */
  checkpointDir: string;
  /** The adapter that is merged into it, if one is. */
  adapterDir?: string;
  /** Absolute path of the ONNX graph in the import cache. */
  graphPath: string;
  /** Absolute path of the probe's graph (`probe-graph.ts`); absent for models of one layer. */
  probePath?: string;
  weights: WeightFormat;
  /** Types in which the checkpoint stores its linear layers, each once: F32, BF16, Q4_1 and so on. */
  storedTypes: readonly string[];
  /** Hex SHA-256 over config, weights and weight format: equal fingerprints give equal KV. */
  fingerprint: string;
  config: ModelConfig;
  /** Fields of generation_config.json that the server takes as defaults. */
  generation: { temperature?: number; topP?: number; topK?: number; repetitionPenalty?: number };
}

/** Name of a checkpoint: the base name of its directory or GGUF file. */
export function checkpointName(path: string): string {
  return basename(path).replace(/\.gguf$/i, '');
}

/**
 * What to say of weights that lose twice: a GGUF file's blocks are decoded and quantized anew. Undefined if they do not.
 */
export function requantizationNotice({ weights, storedTypes }: Pick<ImportedModel, 'weights' | 'storedTypes'>) {
  const blocks = storedTypes.filter((type) => type.startsWith('Q'));
  if (blocks.length === 0 || (weights !== 'int8' && weights !== 'int4')) return undefined;
  return (
    `the ${blocks.join(', ')} weights of the file are quantized again to ${weights}, a second loss; ` +
    '--weights native takes them as they are, without one'
  );
}
