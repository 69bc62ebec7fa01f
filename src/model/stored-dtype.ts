/**
 * The forms in which a checkpoint stores weights, and where a stored tensor lies. safetensors files have floats; GGUF
 * files also have blocks of small integers that share a scale (`gguf/block-formats.ts` decodes them).
 */
import { GGUF_BLOCKS, type GgufTensorType } from '../gguf/gguf-types.js';
import type { WeightPatch } from './adapter/weight-patch.js';

export type FloatDtype = 'F32' | 'F16' | 'BF16';
export type BlockDtype = Exclude<GgufTensorType, FloatDtype>;
export type StoredDtype = FloatDtype | BlockDtype;

/** Where one tensor lies. */
export interface TensorEntry {
  name: string;
  dtype: StoredDtype;
  /** Sizes, outermost first; each >= 1. */
  shape: readonly number[];
  /** Absolute path of the file. */
  file: string;
  /** Offset of the first byte from the start of the file. */
  offset: number;
  bytes: number;
  /** Rows lie in the order of pairs within each head of so many rows (`gguf/row-order.ts`). Absent: in plain order. */
  pairedHead?: number;
  /** What an adapter changes in it. `shape` is that of the result, `bytes` are the stored ones. */
  patch?: WeightPatch;
}

export function isFloat(dtype: StoredDtype): dtype is FloatDtype {
  return dtype === 'F32' || dtype === 'F16' || dtype === 'BF16';
}

/** Bytes of so many weights of a row; `weights` is a multiple of the form's block. */
export function storedBytes(dtype: StoredDtype, weights: number): number {
  const block = GGUF_BLOCKS[dtype];
  return (weights / block.weights) * block.bytes;
}

/** Weights of so many bytes. */
export function storedWeights(dtype: StoredDtype, bytes: number): number {
  const block = GGUF_BLOCKS[dtype];
  return (bytes / block.bytes) * block.weights;
}
