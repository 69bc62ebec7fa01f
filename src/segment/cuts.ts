/**
 * Segmenters that are functions of text, limits and token counts alone, by name. A new heuristic is one line here;
 * segmenters with models of their own register in create-segmenter.ts.
 */
import { cutFixed, cutParagraphs, cutRecursive } from './cut-baselines.js';
import { type Cut, cutStructural } from './cut-structural.js';
import { cutTextTiling } from './cut-texttiling.js';

export const CUTS = {
  structural: cutStructural,
  fixed: cutFixed,
  paragraphs: cutParagraphs,
  recursive: cutRecursive,
  texttiling: cutTextTiling,
} as const satisfies Record<string, Cut>;

export type CutName = keyof typeof CUTS;
