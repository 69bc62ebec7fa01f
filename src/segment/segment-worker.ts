/** Runs the segmenters of cuts.ts in a text thread (see TextService.run), with that thread's tokenizer. */
import { tokenizerOf } from '../text/text-worker.js';
import { CUTS, type CutName } from './cuts.js';
import type { SegmentLimits } from './segment-limits.js';
import type { Segment } from './segmenter.js';

export interface SegmentTask {
  checkpointDir: string;
  name: CutName;
  text: string;
  limits: SegmentLimits;
}

export async function segment(task: SegmentTask): Promise<Segment[]> {
  const tokenizer = await tokenizerOf(task.checkpointDir);
  return CUTS[task.name](task.text, task.limits, (texts) => texts.map((text) => tokenizer.encode(text).length));
}
