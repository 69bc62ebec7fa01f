/**
 * Turns a plan into the tensors of one step: token ids, step metadata, and the rows that need logits.
 * Knows the graph's inputs and the padding of rows. The scheduler makes plans; `model-runner.ts` runs steps.
 *
 * Rows are padded to a multiple of `rowMultiple`, with a sequence of its own that writes to a scratch page. For other
 * row counts, matrix kernels may take another path and round otherwise. But no token may depend on the other requests
 * in the batch (docs/decisions/020-batch-invariant-steps.md).
 */
import { encodeStepMetadata, type Segment, type StepSequence } from '../../kernels/step-metadata.js';
import type { RepairRun } from '../repair/prompt-repair.js';
import { encodeDraws, type GraphDraw, type GraphDraws } from '../sampling/graph-draws.js';
import type { Sampler } from '../sampling/sampler.js';
import type { PoolBlock } from '../schedule/block-table.js';
import type { Sequence } from '../schedule/sequence.js';
import { NO_DRAFT, type PlannedRows, type StepPlan } from '../schedule/step-plan.js';
import { joined } from '../wire/int32-list.js';

/** The inputs of one run of the graph. */
export interface ModelStep {
  /** [T]. */
  inputIds: Int32Array;
  metadata: Int32Array;
  /** [L] rows that need logits, L >= 1. */
  logitRows: Int32Array;
  /** Best tokens per row, 1..256. */
  topK: number;
  /** Whether whole rows of logits are needed as well. */
  fullRows: boolean;
  /** Draws that the graph makes itself; absent if there are none. */
  draws?: GraphDraws;
}

/** The outputs of a run. Rows are in the order of `logitRows`. */
export interface ModelOutput {
  /** [L, k] */
  topValues: Float32Array;
  /** [L, k] */
  topIds: Int32Array;
  /** [L] */
  logSumExp: Float32Array;
  /** [L, vocab], if `fullRows` asked for it. */
  logits: Float32Array | undefined;
  /** [L] tokens that the graph drew and their logits before adjustments, if `draws` asked for any. */
  drawnIds?: Int32Array;
  drawnLogits?: Float32Array;
  /** k of the top outputs: as asked, or the vocabulary's size if that is smaller. */
  topK: number;
  /** Milliseconds inside the runtime's run call alone, if the runner measures it. */
  runMs?: number;
}

export interface BatchLayout {
  poolId: number;
  /** A page that no sequence owns, with at least `rowMultiple` token slots. Padding rows write there. */
  scratchPage: number;
  /** Rows and logit rows are padded to a multiple of this, >= 1. */
  rowMultiple: number;
}

/**
 * Builds one step.
 *
 * @param plan non-empty
 * @param samplers of the sequences that are in the plan
 * @returns the step; its first logit rows belong, in order, to the sequences that have their last pending token in it:
 *   one row for that token, then one for each token of the draft behind it
 */
export function buildStep(
  plan: StepPlan,
  layout: BatchLayout,
  samplers: Pick<ReadonlyMap<Sequence, Sampler>, 'get'>,
): ModelStep {
  const padding = (layout.rowMultiple - (plan.rows % layout.rowMultiple)) % layout.rowMultiple;
  const inputIds = new Int32Array(plan.rows + padding);
  const sequences: StepSequence[] = [];
  const logitRows: number[] = [];
  let topK = 1;
  let fullRows = false;
  const draws: (GraphDraw | undefined)[] = [];
  let row = 0;
  for (const entry of plan.entries) {
    sequences.push(rowsOf(entry));
    inputIds.set(tokensOf(entry), row);
    row += entry.rows;
    if (entry.sequence === undefined || entry.run !== undefined) continue;
    const { sequence, draft = NO_DRAFT } = entry;
    if (sequence.pending !== entry.rows - draft.length) continue;
    const sampler = samplers.get(sequence);
    sampler?.graphDraws(draft).forEach((draw, index) => {
      draws[logitRows.length + index] = draw;
    });
    for (let behind = draft.length; behind >= 0; behind--) logitRows.push(row - 1 - behind);
    if (sampler === undefined) continue;
    topK = Math.max(topK, sampler.needed.topK);
    fullRows ||= sampler.needed.fullRow;
  }
  if (padding > 0) sequences.push(scratchRows(layout.scratchPage, padding));
  if (logitRows.length === 0) logitRows.push(row - 1);
  while (logitRows.length % layout.rowMultiple !== 0) logitRows.push(logitRows.at(-1) ?? 0);
  return {
    inputIds,
    metadata: encodeStepMetadata(layout.poolId, sequences),
    logitRows: Int32Array.from(logitRows),
    topK,
    fullRows,
    ...(draws.length > 0 ? { draws: encodeDraws(Array.from(logitRows, (_, row) => draws[row])) } : {}),
  };
}

function rowsOf(entry: PlannedRows): StepSequence {
  if (entry.run !== undefined) return runRows(entry.run, entry.rows);
  return entry.sequence === undefined ? blockRows(entry.block, entry.rows) : tailRows(entry.sequence, entry.rows);
}

function tokensOf(entry: PlannedRows): Int32Array {
  if (entry.run !== undefined) return entry.run.tokenIds.subarray(entry.run.computed, entry.run.computed + entry.rows);
  if (entry.sequence !== undefined) {
    const { sequence, rows, draft = NO_DRAFT } = entry;
    const { computed, tokens } = sequence;
    const own = tokens.view(computed, computed + rows - draft.length);
    return draft.length === 0 ? own : joined([own, draft]);
  }
  const { computed, tokenIds } = entry.block;
  return tokenIds.subarray(computed, computed + entry.rows);
}

/** A block is prefilled as a sequence behind the sinks: local positions from k on. */
function blockRows(block: PoolBlock, rows: number): StepSequence {
  const { sinks } = block;
  const segments: Segment[] =
    sinks === undefined ? [] : [{ pages: sinks.pages, length: sinks.tokenIds.length, delta: 0 }];
  return {
    rows,
    segments,
    tail: { pages: block.pages, position: sinks?.tokenIds.length ?? 0, past: block.computed },
  };
}

function tailRows(sequence: Sequence, rows: number): StepSequence {
  return {
    rows,
    segments: sequence.segments ?? [],
    tail: { pages: sequence.pages.view(), position: sequence.position, past: sequence.computed },
  };
}

/** A repaired run stands at its true position, behind everything before it in the prompt. */
function runRows({ segments, pages, position, computed }: RepairRun, rows: number): StepSequence {
  return { rows, segments, tail: { pages, position, past: computed } };
}

function scratchRows(page: number, rows: number): StepSequence {
  return { rows, segments: [], tail: { pages: Int32Array.of(page), position: 0, past: 0 } };
}
