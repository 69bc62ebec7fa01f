/**
 * Puts the blocks of a GGUF tensor into the layout of com.microsoft.MatMulNBits without loss: the same integers, and
 * scales widened from float16. MatMulNBits takes integers around a zero in the middle of their range and knows no
 * float offset. So a format with offsets gives its integers around their middle, and offset + scale * middle apart.
 * That sum is rounded to float32 once (2^-24 of it); everything else is exact.
 */
import type { BlockDtype } from '../stored-dtype.js';
import { decodeRuns, RUN_SHAPES } from './block-formats.js';

export interface PackedRuns {
  /** uint8: 4 bits (low nibble first) or 8 bits a weight */
  values: Uint8Array;
  /** float32, one a run */
  scales: Float32Array;
  /** float32, one a run; to be added to each weight of it */
  offsets: Float32Array;
}

/** @param bytes whole blocks */
export function packRuns(dtype: BlockDtype, bytes: Uint8Array): PackedRuns {
  const { bits, middle } = RUN_SHAPES[dtype];
  const { quants, scales, offsets } = decodeRuns(dtype, bytes);
  if (middle !== 0) {
    for (let run = 0; run < scales.length; run++) {
      offsets[run] = (offsets[run] as number) + (scales[run] as number) * middle;
    }
  }
  const zero = 2 ** (bits - 1) - middle;
  if (bits === 8) {
    const values = new Uint8Array(quants.length);
    for (let i = 0; i < quants.length; i++) values[i] = (quants[i] as number) + zero;
    return { values, scales, offsets };
  }
  const values = new Uint8Array(quants.length / 2);
  for (let i = 0; i < values.length; i++) {
    values[i] = ((quants[2 * i] as number) + zero) | (((quants[2 * i + 1] as number) + zero) << 4);
  }
  return { values, scales, offsets };
}
