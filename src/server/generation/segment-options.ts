/** Translates the wire's segmentation options to the segmenter's. */
import type { SegmentOptions } from '../../segment/segmenter.js';
import type { SegmentationBody } from '../schemas/sampling-schema.js';

export function segmentOptions(body: SegmentationBody | undefined): SegmentOptions {
  return {
    ...(body?.segmenter === undefined ? {} : { segmenter: body.segmenter }),
    ...(body?.target_tokens === undefined ? {} : { targetTokens: body.target_tokens }),
    ...(body?.min_tokens === undefined ? {} : { minTokens: body.min_tokens }),
    ...(body?.max_tokens === undefined ? {} : { maxTokens: body.max_tokens }),
    ...(body?.granularity === undefined ? {} : { granularity: body.granularity }),
  };
}
