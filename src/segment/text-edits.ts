/**
 * A text with some places replaced, and the way back: where in the original a place of the new text lies.
 * It knows nothing of what is replaced, or why.
 */

export interface TextEdit {
  /** Half-open span of the original that is replaced. */
  start: number;
  end: number;
  replacement: string;
  /** A boundary at this place lies behind the span, not before it: for empty lines that end what stands before them. */
  belongsBefore?: boolean;
}

export interface EditedText {
  text: string;
  /** Place in the original, for a place in the new text. Never falls as the place grows. */
  originalOf(offset: number): number;
}

/** @param edits in order, not overlapping */
export function applyEdits(text: string, edits: readonly TextEdit[]): EditedText {
  if (edits.length === 0) return { text, originalOf: (offset) => offset };
  let edited = '';
  // Of each kept piece: where it begins in the new text, and in the original; and what its first place means.
  const from: number[] = [0];
  const to: number[] = [0];
  const at: number[] = [0];
  const stops: number[] = [];
  let kept = 0;
  for (const { start, end, replacement, belongsBefore } of edits) {
    edited += text.slice(kept, start);
    let meant = belongsBefore || replacement !== '' ? end : start;
    if (replacement === '' && from.at(-1) === edited.length) {
      // Several spans go at one place: it means the first that belongs to what follows.
      const known = at.at(-1) as number;
      if (known < start && !belongsBefore) meant = known;
      from.pop();
      to.pop();
      at.pop();
    } else stops.push(start);
    edited += replacement;
    from.push(edited.length);
    to.push(end);
    at.push(meant);
    kept = end;
  }
  edited += text.slice(kept);
  return {
    text: edited,
    originalOf(offset) {
      if (offset >= edited.length) return text.length;
      let low = 0;
      let high = from.length - 1;
      while (low < high) {
        const middle = (low + high + 1) >> 1;
        if ((from[middle] as number) <= offset) low = middle;
        else high = middle - 1;
      }
      const begin = from[low] as number;
      if (begin === offset) return at[low] as number;
      // Places inside a replacement lie where it begins.
      return Math.min((to[low] as number) + offset - begin, stops[low] ?? text.length);
    },
  };
}
