/**
 * Which boundaries are seams: where a RAG framework joined retrieved passages, or a passage and the rest of a prompt.
 * The network gives log-odds for each boundary alone. A framework marks all its passages in the same way, so here the
 * boundaries with the same mark are judged together: one that looks doubtful alone is a seam if its like are.
 */
import type { TextUnit } from './text-units.js';

/** Log-odds from which a boundary is believed to be a seam. */
const BELIEVED = 0;
/** Log-odds below which nothing but the mark of a passage's first line makes a seam. */
const UNLIKELY = -3;
/** Before and behind the marked passages, another boundary has to be this sure. Between them there is none. */
const BESIDE_MARKS = 3;
/** A text is a prompt if it has so many seams: one passage between a preamble and a question has two. */
const LEAST_SEAMS = 2;
const LEAST_MARKS = 3;
/** So many of the boundaries with one mark have to be believed. */
const BELIEVED_SHARE = 0.25;
/** Without marks, an empty line and these log-odds make a seam of a prompt. Behind the last mark, these make one. */
const DOUBTED = -2;
/**
 * The same for an empty line in a message. There a seam that is missed costs two passages, and a paragraph that stands
 * alone costs nothing but its neighbours' sight. In a document it would cost a section.
 */
const DOUBTED_IN_MESSAGE = -6;
/** No boundary counts for more than this in the mean of its mark. */
const SUREST = 6;
const LONGEST_TAIL = 24;
/** A line that closes a passage: "END", "</doc>", a rule. It belongs to what stands before it. */
const CLOSER = /^(?:[^\p{L}\p{N}]*(?:end|close|stop)(?![\p{L}\p{N}])|<\/|[^\p{L}\p{N}]+$)/iu;
/** Signs, one word or two, a sign and a number, as they stand at the head of a passage: "Document [3", "[3]", "Source:". */
const HEAD =
  /^[^\p{L}\p{N}\n]{0,12}(?:\p{L}[\p{L}_-]{0,23}(?: \p{L}[\p{L}_-]{0,23})?)?(?:[^\p{L}\p{N}\n]{0,3}\p{N}{1,3}[^\p{L}\p{N}\n]?|[^\p{L}\p{N}\n]?)/u;
/** A word alone is no mark: passages begin with "The", too. */
const WORD = /^\s*\p{L}+\s*$/u;

export interface Seam {
  /** The boundary behind this unit. */
  unit: number;
  /** Log-odds, its own or the mean of its mark. */
  strength: number;
}

/**
 * @param single log-odds of a seam behind each unit [units]
 * @param joined whether the text is a message that may hold passages
 * @returns seams in order; none behind the last unit
 */
export function promptSeams(
  text: string,
  units: readonly TextUnit[],
  single: ArrayLike<number>,
  joined = false,
): Seam[] {
  const logits = behindClosers(text, units, single);
  const believed: number[] = [];
  for (let unit = 0; unit + 1 < units.length; unit += 1) {
    // Passages begin on a line of their own.
    if ((logits[unit] as number) > BELIEVED && units[unit + 1]?.opensLine) believed.push(unit);
  }
  if (believed.length < LEAST_SEAMS) return [];
  const { seams: marked, rivals } = markedSeams(text, units, logits);
  if (marked.size === 0)
    for (const unit of unmarkedSeams(units, logits, joined)) marked.set(unit, logits[unit] as number);
  else {
    const first = Math.min(...marked.keys());
    const last = Math.max(...marked.keys());
    // Behind the last mark stands the rest of the prompt, behind one seam.
    const ending = strongestBehind(last, units, logits, rivals);
    if (ending >= 0) marked.set(ending, logits[ending] as number);
    for (const unit of believed) {
      const strength = logits[unit] as number;
      const isBetween = unit >= first && unit <= last;
      if (!isBetween && !rivals.has(unit) && strength > BESIDE_MARKS) marked.set(unit, strength);
    }
  }
  return [...marked].map(([unit, strength]) => ({ unit, strength })).sort((a, b) => a.unit - b.unit);
}

function unmarkedSeams(units: readonly TextUnit[], logits: ArrayLike<number>, joined: boolean): number[] {
  const doubted = joined ? DOUBTED_IN_MESSAGE : DOUBTED;
  return Array.from(units.keys()).filter((unit) => {
    const behind = units[unit + 1];
    const least = behind && behind.blankLines > 0 ? doubted : BELIEVED;
    return units[unit]?.kind !== 'heading' && behind?.opensLine && (logits[unit] as number) > least;
  });
}

