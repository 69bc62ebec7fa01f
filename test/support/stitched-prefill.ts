/** Blocks prefilled apart and stitched, over a KV pool and through a store: for the model tests. */

import type { GoldenPlan, StepModel } from '../../bench/step-model.js';
import { BlockCache } from '../../src/cache/block-cache.js';
import { blockKey } from '../../src/cache/block-key.js';
import type { ByteStore } from '../../src/cache/byte-store.js';
import type { Segment } from '../../src/kernels/step-metadata.js';

export interface Stitched {
  segments: Segment[];
  position: number;
}

/** Segments of blocks that lie in `cached` pages, stitched in `order` behind the sinks. */
function stitch(sinks: Segment, cached: readonly { pages: Int32Array; length: number }[], order: readonly number[]) {
  const segments = [sinks];
  let position = sinks.length;
  for (const index of order) {
    const block = cached[index] as { pages: Int32Array; length: number };
    segments.push({ ...block, delta: position - sinks.length });
    position += block.length;
  }
  return { segments, position };
}

/**
 * As the engine does it with a store: every block is prefilled alone, read out of its pages and saved; its pages are
 * then overwritten (evicted), and the block comes back from the store into other pages. Nothing is kept in memory.
 */
export async function stitchedThrough(
  store: ByteStore,
  model: StepModel,
  plan: GoldenPlan,
  chunk: number,
): Promise<Stitched> {
  const { layers, kvHeads, headDim } = model.model.config;
  const { fingerprint } = model.model;
  const shape = { fingerprint, layers, kvHeads, headDim, dtype: 'float32' as const };
  const cache = new BlockCache({ shape, store, hostBytes: 0 });
  const sinkTokenIds = Int32Array.from(plan.sinks);
  const keys = plan.blocks.map((block) =>
    blockKey({ fingerprint, kvDtype: 'float32', sinkTokenIds, tokenIds: Int32Array.from(block) }),
  );
  const { pages } = await model.prefill(plan.sinks, 0, [], chunk);
  const sinks: Segment = { pages, length: plan.sinks.length, delta: 0 };
  for (const [index, block] of plan.blocks.entries()) {
    const prefilled = await model.prefill(block, sinks.length, [sinks], chunk);
    const payload = await model.pool.readPages(prefilled.pages, block.length);
    await cache.computed(keys[index] as string, async () => ({ tokens: block.length, payload }));
    await model.pool.writePages(prefilled.pages, block.length, new Uint8Array(payload.byteLength).fill(0x7f));
  }
  const cached = await Promise.all(
    plan.blocks.map(async (block, index) => {
      const found = await cache.hold(keys[index] as string);
      if (!found.found || found.value === undefined || found.tier !== 'store')
        throw new Error(`block ${index} did not come from the store`);
      const loaded = model.pages(block.length);
      await model.pool.writePages(loaded, found.value.tokens, found.value.payload);
      return { pages: loaded, length: block.length };
    }),
  );
  return stitch(sinks, cached, plan.shuffled);
}

/** Prefills sinks and blocks each for itself, moves every payload into other pages, and stitches. */
export async function stitched(
  model: StepModel,
  plan: GoldenPlan,
  order: readonly number[],
  chunk: number,
): Promise<Stitched> {
  const k = plan.sinks.length;
  const sinks = await model.prefill(plan.sinks, 0, [], chunk);
  const sinkSegment: Segment = { pages: sinks.pages, length: k, delta: 0 };
  const cached: { pages: Int32Array; length: number }[] = [];
  for (const block of plan.blocks) {
    const { pages } = await model.prefill(block, k, [sinkSegment], chunk);
    const payload = await model.pool.readPages(pages, block.length);
    const moved = model.pages(block.length);
    await model.pool.writePages(moved, block.length, payload);
    cached.push({ pages: moved, length: block.length });
  }
  return stitch(sinkSegment, cached, order);
}
