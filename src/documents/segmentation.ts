/**
 * The server's segmentation: its defaults under a request's options, segmenters made once, and a memory of what was
 * cut lately, so that a document sent again costs one hash. Knows which segmenters exist, not how they cut.
 */
import { createHash } from 'node:crypto';
import { type Config, settingLabel } from '../config.js';
import { BlockstitchError } from '../errors.js';
import { automaticName, createSegmenter } from '../segment/create-segmenter.js';
import type { Segment, Segmenter, SegmenterName, SegmentOptions } from '../segment/segmenter.js';
import type { TextService } from '../text/text-service.js';

type Defaults = Pick<
  Config,
  'segmenter' | 'segmenterDir' | 'sentenceEncoder' | 'targetTokens' | 'maxBlockTokens' | 'maxBlocks'
>;

/** Segments remembered over all texts. */
const MEMORY_SEGMENTS = 200_000;

/**
 * @param notice told in one line where the default segmenter is not the trained one for want of its files
 * @returns a function that cuts a text; it throws BlockstitchError `segmentation_invalid`, `payload_too_large`
 */
export function createSegmentation(
  textService: TextService,
  defaults: Defaults,
  notice: (line: string) => void = () => undefined,
): (text: string, options: SegmentOptions) => Promise<Segment[]> {
  const segmenters = new Map<SegmenterName, Promise<Segmenter>>();
  const memory = new Map<string, Segment[]>();
  let remembered = 0;
  const dependencies = { textService, modelDir: defaults.segmenterDir, encoderDir: defaults.sentenceEncoder };
  if (defaults.segmenter === 'auto' && automaticName(defaults.segmenterDir) !== 'semantic') {
    notice(`no trained segmenter in ${defaults.segmenterDir}: texts are cut by the structural one`);
  }

  const segmenterOf = (name: SegmenterName): Promise<Segmenter> => {
    const known = segmenters.get(name) ?? createSegmenter(name, dependencies);
    segmenters.set(name, known);
    known.catch(() => segmenters.delete(name));
    return known;
  };
  const remember = (key: string, segments: Segment[]): void => {
    memory.set(key, segments);
    remembered += segments.length;
    for (const [oldest, { length }] of memory) {
      if (remembered <= MEMORY_SEGMENTS) break;
      memory.delete(oldest);
      remembered -= length;
    }
  };

  return async (text, given) => {
    const { segmenter = 'auto', ...options } = withDefaults(given, defaults);
    const key = memoryKey(text, segmenter, options);
    const known = memory.get(key);
    if (known) {
      memory.delete(key);
      memory.set(key, known);
      return known;
    }
    const segments = await (await segmenterOf(segmenter)).segment(text, options);
    if (segments.length > defaults.maxBlocks) throw tooMany(segments.length, defaults.maxBlocks);
    if (!memory.has(key)) remember(key, segments);
    return segments;
  };
}

function tooMany(blocks: number, limit: number): BlockstitchError {
  const setting = settingLabel('maxBlocks');
  return new BlockstitchError('payload_too_large', { what: 'The text', actual: `${blocks} blocks`, limit, setting });
}

/** A default never contradicts what the request gives: then the segmenter's own rule stands. */
function withDefaults(given: SegmentOptions, defaults: Defaults): SegmentOptions {
  const { targetTokens, minTokens, maxTokens, granularity } = given;
  const target = defaults.targetTokens;
  const takesTarget =
    targetTokens === undefined &&
    granularity === undefined &&
    (maxTokens === undefined || target <= maxTokens) &&
    (minTokens === undefined || minTokens <= target);
  const takesMax = maxTokens === undefined && Math.max(targetTokens ?? 0, minTokens ?? 0) <= defaults.maxBlockTokens;
  return {
    segmenter: defaults.segmenter,
    ...given,
    ...(takesTarget ? { targetTokens: target } : {}),
    ...(takesMax ? { maxTokens: defaults.maxBlockTokens } : {}),
  };
}

function memoryKey(text: string, segmenter: string, options: SegmentOptions): string {
  const { targetTokens, minTokens, maxTokens, granularity } = options;
  return createHash('sha256')
    .update(JSON.stringify([segmenter, targetTokens, minTokens, maxTokens, granularity]))
    .update(Buffer.from(text, 'utf16le'))
    .digest('base64');
}