/** @returns the boundary behind `last` that is likeliest to be a seam, -1 if none is */
function strongestBehind(
  last: number,
  units: readonly TextUnit[],
  logits: ArrayLike<number>,
  rivals: ReadonlySet<number>,
): number {
  let best = -1;
  for (let unit = last + 1; unit + 1 < units.length; unit += 1) {
    const strength = logits[unit] as number;
    if (!units[unit + 1]?.opensLine || strength <= DOUBTED || rivals.has(unit)) continue;
    if (best < 0 || strength > (logits[best] as number)) best = unit;
  }
  return best;
}

/** Log-odds with those before a closing line moved behind it, where the same line closes several passages. [units] */
function behindClosers(text: string, units: readonly TextUnit[], single: ArrayLike<number>): Float64Array {
  const closers = new Map<string, number[]>();
  for (let unit = 1; unit < units.length; unit += 1) {
    const { contentStart, contentEnd, opensLine } = units[unit] as TextUnit;
    if (!opensLine || contentEnd - contentStart > LONGEST_TAIL) continue;
    const line = text.slice(contentStart, contentEnd);
    if (!CLOSER.test(line)) continue;
    const known = closers.get(masked(line));
    if (known) known.push(unit);
    else closers.set(masked(line), [unit]);
  }
  const logits = Float64Array.from(single);
  for (const same of closers.values()) {
    if (same.length < LEAST_MARKS) continue;
    for (const unit of same) {
      // The same signs can open what they close: no seam is near then.
      if (Math.max(logits[unit] as number, logits[unit - 1] as number) < UNLIKELY) continue;
      logits[unit] = Math.max(logits[unit] as number, logits[unit - 1] as number);
      logits[unit - 1] = -SUREST;
    }
  }
  return logits;
}

/** @returns boundaries whose mark is that of seams, with their log-odds; and those with another mark of the same frame */
function markedSeams(
  text: string,
  units: readonly TextUnit[],
  logits: ArrayLike<number>,
): { seams: Map<number, number>; rivals: Set<number> } {
  const places = new Map<string, number[]>();
  for (let unit = 0; unit + 1 < units.length; unit += 1) {
    for (const mark of marksAt(text, units[unit] as TextUnit, units[unit + 1] as TextUnit)) {
      const known = places.get(mark);
      if (known) known.push(unit);
      else places.set(mark, [unit]);
    }
  }
  const likely = [...places]
    .map(([mark, same]) => (mark.startsWith('tail') ? inOneRole(same, logits) : same))
    .filter((same) => same.length >= LEAST_MARKS)
    .map((same) => ({ same, mean: meanOf(same, logits) }))
    .filter(({ same, mean }) => mean > UNLIKELY && isBelieved(same, logits))
    .sort((a, b) => b.mean - a.mean);
  const seams = new Map<number, number>();
  const rivals = new Set<number>();
  for (const { same, mean } of likely) {
    // Two lines of one frame have marks of their own: the surer one stands for the frame.
    const near = same.filter((unit) => !seams.has(unit) && isNear(unit, seams));
    if (near.length > same.length / 2) for (const unit of near) rivals.add(unit);
    else for (const unit of same) if (!near.includes(unit)) seams.set(unit, Math.max(mean, logits[unit] as number));
  }
  return { seams, rivals };
}

/** A line that both opens and closes passages is a mark only where it closes one. */
function inOneRole(same: number[], logits: ArrayLike<number>): number[] {
  const closing = same.filter((unit) => (logits[unit] as number) >= UNLIKELY);
  return closing.length > (2 / 3) * same.length ? same : closing;
}

function isBelieved(same: readonly number[], logits: ArrayLike<number>): boolean {
  const believed = same.filter((unit) => (logits[unit] as number) > BELIEVED).length;
  return believed >= Math.max(LEAST_SEAMS, same.length * BELIEVED_SHARE);
}

function meanOf(units: readonly number[], logits: ArrayLike<number>): number {
  const sum = units.reduce((all, unit) => all + Math.max(-SUREST, Math.min(SUREST, logits[unit] as number)), 0);
  return sum / units.length;
}

function isNear(unit: number, seams: ReadonlyMap<number, number>): boolean {
  return seams.has(unit - 1) || seams.has(unit) || seams.has(unit + 1);
}

/** What stands at the head of the unit behind the boundary, and what stands alone on the line before it. */
function marksAt(text: string, before: TextUnit, behind: TextUnit): string[] {
  if (!behind.opensLine) return [];
  const head = HEAD.exec(text.slice(behind.contentStart, Math.min(behind.contentEnd, behind.contentStart + 48)));
  const marks = head?.[0] && !WORD.test(head[0]) ? [`head ${masked(head[0])}`] : [];
  if (before.opensLine && before.contentEnd - before.contentStart <= LONGEST_TAIL) {
    marks.push(`tail ${masked(text.slice(before.contentStart, before.contentEnd))}`);
  }
  return marks;
}

function masked(mark: string): string {
  return mark.replace(/\p{N}+/gu, '0');
}
