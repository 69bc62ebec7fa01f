/**
 * Tokenizes long texts in a worker thread, so that the HTTP thread stays free. Each thread keeps the tokenizers that
 * it has read; other rooms' workers in the same pool share them through `tokenizerOf`.
 */
import { type EncodeOptions, Tokenizer } from './tokenizer.js';
import { readTokenizerDefinition } from './tokenizer-file.js';

const tokenizers = new Map<string, Promise<Tokenizer>>();

export function tokenizerOf(checkpointDir: string): Promise<Tokenizer> {
  let tokenizer = tokenizers.get(checkpointDir);
  if (!tokenizer) {
    tokenizer = readTokenizerDefinition(checkpointDir).then((definition) => new Tokenizer(definition));
    tokenizers.set(checkpointDir, tokenizer);
    tokenizer.catch(() => tokenizers.delete(checkpointDir));
  }
  return tokenizer;
}

export interface EncodeTask {
  checkpointDir: string;
  texts: readonly string[];
  options: EncodeOptions;
}

/** @returns the ids of all texts one after another, and how many each text has */
export interface EncodeResult {
  ids: Int32Array;
  lengths: Int32Array;
}

export async function encodeAll(task: EncodeTask): Promise<EncodeResult> {
  const tokenizer = await tokenizerOf(task.checkpointDir);
  const encoded = task.texts.map((text) => tokenizer.encode(text, task.options));
  const lengths = Int32Array.from(encoded, (ids) => ids.length);
  const ids = new Int32Array(lengths.reduce((sum, length) => sum + length, 0));
  let offset = 0;
  for (const part of encoded) {
    ids.set(part, offset);
    offset += part.length;
  }
  return { ids, lengths };
}

export async function countAll(task: EncodeTask): Promise<Int32Array> {
  const tokenizer = await tokenizerOf(task.checkpointDir);
  return Int32Array.from(task.texts, (text) => tokenizer.encode(text, task.options).length);
}
