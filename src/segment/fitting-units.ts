/** Units with their token counts, those above the maximum cut further, so that any choice of boundaries can keep it. */
import type { SpanTokens, TextSpan } from './span-tokens.js';
import { splitOversize } from './split-oversize.js';

export interface FittingUnits {
  /** Where each piece ends. [pieces] */
  ends: number[];
  /** [pieces] */
  tokens: number[];
  /** The unit that a piece ends, or -1 where it ends inside one. [pieces] */
  units: number[];
}

/** @param units in order, covering the text */
export function fittingUnits(tokens: SpanTokens, units: readonly TextSpan[], maxTokens: number): FittingUnits {
  const fitting: FittingUnits = { ends: [], tokens: [], units: [] };
  for (const [index, { start, end }] of units.entries()) {
    const unit = { start, end, tokens: tokens.count({ start, end }) };
    for (const piece of splitOversize(tokens, [unit], maxTokens)) {
      fitting.ends.push(piece.end);
      fitting.tokens.push(piece.tokens);
      fitting.units.push(piece.end === end ? index : -1);
    }
  }
  return fitting;
}
