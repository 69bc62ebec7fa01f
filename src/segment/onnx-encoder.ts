/**
 * A sentence encoder from an ONNX export of the usual kind: inputs input_ids, attention_mask and maybe token_type_ids,
 * output [texts, tokens, dimensions] (mean-pooled here) or [texts, dimensions]; tokenizer.json beside it.
 * Load it in a text thread: onnxruntime-node runs on the thread that calls it.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Tokenizer } from '@huggingface/tokenizers';
import type { InferenceSession, Tensor } from 'onnxruntime-node';
import { BlockstitchError } from '../errors.js';
import { loadRuntime } from '../onnx-runtime.js';
import { type Pace, unhurried } from '../text/pace.js';
import { normalized, type SentenceEncoder } from './sentence-encoder.js';

const MOST_TOKENS = 256;
const BATCH = 32;

/**
 * @param directory with model.onnx (or onnx/model.onnx), tokenizer.json and tokenizer_config.json
 * @throws BlockstitchError `segmenter_unusable` when a file is missing or not such an export
 */
export async function openOnnxEncoder(directory: string): Promise<SentenceEncoder> {
  const model = ['model.onnx', 'onnx/model.onnx'].map((name) => join(directory, name)).find(existsSync);
  const tokenizerPath = join(directory, 'tokenizer.json');
  if (!model || !existsSync(tokenizerPath)) throw unusable(directory, 'model.onnx or tokenizer.json is missing');
  try {
    const tokenizer = new Tokenizer(readJson(tokenizerPath), readJson(join(directory, 'tokenizer_config.json')));
    const runtime = await loadRuntime();
    const session = await runtime.InferenceSession.create(model, { intraOpNumThreads: 1, logSeverityLevel: 3 });
    return new OnnxEncoder(tokenizer, session, runtime.Tensor);
  } catch (cause) {
    throw unusable(directory, cause instanceof Error ? cause.message : String(cause));
  }
}

class OnnxEncoder implements SentenceEncoder {
  readonly #tokenizer: Tokenizer;
  readonly #session: InferenceSession;
  readonly #tensor: typeof Tensor;

  constructor(tokenizer: Tokenizer, session: InferenceSession, tensor: typeof Tensor) {
    this.#tokenizer = tokenizer;
    this.#session = session;
    this.#tensor = tensor;
  }

  async encode(texts: readonly string[], pace: Pace = unhurried): Promise<Float32Array[]> {
    const ids = texts.map((text) => {
      pace(1);
      return this.#tokenizer.encode(text).ids.slice(0, MOST_TOKENS);
    });
    const order = ids.map((_, index) => index).sort((a, b) => (ids[a]?.length ?? 0) - (ids[b]?.length ?? 0));
    const vectors: Float32Array[] = new Array(texts.length);
    for (let at = 0; at < order.length; at += BATCH) {
      pace(BATCH);
      const batch = order.slice(at, at + BATCH);
      const encoded = await this.#run(batch.map((index) => ids[index] ?? []));
      for (const [row, index] of batch.entries()) vectors[index] = encoded[row] as Float32Array;
    }
    return vectors;
  }

  async #run(batch: readonly (readonly number[])[]): Promise<Float32Array[]> {
    const width = Math.max(1, ...batch.map((ids) => ids.length));
    const shape = [batch.length, width];
    const ids = new BigInt64Array(batch.length * width);
    const mask = new BigInt64Array(batch.length * width);
    for (const [row, tokens] of batch.entries()) {
      for (const [column, id] of tokens.entries()) {
        ids[row * width + column] = BigInt(id);
        mask[row * width + column] = 1n;
      }
    }
    const all: Record<string, BigInt64Array> = {
      input_ids: ids,
      attention_mask: mask,
      token_type_ids: new BigInt64Array(ids.length),
    };
    const feeds = Object.fromEntries(
      this.#session.inputNames.map((name) => [name, new this.#tensor('int64', all[name] ?? ids, shape)]),
    );
    const outputs = await this.#session.run(feeds);
    const output = outputs[this.#session.outputNames[0] as string] as Tensor;
    const data = output.data as Float32Array;
    const dimensions = output.dims.at(-1) as number;
    return batch.map((tokens, row) => {
      if (output.dims.length === 2) return normalized(data.slice(row * dimensions, (row + 1) * dimensions));
      const vector = new Float32Array(dimensions);
      for (let token = 0; token < tokens.length; token += 1) {
        const from = (row * width + token) * dimensions;
        for (let at = 0; at < dimensions; at += 1) vector[at] = (vector[at] as number) + (data[from + at] as number);
      }
      return normalized(vector);
    });
  }
}

function readJson(path: string): object {
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as object) : {};
}

function unusable(directory: string, reason: string): BlockstitchError {
  return new BlockstitchError('segmenter_unusable', { what: 'sentence encoder', path: directory, reason });
}
