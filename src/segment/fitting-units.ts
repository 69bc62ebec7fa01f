/** Units with their token counts, those above the maximum cut further, so that any choice of boundaries can keep it. */
import { type CountTokens, splitOversize } from './split-oversize.js';

export interface FittingUnits {
  /** Where each piece ends. [pieces] */
  ends: number[];
  /** [pieces] */
  tokens: number[];
  /** The unit that a piece ends, or -1 where it ends inside one. [pieces] */
  units: number[];
}

/** @param units in order, covering the text */
export function fittingUnits(
  text: string,
  units: readonly { start: number; end: number }[],
  maxTokens: number,
  count: CountTokens,
): FittingUnits {
  const counts = count(units.map((unit) => text.slice(unit.start, unit.end)));
  const fitting: FittingUnits = { ends: [], tokens: [], units: [] };
  for (const [index, { start, end }] of units.entries()) {
    const tokens = counts[index] ?? 0;
    const pieces =
      tokens <= maxTokens ? [{ end, tokens }] : splitOversize(text, [{ start, end, tokens }], maxTokens, count);
    for (const piece of pieces) {
      fitting.ends.push(piece.end);
      fitting.tokens.push(piece.tokens);
      fitting.units.push(piece.end === end ? index : -1);
    }
  }
  return fitting;
}
