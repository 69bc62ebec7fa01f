/** Units with their token counts, those above the maximum cut further, so that any choice of boundaries can keep it. */
import type { SpanTokens, TextSpan } from './span-tokens.js';
import { splitOversize } from './split-oversize.js';

export interface FittingUnits {
  /** Where each piece ends. [pieces] */
  ends: number[];
  /** [pieces] */
  tokens: number[];
  /** What the choice of lengths takes a piece for, in tokens: its tokens, or less where notation is not counted. [pieces] */
  lengths: number[];
  /** The unit that a piece ends, or -1 where it ends inside one. [pieces] */
  units: number[];
}

/** @param units in order, one behind another @param lengthOf a unit whose tokens are counted otherwise; undefined if not */
export function fittingUnits(
  tokens: SpanTokens,
  units: readonly TextSpan[],
  maxTokens: number,
  lengthOf: (unit: number) => number | undefined = () => undefined,
): FittingUnits {
  const fitting: FittingUnits = { ends: [], tokens: [], lengths: [], units: [] };
  for (const [index, { start, end }] of units.entries()) {
    const unit = { start, end, tokens: tokens.count({ start, end }) };
    const length = lengthOf(index);
    for (const piece of splitOversize(tokens, [unit], maxTokens)) {
      const share =
        length === undefined ? piece.tokens : Math.round((length * piece.tokens) / Math.max(1, unit.tokens));
      fitting.lengths.push(share);
      fitting.ends.push(piece.end);
      fitting.tokens.push(piece.tokens);
      fitting.units.push(piece.end === end ? index : -1);
    }
  }
  return fitting;
}
