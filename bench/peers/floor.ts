/**
 * The least time that this machine needs for a question over known documents, from ceilings measured in the same run:
 * bytes over the read bandwidth, operations over the best products. The larger of the two counts, for the linear layers and
 * for attention. A multiply-add is two operations.
 */
import { importModel } from '../../src/model/import-model.js';
import type { ModelConfig } from '../../src/model/imported-model.js';
import { measureAttention } from '../kernel.js';
import { productCeilings } from '../profile.js';
import { IMPORT_CACHE } from '../random-model.js';
import { median } from '../report.js';

export interface Ceilings {
  readBytesPerSecond: number;
  /** Products of bytes: the linear layers of int8 weights. */
  byteOperationsPerSecond: number;
  /** Products of the attention kernel, float32 or pairs of bfloat16, as this CPU has them. */
  attentionOperationsPerSecond: number;
}

export interface Floor {
  linearMs: number;
  attentionMs: number;
  totalMs: number;
}

const BYTES_OF_WEIGHT = 1;
const BYTES_OF_KV_VALUE = 2;
/** Keys of one token in one layer of the native bench: 2 heads of 64. */
const LAYER_VALUES = 128;

/**
 * @param questionTokens rows that go through all layers; the head sees the last one only
 * @param knownTokens    tokens whose keys and values each row reads
 */
export function questionFloor(
  model: Pick<
    ModelConfig,
    'layers' | 'hiddenSize' | 'intermediateSize' | 'vocabSize' | 'heads' | 'kvHeads' | 'headDim'
  >,
  ceilings: Ceilings,
  questionTokens: number,
  knownTokens: number,
): Floor {
  const { layers, hiddenSize, intermediateSize, vocabSize, heads, kvHeads, headDim } = model;
  const perLayer = hiddenSize * headDim * (2 * heads + 2 * kvHeads) + 3 * hiddenSize * intermediateSize;
  const head = vocabSize * hiddenSize;
  const linearMs = milliseconds(
    BYTES_OF_WEIGHT * (layers * perLayer + head),
    2 * (questionTokens * layers * perLayer + head),
    ceilings.readBytesPerSecond,
    ceilings.byteOperationsPerSecond,
  );
  // Scores and the sum of values take one multiply-add each for each query head and dimension.
  const attentionMs = milliseconds(
    BYTES_OF_KV_VALUE * 2 * layers * knownTokens * kvHeads * headDim,
    2 * 2 * questionTokens * layers * knownTokens * heads * headDim,
    ceilings.readBytesPerSecond,
    ceilings.attentionOperationsPerSecond,
  );
  return { linearMs, attentionMs, totalMs: linearMs + attentionMs };
}

function milliseconds(bytes: number, operations: number, bytesPerSecond: number, operationsPerSecond: number): number {
  return 1000 * Math.max(bytes / bytesPerSecond, operations / operationsPerSecond);
}

/**
 * @param knownTokens reading is measured over as many bytes as the keys and values of these have
 * @returns the model's shape and this machine's ceilings with so many threads
 */
export async function measureCeilings(
  checkpointDir: string,
  threads: number,
  knownTokens: number,
  quick: boolean,
): Promise<{ model: ModelConfig; ceilings: Ceilings }> {
  const rounds = quick ? 3 : 9;
  const model = await importModel({ checkpointDir, weights: 'int8', cacheDir: IMPORT_CACHE });
  const { layers, kvHeads, headDim } = model.config;
  const benchLayers = Math.ceil((layers * kvHeads * headDim) / LAYER_VALUES);
  const { readBytesPerSecond, operationsPerSecond } = measureAttention(knownTokens, benchLayers, rounds, threads);
  const products = await productCeilings(model, rounds, threads);
  return {
    model: model.config,
    ceilings: {
      readBytesPerSecond: Math.max(...Object.values(readBytesPerSecond).map((way) => median(way))),
      byteOperationsPerSecond: 1e9 * (products['bytes, 10^9 operations a second'] as number),
      attentionOperationsPerSecond: median(operationsPerSecond),
    },
  };
}
