/**
 * A part of a text as the choice of boundaries takes it: units in the original text, lengths in tokens of what is said,
 * strengths for a target in tokens. It stands between the network, which reads canonical text, and the choice.
 */
import type { BoundaryModel, BoundaryStrengths } from './boundary-model.js';
import type { CutPart } from './cut-by-strengths.js';
import type { SpanTokens } from './span-tokens.js';

/** So much of a part is read to learn how long its tokens are. */
const SAMPLE_CHARACTERS = 4096;

/** Strengths are asked for by the length of blocks in UTF-16 units of canonical text. */
export function cutPart(
  part: BoundaryStrengths,
  tokens: SpanTokens,
  model: Pick<BoundaryModel, 'forTarget' | 'talkShare'>,
): CutPart {
  const characters = charactersPerToken(part.text, tokens);
  const originals = part.units.map(({ start, end }) => ({ start: part.originalOf(start), end: part.originalOf(end) }));
  return {
    units: originals,
    strengthsOf: (targetTokens) => model.forTarget(part, targetTokens * characters, tokens.pace),
    // Topics of a meeting have any length.
    lengthCareOf: (targetTokens) => 1 - model.talkShare(part, targetTokens * characters),
    lengthOf(unit) {
      const { start, end, kind } = part.units[unit] as BoundaryStrengths['units'][number];
      const original = originals[unit] as { start: number; end: number };
      const said = part.text.slice(start, end);
      const wraps = kind === 'prose' && said.trimEnd().includes('\n');
      if (!wraps && original.end - original.start === end - start) return undefined;
      return tokens.countText(
        wraps ? said.trimEnd().replace(/\s*\n\s*/g, ' ') + said.slice(said.trimEnd().length) : said,
      );
    },
    ...(part.endStrength === undefined ? {} : { endStrength: part.endStrength }),
  };
}

/** Looks at the beginning of the part, so text added at its end changes nothing. */
function charactersPerToken(text: string, tokens: SpanTokens): number {
  const sample = text.slice(0, SAMPLE_CHARACTERS);
  return sample.length / Math.max(1, tokens.countText(sample));
}
