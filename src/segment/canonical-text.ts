/**
 * What a text says, without what its file format adds: line ends, markup remnants, and the marks of transcripts. The
 * trained segmenter reads this form, so that equal talk is cut alike in every notation. Boundaries are mapped back.
 */
import { markupRemnants } from './markup-remnants.js';
import { applyEdits, type EditedText } from './text-edits.js';
import { transcriptEdits } from './transcript-lines.js';

export interface CanonicalText extends EditedText {
  /** Whether it differs from the original. */
  isEdited: boolean;
}

/** Local: an edit looks at a few lines around. Linear in the text's length. */
export function canonicalText(text: string): CanonicalText {
  const plain = applyEdits(text, markupRemnants(text));
  const edits = transcriptEdits(plain.text);
  if (edits.length === 0) return { ...plain, isEdited: plain.text !== text };
  const talk = applyEdits(plain.text, edits);
  return { text: talk.text, originalOf: (offset) => plain.originalOf(talk.originalOf(offset)), isEdited: true };
}
