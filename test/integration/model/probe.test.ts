/** The probe against full prefill: its values are those of the second layer in context, and deviations are sums over them. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type GoldenPlan, readGolden, StepModel } from '../../../bench/step-model.js';
import { type ProbeLayout, PromptProbe } from '../../../src/engine/repair/prompt-probe.js';
import { ContextProbe } from '../../../src/engine/worker/context-probe.js';
import { KvPool } from '../../../src/kernels/kv-pool.js';
import { loadAddon } from '../../../src/kernels/load-addon.js';
import type { KvDtype } from '../../../src/kernels/native-addon.js';
import type { Segment } from '../../../src/kernels/step-metadata.js';
import type { WeightFormat } from '../../../src/model/imported-model.js';

const CHECKPOINTS = join(import.meta.dirname, '../../fixtures/checkpoints');
const PAGE_TOKENS = 16;

describe.each<[string, WeightFormat, KvDtype, number]>([
  ['qwen3-norm', 'fp32', 'float32', 1e-5],
  ['llama-linear-sharded', 'fp32', 'float32', 1e-5],
  ['qwen2-bias', 'int8', 'float16', 1e-2],
  ['mistral-window', 'fp32', 'bfloat16', 2e-2],
  ['qwen3-upper-window', 'fp32', 'int8', 3e-2],
])('%s, %s weights, %s keys and values', (name, weights, dtype, tolerance) => {
  const checkpoint = join(CHECKPOINTS, name);
  let model: StepModel;
  let plan: GoldenPlan;
  let probePool: KvPool;
  let contextProbe: ContextProbe;
  let sinks: Segment;
  let blocks: { tokenIds: Int32Array; pages: Int32Array }[];
  /** Squared differences of second-layer values in context and alone, by block and page, from the pages' bytes. */
  let expected: number[][];

  beforeAll(async () => {
    model = await StepModel.open(checkpoint, dtype, weights);
    ({ plan } = await readGolden(checkpoint));
    const { kvHeads, headDim } = model.model.config;
    const shape = { pages: 9, pageTokens: PAGE_TOKENS, layers: 1, kvHeads, headDim, dtype };
    probePool = new KvPool(loadAddon(), shape);
    contextProbe = new ContextProbe(model.model, 1, loadAddon(), model.pool.id);
    const front = await model.prefill(plan.sinks, 0, [], 1000);
    sinks = { pages: front.pages, length: plan.sinks.length, delta: 0 };
    blocks = [];
    for (const tokens of plan.blocks) {
      const { pages } = await model.prefill(tokens, sinks.length, [sinks], 1000);
      blocks.push({ tokenIds: Int32Array.from(tokens), pages });
    }
    const prompt = [...plan.sinks, ...plan.blocks.flat()];
    const whole = await model.prefill(prompt, 0, [], 1000);
    const inContext = await secondLayerValues(whole.pages, prompt.length);
    expected = [];
    let start = plan.sinks.length;
    for (const [index, { tokenIds, pages }] of blocks.entries()) {
      const alone = await secondLayerValues(pages, tokenIds.length);
      const sums = new Array<number>(pages.length).fill(0);
      for (const [token, row] of alone.entries()) {
        const difference = row.reduce(
          (sum, value, d) => sum + (value - (inContext[start + token]?.[d] as number)) ** 2,
          0,
        );
        if (index > 0)
          sums[Math.floor(token / PAGE_TOKENS)] = (sums[Math.floor(token / PAGE_TOKENS)] as number) + difference;
      }
      expected.push(sums);
      start += tokenIds.length;
    }
  });
  afterAll(async () => {
    await contextProbe.release();
    probePool.destroy();
    await model.close();
  });

  /** [token][kvHeads * headDim] as float64, read from the portable payload. */
  async function secondLayerValues(pages: Int32Array, tokens: number): Promise<number[][]> {
    const { layers, kvHeads, headDim } = model.pool.shape;
    const payload = await model.pool.readPages(pages, tokens);
    const read = reader(payload, dtype, layers * 2 * kvHeads * tokens, headDim);
    return Array.from({ length: tokens }, (_, token) =>
      Array.from({ length: kvHeads }, (_, head) => read((3 * kvHeads + head) * tokens + token)).flat(),
    );
  }

  test.each([1000, 7, 1])('finds what full prefill finds, %i tokens at a time', async (chunk) => {
    const layout: ProbeLayout = { poolId: probePool.id, pages: 8, pageTokens: PAGE_TOKENS, rowMultiple: 4 };
    const probe = new PromptProbe(Int32Array.from(plan.sinks), blocks, PAGE_TOKENS);
    while (probe.pending > 0) {
      const rows = Math.min(chunk, probe.pending);
      probe.take(rows, await contextProbe.run(probe.step(rows, layout)));
    }
    const largest = Math.max(...expected.flat());
    expect(largest).toBeGreaterThan(0.1);
    for (const [block, sums] of probe.deviations.entries()) {
      for (const [page, sum] of sums.entries()) {
        expect(Math.abs(sum - (expected[block]?.[page] as number)) / largest).toBeLessThan(tolerance);
      }
    }
  });
});

/** Reads row `row` of a payload as numbers; int8 rows times their scale. */
function reader(payload: Uint8Array, dtype: KvDtype, rows: number, dim: number): (row: number) => number[] {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  const element = (row: number, d: number): number => {
    const index = row * dim + d;
    if (dtype === 'float32') return view.getFloat32(4 * index, true);
    if (dtype === 'int8') return view.getInt8(index) * view.getFloat32(rows * dim + 4 * row, true);
    const bits = view.getUint16(2 * index, true);
    if (dtype === 'bfloat16') return new Float32Array(Uint32Array.of(bits << 16).buffer)[0] as number;
    const magnitude = bits & 0x7fff;
    const exponent = magnitude >> 10;
    const fraction = magnitude & 0x3ff;
    const value = exponent === 0 ? fraction * 2 ** -24 : (1 + fraction / 1024) * 2 ** (exponent - 15);
    return bits & 0x8000 ? -value : value;
  };
  return (row) => Array.from({ length: dim }, (_, d) => element(row, d));
}
