/**
 * A model on paper: runs a step's metadata as the real operator does, over hashes instead of vectors.
 * A token's KV is a hash of the token and of all that it can see, each at its distance, as with rotary positions. So a
 * wrong page, a wrong delta, a stale slot or a missing segment changes the tokens that come out. `referenceTokens`
 * computes the same from the plan alone, without pages, batches or caches.
 */

import type { ProbeStep } from '../../src/engine/repair/prompt-probe.js';
import { chooseDeviating, chooseFirst, repairBudget } from '../../src/engine/repair/repair-plan.js';
import type { RequestSpec } from '../../src/engine/wire/specs.js';
import type { StepRunner } from '../../src/engine/worker/engine-core.js';
import type { ModelOutput, ModelStep } from '../../src/engine/worker/step-batch.js';

const EMPTY = -1;

function mix(value: number): number {
  let hash = value >>> 0;
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  hash = Math.imul(hash ^ (hash >>> 12), 0x297a2d39);
  return (hash ^ (hash >>> 15)) >>> 0;
}

interface Visible {
  value: number;
  /** Query position minus key position. */
  distance: number;
}

/** How far two hashes lie apart, 0 to 1. */
function apart(a: number, b: number): number {
  return Math.abs(a - b) / 2 ** 32;
}

function hidden(token: number, visible: Iterable<Visible>): number {
  let sum = mix(token + 1);
  for (const { value, distance } of visible) sum = (sum + mix(value ^ mix(distance + 77))) >>> 0;
  return mix(sum);
}

export class PaperModel implements StepRunner {
  readonly draws = false;
  readonly vocabSize: number;
  readonly pageTokens: number;
  readonly #values: Float64Array;
  readonly #positions: Int32Array;
  readonly #scratchPage: number;
  /** Set to make the next run throw. */
  failNext: string | undefined;
  /** Runs with rows of this token throw. */
  poison: number | undefined;
  steps = 0;
  rowsRun = 0;

  /** @param pages usable pages; the one behind them is scratch */
  constructor(pages: number, pageTokens: number, vocabSize = 997) {
    this.vocabSize = vocabSize;
    this.pageTokens = pageTokens;
    this.#scratchPage = pages;
    this.#values = new Float64Array((pages + 1) * pageTokens).fill(EMPTY);
    this.#positions = new Int32Array((pages + 1) * pageTokens);
  }

  async run(step: ModelStep): Promise<ModelOutput> {
    await Promise.resolve();
    if (this.failNext !== undefined) {
      const reason = this.failNext;
      this.failNext = undefined;
      throw new Error(reason);
    }
    if (this.poison !== undefined && step.inputIds.includes(this.poison)) throw new Error('a bad row');
    this.steps++;
    return this.#output(step, this.#hidden(step.inputIds, step.metadata));
  }

  /** Runs tokens in context and compares with what `cached` holds: the sum, per place, of how far the values lie apart. */
  compare({ inputIds, metadata, places }: ProbeStep, cached: PaperModel): Float64Array {
    const values = this.#hidden(inputIds, metadata);
    const sums = new Float64Array(places.length / 3);
    let row = 0;
    for (const index of sums.keys()) {
      const [page, slot, count] = places.subarray(3 * index, 3 * index + 3) as unknown as [number, number, number];
      for (let offset = 0; offset < count; offset++, row++) {
        if (page < 0) continue;
        const place = cached.#slot(Int32Array.of(page), slot + offset);
        sums[index] = (sums[index] as number) + apart(values[row] as number, cached.#values[place] as number);
      }
    }
    return sums;
  }

  /** Copies a block's KV out, as the native side does. */
  read(pages: Int32Array, tokens: number): number[] {
    return Array.from({ length: tokens }, (_, index) => {
      const value = this.#values[this.#slot(pages, index)] as number;
      if (value === EMPTY) throw new Error('a block was saved before it was computed');
      return value;
    });
  }

  /** Writes a block's KV into pages; its keys stand at local positions `position`.. */
  write(pages: Int32Array, values: readonly number[], position: number): void {
    for (const [index, value] of values.entries()) {
      this.#values[this.#slot(pages, index)] = value;
      this.#positions[this.#slot(pages, index)] = position + index;
    }
  }

  #hidden(inputIds: Int32Array, metadata: Int32Array): Float64Array {
    const at = (index: number) => {
      const value = metadata[index];
      if (value === undefined) throw new Error(`metadata ends before ${index}`);
      return value;
    };
    if (at(3) !== inputIds.length) throw new Error('rows of metadata and of input_ids differ');
    const hiddenByRow = new Float64Array(at(3));
    for (let sequence = 0; sequence < at(2); sequence++) this.#runSequence(at, at(4 + sequence), inputIds, hiddenByRow);
    return hiddenByRow;
  }

