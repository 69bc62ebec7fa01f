/**
 * Recognizes files that stand in for the real ones: Git LFS pointers and web pages that were saved in their place.
 * Knows first bytes and words only.
 */

const POINTER = 'version https://git-lfs.github.com/spec/';
const PAGE = /^\s*<(!doctype html|html|\?xml)/i;

/** First bytes that are needed to recognize one. */
export const STAND_IN_BYTES = 64;

/**
 * @param head the first bytes of a file; more than `STAND_IN_BYTES` do not matter
 * @returns why the file cannot be used and what to do, or undefined if it may be the real one
 */
export function standInReason(head: Uint8Array): string | undefined {
  const text = new TextDecoder('latin1').decode(head.subarray(0, STAND_IN_BYTES));
  if (text.startsWith(POINTER)) {
    return 'it is a Git LFS pointer, not the file itself: run git lfs pull there, or blockstitch pull OWNER/NAME';
  }
  if (PAGE.test(text)) {
    return 'it is a web page, not the file itself: run blockstitch pull OWNER/NAME (HF_TOKEN for gated checkpoints)';
  }
  return undefined;
}
