/**
 * What the order of the documents changes: the same rows, asked in several orders. A server that stitches blocks meets
 * documents in every order that a retriever may give. Knows rows and answers, not how they are asked.
 */
import { contains, mean, normalized } from './answer-scores.js';
import type { AskedAnswer, Mode } from './asked-modes.js';
import type { QuestionRow } from './question-rows.js';

export interface OrderSummary {
  mode: Mode;
  /** Share of the answers that contain an accepted one, for each order; the rows' own order comes first. */
  contains: number[];
  /** The largest of them less the smallest. */
  spread: number;
  /** Share of the rows whose answers are the same in every order, but for case and punctuation. */
  same: number;
}

/** @param byRow for each row its answers, one for each order, in the order of the rows */
export function summarizeOrders(
  mode: Mode,
  rows: readonly QuestionRow[],
  byRow: readonly AskedAnswer[][],
): OrderSummary {
  const orders = byRow[0]?.length ?? 0;
  const shares = Array.from({ length: orders }, (_, order) =>
    mean(rows.map(({ answers }, at) => contains(byRow[at]?.[order]?.text ?? '', answers))),
  );
  const same = byRow.map((answers) => (new Set(answers.map(({ text }) => normalized(text))).size === 1 ? 1 : 0));
  return { mode, contains: shares, spread: Math.max(...shares) - Math.min(...shares), same: mean(same) };
}
