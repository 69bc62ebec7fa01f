/**
 * Finds the tensors of a decoder-only transformer in a checkpoint and checks that each has the shape that the config
 * asks for. Knows the names that `transformers` gives them. An unknown tensor is refused: to skip one that matters
 * would give wrong answers in silence. `weight-plan.ts` deals with bytes and conversion.
 */
import { BlockstitchError } from '../errors.js';
import type { CheckpointTensors } from './checkpoint-tensors.js';
import type { ModelConfig } from './imported-model.js';
import type { TensorEntry } from './stored-dtype.js';

/** A linear layer: weight [outputs, inputs], bias [outputs]. */
export interface LinearEntries {
  weight: TensorEntry;
  bias?: TensorEntry;
}

export interface LayerEntries {
  /** RMS norm weights [hiddenSize]. */
  inputNorm: TensorEntry;
  postAttentionNorm: TensorEntry;
  query: LinearEntries;
  key: LinearEntries;
  value: LinearEntries;
  /** RMS norm weights [headDim], if the family has them. */
  queryNorm?: TensorEntry;
  keyNorm?: TensorEntry;
  output: LinearEntries;
  gate: LinearEntries;
  up: LinearEntries;
  down: LinearEntries;
}

export interface DecoderEntries {
  /** [vocabSize, hiddenSize] */
  embedding: TensorEntry;
  layers: readonly LayerEntries[];
  finalNorm: TensorEntry;
  /** [vocabSize, hiddenSize]; the embedding itself when tied. */
  head: TensorEntry;
}

const HEAD = 'lm_head.weight';
const UNTIED = ': if the embedding is the head too, set "tie_word_embeddings": true in config.json';

/** Buffers that older releases saved beside the weights. The config gives their values. */
const DERIVED = /\.rotary_emb\.inv_freq$/;

/**
 * @param directory for messages
 * @throws BlockstitchError `checkpoint_invalid`; it names the missing, misshapen or unknown tensor
 */
export function findDecoderWeights(directory: string, config: ModelConfig, tensors: CheckpointTensors): DecoderEntries {
  const unused = new Set(tensors.entries.keys());
  const shown = tensors.storedName ?? ((name: string) => name);
  const take = (name: string, ...shape: number[]): TensorEntry => {
    const entry = tensors.entries.get(name);
    if (entry === undefined)
      throw invalid(directory, `the tensor ${shown(name)} is missing${name === HEAD ? UNTIED : ''}`);
    if (entry.shape.length !== shape.length || entry.shape.some((size, axis) => size !== shape[axis])) {
      throw invalid(
        entry.file,
        `the tensor ${shown(name)} is [${entry.shape.join(', ')}], the config asks for [${shape.join(', ')}]`,
      );
    }
    unused.delete(name);
    return entry;
  };
  const linear = (name: string, outputs: number, inputs: number, bias = false): LinearEntries => ({
    weight: take(`${name}.weight`, outputs, inputs),
    ...(bias ? { bias: take(`${name}.bias`, outputs) } : {}),
  });
  const { hiddenSize, intermediateSize, heads, kvHeads, headDim, vocabSize } = config;
  const layers = Array.from({ length: config.layers }, (_, index): LayerEntries => {
    const at = `model.layers.${index}`;
    const attention = `${at}.self_attn`;
    return {
      inputNorm: take(`${at}.input_layernorm.weight`, hiddenSize),
      postAttentionNorm: take(`${at}.post_attention_layernorm.weight`, hiddenSize),
      query: linear(`${attention}.q_proj`, heads * headDim, hiddenSize, config.qkvBias),
      key: linear(`${attention}.k_proj`, kvHeads * headDim, hiddenSize, config.qkvBias),
      value: linear(`${attention}.v_proj`, kvHeads * headDim, hiddenSize, config.qkvBias),
      ...(config.qkNorm
        ? {
            queryNorm: take(`${attention}.q_norm.weight`, headDim),
            keyNorm: take(`${attention}.k_norm.weight`, headDim),
          }
        : {}),
      output: linear(`${attention}.o_proj`, hiddenSize, heads * headDim),
      gate: linear(`${at}.mlp.gate_proj`, intermediateSize, hiddenSize),
      up: linear(`${at}.mlp.up_proj`, intermediateSize, hiddenSize),
      down: linear(`${at}.mlp.down_proj`, hiddenSize, intermediateSize),
    };
  });
  const embedding = take('model.embed_tokens.weight', vocabSize, hiddenSize);
  const finalNorm = take('model.norm.weight', hiddenSize);
  // Some tied checkpoints carry a copy of the embedding under the head's name (`tied-head.ts`).
  if (config.tiedEmbeddings) unused.delete(HEAD);
  const head = config.tiedEmbeddings ? embedding : take(HEAD, vocabSize, hiddenSize);
  const unknown = [...unused].filter((name) => !DERIVED.test(name)).sort();
  if (unknown.length > 0) {
    const more = unknown.length > 1 ? ` and ${unknown.length - 1} more` : '';
    throw invalid(
      directory,
      `the tensor ${shown(unknown[0] as string)}${more} has no place in a ${config.family} model`,
    );
  }
  return { embedding, layers, finalNorm, head };
}

function invalid(path: string, reason: string): BlockstitchError {
  return new BlockstitchError('checkpoint_invalid', { path, reason });
}
