/**
 * Tokenizes long texts in a worker thread, so that the HTTP thread stays free. Each thread keeps the tokenizers that
 * it has read; workers of other rooms that run in the same pool share them through `tokenizerOf`.
 */
import { move, transferableSymbol, valueSymbol } from 'piscina';
import { type IdLists, joined } from './id-buffer.js';
import { paceUntil } from './pace.js';
import { readTokenizerDefinition } from './read-tokenizer.js';
import type { Stoppable } from './text-threads.js';
import { type EncodeOptions, Tokenizer } from './tokenizer.js';

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

export interface EncodeTask extends Stoppable {
  checkpointDir: string;
  texts: readonly string[];
  options: EncodeOptions;
}

export async function encodeAll(task: EncodeTask): Promise<IdLists> {
  const tokenizer = await tokenizerOf(task.checkpointDir);
  const options = { ...task.options, pace: paceUntil(task.stop) };
  return moved(joined(task.texts.map((text) => tokenizer.encode(text, options))));
}

export async function countAll(task: EncodeTask): Promise<Int32Array> {
  const tokenizer = await tokenizerOf(task.checkpointDir);
  const options = { ...task.options, pace: paceUntil(task.stop) };
  return Int32Array.from(task.texts, (text) => tokenizer.count(text, options));
}

/** Hands the arrays of a result over to the thread that asked, in place of copies. */
export function moved<Result extends object>(result: Result): Result {
  const buffers = Object.values(result).flatMap((value) => (ArrayBuffer.isView(value) ? [value.buffer] : []));
  return move({
    get [transferableSymbol]() {
      return buffers;
    },
    get [valueSymbol]() {
      return result;
    },
  }) as unknown as Result;
}
