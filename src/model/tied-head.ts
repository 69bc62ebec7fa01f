/**
 * Whether the output head is the embedding. The config says so, but a checkpoint that holds both under their own names
 * with other values is not tied: `transformers` (5.x, tie_weights) takes its head then, and so does this server.
 */
import { open } from 'node:fs/promises';
import { type CheckpointTensors, readExactly } from './checkpoint-tensors.js';
import type { TensorEntry } from './stored-dtype.js';

const SLAB_BYTES = 8 * 1024 * 1024;

/**
 * @param tied tie_word_embeddings of config.json
 * @returns false also if the checkpoint's head differs from its embedding in type, shape or values
 */
export async function isHeadTied(tied: boolean, { entries }: CheckpointTensors): Promise<boolean> {
  const head = entries.get('lm_head.weight');
  const embedding = entries.get('model.embed_tokens.weight');
  if (!tied || head === undefined || embedding === undefined) return tied;
  if (head.file === embedding.file && head.offset === embedding.offset) return true;
  if (head.dtype !== embedding.dtype || head.bytes !== embedding.bytes) return false;
  return haveEqualBytes(head, embedding);
}

async function haveEqualBytes(first: TensorEntry, second: TensorEntry): Promise<boolean> {
  const left = await open(first.file, 'r');
  const right = await open(second.file, 'r');
  try {
    for (let at = 0; at < first.bytes; at += SLAB_BYTES) {
      const length = Math.min(SLAB_BYTES, first.bytes - at);
      const own = await readExactly(left, first.file, first.offset + at, length);
      const other = await readExactly(right, second.file, second.offset + at, length);
      if (Buffer.compare(own, other) !== 0) return false;
    }
    return true;
  } finally {
    await left.close();
    await right.close();
  }
}
