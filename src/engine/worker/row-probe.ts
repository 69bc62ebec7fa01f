/**
 * Finds the multiple to which the rows of a step are padded, so that no row's result depends on the other rows.
 * Matrix kernels choose their path by row count. On AVX2, ONNX Runtime's int4 product rounds a single row otherwise
 * than a row of a pair; its int8 and float32 products do not. So the worker measures its own model when it starts.
 * Knows steps and outputs; docs/decisions/020-batch-invariant-steps.md has the reasons.
 */
import { encodeStepMetadata, type StepSequence } from '../../kernels/step-metadata.js';
import type { StepRunner } from './engine-core.js';
import type { ModelOutput } from './step-batch.js';

/** Best tokens compared per row. */
const COMPARED_TOKENS = 64;
/** Row counts tried, in multiples of the candidate. */
const TRIED_MULTIPLES = [1, 2, 3, 4, 5, 8];

/** Multiples tried, in this order. */
export const ROW_MULTIPLES = [1, 2, 4, 8, 16] as const;

/**
 * Runs steps of different sizes. Each row of each step is the same token at the same position, so all rows must agree
 * to the last bit.
 *
 * @param poolId  a pool; its first pages are not in use
 * @param pages   pages that may be written, >= 1
 * @param tokenId any token of the vocabulary
 * @returns the smallest multiple at which all rows agree; undefined if there is none
 */
export async function measureRowMultiple(
  runner: StepRunner,
  poolId: number,
  pages: number,
  tokenId: number,
): Promise<number | undefined> {
  let expected: Uint32Array | undefined;
  for (const multiple of ROW_MULTIPLES) {
    let agrees = true;
    expected = undefined;
    for (const rows of TRIED_MULTIPLES.map((times) => times * multiple).filter((count) => count <= pages)) {
      const output = await runner.run(probeStep(poolId, rows, tokenId));
      for (let row = 0; row < rows && agrees; row++) {
        const bits = rowBits(output, row);
        expected ??= bits;
        agrees = bits.every((word, index) => word === expected?.[index]);
      }
      if (!agrees) break;
    }
    if (agrees && expected !== undefined) return multiple;
  }
  return undefined;
}

function probeStep(poolId: number, rows: number, tokenId: number) {
  const sequences: StepSequence[] = Array.from({ length: rows }, (_, page) => ({
    rows: 1,
    segments: [],
    tail: { pages: Int32Array.of(page), position: 0, past: 0 },
  }));
  return {
    inputIds: new Int32Array(rows).fill(tokenId),
    metadata: encodeStepMetadata(poolId, sequences),
    logitRows: Int32Array.from({ length: rows }, (_, row) => row),
    topK: COMPARED_TOKENS,
    fullRows: false,
  };
}

/** The bits of a row's outputs. */
function rowBits(output: ModelOutput, row: number): Uint32Array {
  const values = output.topValues.slice(row * output.topK, (row + 1) * output.topK);
  const ids = output.topIds.subarray(row * output.topK, (row + 1) * output.topK);
  const sum = output.logSumExp.slice(row, row + 1);
  return Uint32Array.of(...new Uint32Array(values.buffer), ...ids, ...new Uint32Array(sum.buffer));
}
