/**
 * The server's segmentation: its defaults under a request's options, segmenters made once, and a memory of what was
 * cut lately, so that a document sent again costs one hash. Equal texts that come at the same time are cut once.
 * Knows which segmenters exist, not how they cut.
 */
import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { type Config, settingLabel } from '../config.js';
import { BlockstitchError } from '../errors.js';
import { automaticName, createSegmenter } from '../segment/create-segmenter.js';
import type { Segment, SegmentContext, Segmenter, SegmenterName, SegmentOptions } from '../segment/segmenter.js';
import { SharedWork, toldOf } from '../text/shared-work.js';
import type { TextService } from '../text/text-service.js';

type Defaults = Pick<
  Config,
  'segmenter' | 'segmenterDir' | 'sentenceEncoder' | 'targetTokens' | 'maxBlockTokens' | 'maxBlocks'
>;

/** Memory for segments and their token ids, over all texts. */
const MEMORY_BYTES = 64 * 2 ** 20;
/** A segment without its ids: an object, an array and its buffer. */
const SEGMENT_BYTES = 256;

/** Cuts a text under the server's defaults. */
export interface Segmentation {
  (text: string, options: SegmentOptions, context?: SegmentContext): Promise<Segment[]>;
  /** Names what cuts: two texts of equal names are cut by one rule. */
  nameOf?(options: SegmentOptions): string;
}

/**
 * @param notice called with one line if the files of the trained segmenter are missing, so that it is not the default
 * @returns a function that cuts a text; it throws what Segmenter.segment throws, and `payload_too_large`
 */
export function createSegmentation(
  textService: TextService,
  defaults: Defaults,
  notice: (line: string) => void = () => undefined,
): Segmentation {
  const segmenters = new Map<SegmenterName, Promise<Segmenter>>();
  const memory = new LRUCache<string, Segment[]>({ maxSize: MEMORY_BYTES, sizeCalculation: sizeOf });
  const running = new SharedWork<Segment[]>();
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
  const nameOf = (given: SegmentOptions) => {
    const { segmenter = 'auto', ...options } = withDefaults(given, defaults);
    return JSON.stringify([
      segmenter === 'auto' ? automaticName(defaults.segmenterDir) : segmenter,
      ...listed(options),
    ]);
  };
  const segment: Segmentation = async (text, given, { signal, ...context } = {}) => {
    const { tenant = '' } = context;
    const { segmenter = 'auto', ...options } = withDefaults(given, defaults);
    const key = await textService.runHere(() => memoryKey(tenant, text, segmenter, options));
    const known = memory.get(key);
    if (known) return known;
    const cut = async (stillWanted: AbortSignal) => {
      const found = await segmenterOf(segmenter);
      const segments = await found.segment(text, options, { ...context, signal: stillWanted });
      if (segments.length > defaults.maxBlocks) throw tooMany(segments.length, defaults.maxBlocks);
      memory.set(key, segments);
      return segments;
    };
    return toldOf(context.param ?? 'text', running.run(key, cut, signal));
  };
  return Object.assign(segment, { nameOf });
}

function sizeOf(segments: readonly Segment[]): number {
  return segments.reduce((bytes, { tokens }) => bytes + SEGMENT_BYTES + tokens * Int32Array.BYTES_PER_ELEMENT, 1);
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

function memoryKey(tenant: string, text: string, segmenter: string, options: SegmentOptions): string {
  return createHash('sha256')
    .update(JSON.stringify([tenant, segmenter, ...listed(options)]))
    .update(Buffer.from(text, 'utf16le'))
    .digest('base64');
}

const listed = ({ targetTokens, minTokens, maxTokens, granularity, joined }: SegmentOptions) => [
  ...[targetTokens, minTokens, maxTokens, granularity, joined],
];
