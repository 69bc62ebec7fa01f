/**
 * What a prompt is to the engine: sinks, blocks in order, final block.
 * Knows token ids. Other files of this room make plans from templates and texts; the engine looks for cached blocks.
 *
 * Words: sinks = tokens at the front that every block sees; block = tokens that are cached as one; final block = what
 * follows the last document; stretch = template text between documents; frame = template text around each document.
 */

/** `block`: blocks attend only to the sinks and themselves. `full`: ordinary causal attention over the same tokens. */
export type AttentionMode = 'block' | 'full';

export interface PlanBlock {
  /** Token ids, length >= 1. */
  tokenIds: Int32Array;
  /** `template`: a stretch of the chat template. `document`: a segment of a document, or of a passage in a message. */
  kind: 'template' | 'document';
  /** Whose text a `document` block is. */
  source?: BlockSource;
}

/** A document or a message by its place in the request, with UTF-16 offsets in its text. */
export type BlockSource = { start: number; end: number } & (
  | { documentIndex: number; documentId?: string }
  | { messageIndex: number }
);

export interface PromptPlan {
  attention: AttentionMode;
  /** Tokens at positions 0..k-1; may be empty. */
  sinkTokenIds: Int32Array;
  blocks: readonly PlanBlock[];
  /** Question and assistant header, length >= 1. */
  finalTokenIds: Int32Array;
}

/** Tokens in the whole prompt, sinks included. */
export function promptTokens(plan: PromptPlan): number {
  let tokens = plan.sinkTokenIds.length + plan.finalTokenIds.length;
  for (const block of plan.blocks) tokens += block.tokenIds.length;
  return tokens;
}
