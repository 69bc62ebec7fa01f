/**
 * Adds drafts to a step: proposed tokens as further rows of sequences that decode. When the step has run, what came out
 * otherwise is taken back, so that pages and lengths are as if it had never been tried.
 * Knows rows and pages. A proposer says which tokens; the engine core says which came out.
 *
 * A draft takes free pages only. It evicts no block and preempts nobody.
 */
import type { BlockTable } from './block-table.js';
import type { Holdings } from './holdings.js';
import type { Sequence } from './sequence.js';
import type { DecodingRows, PlannedRows, StepPlan } from './step-plan.js';

/** Most tokens of one draft. */
export const MOST_DRAFT_TOKENS = 12;

/** What is known about a step to which drafts are added. */
export interface StepLoad {
  /** Sequences that get a token from the step in any case. */
  decoding: number;
  /** Rows until now. */
  rows: number;
  /** Tokens that earlier drafts of the step are expected to add. */
  expected: number;
}

/** Says what may come next. Whether it does, the proposer reads in the tokens of the sequence. */
export interface DraftProposer {
  /**
   * @param most tokens that may be proposed, >= 1
   * @returns the tokens, perhaps none, and how many of them are expected to come out
   */
  propose(sequence: Sequence, most: number, load: StepLoad): { tokens: Int32Array; expected: number };
}

export class DraftRows {
  readonly #table: BlockTable;
  readonly #holdings: Pick<Holdings, 'growTail' | 'trimTail'>;
  readonly #proposer: DraftProposer;

  constructor(table: BlockTable, holdings: Pick<Holdings, 'growTail' | 'trimTail'>, proposer: DraftProposer) {
    this.#table = table;
    this.#holdings = holdings;
    this.#proposer = proposer;
  }

  /** @param mostRows rows that the step may have */
  extend(plan: StepPlan, mostRows: number): void {
    const entries = plan.entries.filter(decodes);
    const load: StepLoad = { decoding: entries.length, rows: plan.rows, expected: 0 };
    for (const entry of entries) {
      const { sequence } = entry;
      const { promptLookup = true, maxTokens } = sequence.spec.sampling;
      // The step gives one token more than the draft has.
      const most = Math.min(MOST_DRAFT_TOKENS, mostRows - plan.rows, maxTokens - sequence.generated - 1);
      if (most < 1 || !promptLookup) continue;
      const { tokens, expected } = this.#proposer.propose(sequence, most, load);
      const fitting = this.#makeRoom(sequence, tokens.length);
      if (fitting === 0) continue;
      entry.draft = tokens.subarray(0, fitting);
      entry.rows += fitting;
      plan.rows += fitting;
      load.rows = plan.rows;
      load.expected += Math.min(expected, fitting);
    }
  }

  /** See `Scheduler.verified`. */
  verified(sequence: Sequence, accepted: number): void {
    // A request that has ended holds nothing.
    if (!sequence.running) return;
    sequence.computed += accepted;
    this.#holdings.trimTail(sequence);
  }

  /** @returns for how many further tokens the tail has pages now */
  #makeRoom(sequence: Sequence, wanted: number): number {
    const room = () => this.#table.pageTokens * sequence.pages.length - sequence.tokens.length;
    while (room() < wanted && this.#table.freePages > 0 && this.#holdings.growTail(sequence));
    return Math.min(wanted, room());
  }
}

function decodes(entry: PlannedRows): entry is DecodingRows {
  const { sequence, run } = entry;
  return sequence !== undefined && run === undefined && sequence.pending === 1;
}
