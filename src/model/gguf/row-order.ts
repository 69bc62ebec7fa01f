/**
 * Puts the rows of a llama query or key projection back into the order of `transformers`. llama.cpp rotates neighbouring
 * dimensions (0 with 1, 2 with 3), `transformers` those half a head apart (0 with D/2). So llama.cpp's converter stores
 * row r of a head's first half at 2r and of its second half at 2r+1.
 * Source: LlamaModel.permute in llama.cpp's convert_hf_to_gguf.py:
 * `weights.reshape(heads, 2, D / 2, inputs).swapaxes(1, 2)`. This file undoes that swap.
 */

/**
 * @param rows whole heads, each `headDim` rows of `rowBytes` bytes; reordered in place
 * @param headDim even
 */
export function unpairRows(rows: Uint8Array, headDim: number, rowBytes: number): void {
  const headBytes = headDim * rowBytes;
  const half = headDim / 2;
  const head = new Uint8Array(headBytes);
  for (let start = 0; start < rows.byteLength; start += headBytes) {
    head.set(rows.subarray(start, start + headBytes));
    for (let row = 0; row < headDim; row++) {
      const from = (row < half ? 2 * row : 2 * (row - half) + 1) * rowBytes;
      rows.set(head.subarray(from, from + rowBytes), start + row * rowBytes);
    }
  }
}