  #runSequence(at: (index: number) => number, record: number, inputIds: Int32Array, hiddenByRow: Float64Array): void {
    const [firstRow, rows, position, past, tailPages, segments] = [0, 1, 2, 3, 4, 5].map((field) =>
      at(record + field),
    ) as [number, number, number, number, number, number];
    let offset = record + 6;
    const tail = Int32Array.from({ length: tailPages }, () => at(offset++));
    if (tail.length * this.pageTokens < past + rows) throw new Error('the tail has too few pages');
    const isScratch = tail[0] === this.#scratchPage;
    const cached: { pages: Int32Array; length: number; delta: number }[] = [];
    for (let segment = 0; segment < segments; segment++) {
      const [length, delta, count] = [at(offset), at(offset + 1), at(offset + 2)];
      offset += 3;
      cached.push({ length, delta, pages: Int32Array.from({ length: count }, () => at(offset++)) });
    }
    for (let row = 0; row < rows; row++) {
      const token = inputIds[firstRow + row] as number;
      const queryPosition = position + past + row;
      const visible: Visible[] = [];
      for (const { pages, length, delta } of cached) {
        for (let index = 0; index < length; index++) visible.push(this.#see(pages, index, queryPosition - delta));
      }
      for (let index = 0; index < past + row; index++) visible.push(this.#see(tail, index, queryPosition));
      const value = hidden(token, visible);
      this.#values[this.#slot(tail, past + row)] = value;
      this.#positions[this.#slot(tail, past + row)] = queryPosition;
      hiddenByRow[firstRow + row] = value;
      if (!isScratch) this.rowsRun++;
    }
  }

  #see(pages: Int32Array, index: number, queryPosition: number): Visible {
    const slot = this.#slot(pages, index);
    const value = this.#values[slot] as number;
    if (value === EMPTY) throw new Error(`a token reads slot ${slot}, which was never written`);
    return { value, distance: queryPosition - (this.#positions[slot] as number) };
  }

  #slot(pages: Int32Array, index: number): number {
    const page = pages[Math.floor(index / this.pageTokens)];
    if (page === undefined) throw new Error('a token lies beyond its pages');
    return page * this.pageTokens + (index % this.pageTokens);
  }

  #output(step: ModelStep, hiddenByRow: Float64Array): ModelOutput {
    const { topK, vocabSize } = { topK: Math.min(step.topK, this.vocabSize), vocabSize: this.vocabSize };
    const rows = step.logitRows.length;
    const output: ModelOutput = {
      topK,
      topValues: new Float32Array(rows * topK),
      topIds: new Int32Array(rows * topK),
      logSumExp: new Float32Array(rows),
      logits: step.fullRows ? new Float32Array(rows * vocabSize) : undefined,
    };
    for (const [row, source] of step.logitRows.entries()) {
      const value = hiddenByRow[source] as number;
      const logits = Float32Array.from({ length: vocabSize }, (_, id) => (mix(value ^ mix(id)) / 2 ** 32) * 8);
      const ids = Int32Array.from(logits.keys()).sort((a, b) => (logits[b] as number) - (logits[a] as number) || a - b);
      for (let index = 0; index < topK; index++) {
        output.topIds[row * topK + index] = ids[index] as number;
        output.topValues[row * topK + index] = logits[ids[index] as number] as number;
      }
      output.logSumExp[row] = Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit), 0));
      output.logits?.set(logits, row * vocabSize);
    }
    return output;
  }
}

/**
 * Greedy tokens of a request, computed from its plan alone: no pages, no batch, no cache.
 * @param pageTokens tokens that a repair computes again together
 */
export function referenceTokens(spec: RequestSpec, vocabSize = 997, pageTokens = 4): number[] {
  const context: { value: number; position: number }[] = [];
  const append = (tokens: Iterable<number>, into: typeof context, start: number, before: typeof context) => {
    let position = start;
    for (const token of tokens) {
      const visible = [...before, ...into].map((seen) => ({ value: seen.value, distance: position - seen.position }));
      into.push({ value: hidden(token, visible), position: position++ });
    }
  };
  const sinks: typeof context = [];
  let position = 0;
  if (spec.attention === 'block') {
    append(spec.sinks?.tokenIds ?? [], sinks, 0, []);
    context.push(...sinks);
    position = sinks.length;
    const lengths = spec.blocks.map((block) => block.tokenIds.length);
    const share = spec.repair?.share ?? 0;
    let repaired = chooseFirst(lengths, share, pageTokens);
    if (spec.repair?.by === 'deviation') {
      const inContext: typeof context = [...sinks];
      const deviations = spec.blocks.map(({ tokenIds }, index) => {
        const alone: typeof context = [];
        append(tokenIds, alone, sinks.length, sinks);
        const sums = new Float64Array(Math.ceil(tokenIds.length / pageTokens));
        for (const [at, { value }] of alone.entries()) {
          append(tokenIds.subarray(at, at + 1), inContext, inContext.length, []);
          const page = Math.floor(at / pageTokens);
          if (index > 0)
            sums[page] = (sums[page] as number) + apart((inContext.at(-1) as (typeof alone)[0]).value, value);
        }
        return sums;
      });
      repaired = chooseDeviating(deviations, repairBudget(lengths, share, pageTokens));
    }
    for (const [index, block] of spec.blocks.entries()) {
      const own: typeof context = [];
      append(block.tokenIds, own, sinks.length, sinks);
      for (const [at, { value }] of own.entries()) {
        const again = repaired[index]?.[Math.floor(at / pageTokens)] === 1;
        // A repaired token sees everything before it in the prompt, repaired or not.
        if (again) append(block.tokenIds.subarray(at, at + 1), context, position + at, []);
        else context.push({ value, position: position + at });
      }
      position += block.tokenIds.length;
    }
  }
  const tail: typeof context = [];
  append(spec.tailTokenIds, tail, position, context);
  const generated: number[] = [];
  while (generated.length < spec.sampling.maxTokens) {
    const value = (tail.at(-1) as { value: number }).value;
    let best = 0;
    let bestLogit = Number.NEGATIVE_INFINITY;
    for (let id = 0; id < vocabSize; id++) {
      const logit = Math.fround((mix(value ^ mix(id)) / 2 ** 32) * 8);
      if (logit > bestLogit) [best, bestLogit] = [id, logit];
    }
    if (spec.sampling.stopTokenIds.includes(best)) break;
    generated.push(best);
    append([best], tail, position + tail.length, context);
  }
  return generated;
}
