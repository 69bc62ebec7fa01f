/**
 * Reads a decoder's vectors (norm weights and biases) as float32. They are small and go into the graph file itself.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { readExactly } from './checkpoint-tensors.js';
import type { DecoderEntries } from './decoder-weights.js';
import { widen } from './float-conversion.js';
import { decodeBlocks } from './gguf/block-formats.js';
import { isFloat, type TensorEntry } from './stored-dtype.js';

/** @returns values by entry */
export async function readVectors(entries: DecoderEntries): Promise<ReadonlyMap<TensorEntry, Float32Array>> {
  const vectors = new Map<TensorEntry, Float32Array>();
  const files = new Map<string, FileHandle>();
  try {
    for (const entry of vectorEntries(entries)) {
      let handle = files.get(entry.file);
      if (handle === undefined) {
        handle = await open(entry.file, 'r');
        files.set(entry.file, handle);
      }
      const values = new Float32Array(entry.shape[0] as number);
      const bytes = await readExactly(handle, entry.file, entry.offset, entry.bytes);
      if (isFloat(entry.dtype)) widen(entry.dtype, bytes, values);
      else decodeBlocks(entry.dtype, bytes, values);
      vectors.set(entry, values);
    }
  } finally {
    for (const handle of files.values()) await handle.close();
  }
  return vectors;
}

function vectorEntries({ layers, finalNorm }: DecoderEntries): TensorEntry[] {
  const found = [finalNorm];
  for (const layer of layers) {
    const { query, key, value, queryNorm, keyNorm } = layer;
    found.push(layer.inputNorm, layer.postAttentionNorm);
    for (const entry of [queryNorm, keyNorm, query.bias, key.bias, value.bias]) if (entry) found.push(entry);
  }
  return found;
}
