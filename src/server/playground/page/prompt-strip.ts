/** A prompt as a strip: one piece per block, as wide as it has tokens, in the colour of its document; hollow = not cached. */
import { element } from './dom.js';

export interface StripBlock {
  tokens: number;
  isHit: boolean;
  /** Colour of the document; undefined: text of the chat template. */
  colour?: number | undefined;
  /** Starts a document. */
  isFirst: boolean;
}

/** Pieces beyond these would be thinner than a pixel. */
const MOST_PIECES = 250;

/** @param label the same in words */
export function showStrip(strip: HTMLElement, blocks: readonly StripBlock[], label: string): void {
  strip.setAttribute('aria-label', label);
  const pieces = (blocks.length > MOST_PIECES ? merged(blocks) : blocks).map((block) => {
    const piece = element('span', `piece ${block.isHit ? 'is-hit' : 'is-miss'}${block.isFirst ? ' is-first' : ''}`);
    piece.style.flexGrow = String(Math.max(1, block.tokens));
    if (block.colour === undefined) piece.classList.add('is-template');
    else piece.dataset['colour'] = String(block.colour);
    return piece;
  });
  strip.replaceChildren(element('span', 'piece is-sinks'), ...pieces, element('span', 'piece is-question'));
}

/** Neighbours of one document and one state as one piece. */
function merged(blocks: readonly StripBlock[]): StripBlock[] {
  const found: StripBlock[] = [];
  for (const block of blocks) {
    const last = found.at(-1);
    if (last !== undefined && !block.isFirst && last.isHit === block.isHit) last.tokens += block.tokens;
    else found.push({ ...block });
  }
  return found;
}
