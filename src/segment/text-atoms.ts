/**
 * The smallest spans between which a text may be cut: sentences of prose, lines of lists and code, rows of tables,
 * whole code fences. The text's own structure gives the strength of the boundary behind each.
 * Works on any language; does not know tokens.
 */
import { splitSentences } from '../text/split-sentences.js';
import { type LineKind, textLines } from './text-lines.js';

export interface Atom {
  start: number;
  end: number;
  /** Strength of the boundary at `end`, 0..1. */
  score: number;
}

/** Strengths of boundaries, by what stands around them. */
const STRENGTH = {
  heading: 0.95,
  rule: 0.9,
  emptyLines: 0.8,
  paragraph: 0.7,
  fence: 0.6,
  tableEnd: 0.55,
  listItem: 0.35,
  sentence: 0.25,
  line: 0.2,
  tableRow: 0.1,
  /** A heading belongs to what it heads. */
  afterHeading: 0.01,
} as const;

/** @returns atoms in order that cover the text; empty for an empty text. Linear in the text's length. */
export function splitAtoms(text: string): Atom[] {
  const atoms: Atom[] = [];
  let paragraphStart = -1;
  let previous: LineKind | undefined;
  let emptyLines = 0;
  let pendingEnd = 0;
  const flushParagraph = (end: number) => {
    if (paragraphStart < 0) return;
    for (const span of splitSentences(text.slice(paragraphStart, end))) {
      atoms.push({ start: paragraphStart + span.start, end: paragraphStart + span.end, score: STRENGTH.sentence });
    }
    paragraphStart = -1;
  };
  for (const line of textLines(text)) {
    if (line.kind === 'empty') {
      emptyLines += 1;
      pendingEnd = line.end;
      continue;
    }
    const continues = line.kind === 'prose' && previous === 'prose' && emptyLines === 0;
    if (!continues) {
      flushParagraph(line.start);
      const last = atoms.at(-1);
      if (last && previous) {
        // Empty lines belong to what stands before them.
        last.end = line.start;
        last.score = strength(previous, line.kind, emptyLines);
      }
    }
    const start = atoms.length === 0 && paragraphStart < 0 ? 0 : line.start;
    if (line.kind !== 'prose') atoms.push({ start, end: line.end, score: STRENGTH.line });
    else if (paragraphStart < 0) paragraphStart = start;
    previous = line.kind;
    emptyLines = 0;
    pendingEnd = line.end;
  }
  flushParagraph(pendingEnd);
  const last = atoms.at(-1);
  if (last) {
    last.end = text.length;
    last.score = 1;
  } else if (text.length > 0) atoms.push({ start: 0, end: text.length, score: 1 });
  return atoms;
}

function strength(before: LineKind, after: LineKind, emptyLines: number): number {
  if (before === 'heading') return STRENGTH.afterHeading;
  if (after === 'heading') return STRENGTH.heading;
  if (before === 'rule' || after === 'rule') return STRENGTH.rule;
  if (emptyLines > 1) return STRENGTH.emptyLines;
  if (emptyLines === 1) return STRENGTH.paragraph;
  if (before === 'fence' || after === 'fence') return STRENGTH.fence;
  if (before === 'row') return after === 'row' ? STRENGTH.tableRow : STRENGTH.tableEnd;
  if (after === 'item') return STRENGTH.listItem;
  return STRENGTH.line;
}
