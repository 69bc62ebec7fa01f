/**
 * The registry of segmenters: a name in, a segmenter behind the one interface out. Heuristic ones (cuts.ts) run here
 * for short texts and in a text thread for long ones, so that the event loop is never held for long.
 */
import { BlockstitchError } from '../errors.js';
import { assertWellFormed, type TextService } from '../text/text-service.js';
import { workerFile } from '../text/worker-file.js';
import { CUTS, type CutName } from './cuts.js';
import { readLimits } from './segment-limits.js';
import type { SegmentTask } from './segment-worker.js';
import type { Segment, Segmenter, SegmenterName, SegmentOptions } from './segmenter.js';

export interface SegmenterDependencies {
  /** Counts tokens and lends its threads. */
  textService: TextService;
}

type Factory = (dependencies: SegmenterDependencies) => Segmenter | Promise<Segmenter>;

/** Texts up to this many UTF-16 units are cut on the calling thread: a few milliseconds. */
const INLINE_CHARACTERS = 4096;
const WORKER = workerFile('./segment-worker.js', import.meta.url);

const FACTORIES: Partial<Record<SegmenterName, Factory>> = {
  structural: (dependencies) => new CutSegmenter('structural', dependencies.textService),
  fixed: (dependencies) => new CutSegmenter('fixed', dependencies.textService),
  paragraphs: (dependencies) => new CutSegmenter('paragraphs', dependencies.textService),
  recursive: (dependencies) => new CutSegmenter('recursive', dependencies.textService),
};

/** What `auto` means: the best segmenter that is there. */
const AUTO: SegmenterName = 'structural';

/** @throws BlockstitchError `segmentation_invalid` for a name that is not registered */
export async function createSegmenter(name: SegmenterName, dependencies: SegmenterDependencies): Promise<Segmenter> {
  const wanted = name === 'auto' ? AUTO : name;
  const factory = Object.hasOwn(FACTORIES, wanted) ? FACTORIES[wanted] : undefined;
  if (factory) return factory(dependencies);
  const known = ['auto', ...Object.keys(FACTORIES)].join(', ');
  throw new BlockstitchError(
    'segmentation_invalid',
    { reason: `there is no segmenter "${name}"; known: ${known}.` },
    { param: 'segmentation.segmenter' },
  );
}

/** A heuristic segmenter behind the interface. */
export class CutSegmenter implements Segmenter {
  readonly name: CutName;
  readonly #text: TextService;

  constructor(name: CutName, text: TextService) {
    this.name = name;
    this.#text = text;
  }

  async segment(text: string, options: SegmentOptions = {}): Promise<Segment[]> {
    const limits = readLimits(options);
    assertWellFormed(text, 'text');
    if (text === '') return [];
    const { tokenizer, checkpointDir } = this.#text;
    if (text.length <= INLINE_CHARACTERS) {
      return CUTS[this.name](text, limits, (texts) => texts.map((part) => tokenizer.encode(part).length));
    }
    const task: SegmentTask = { checkpointDir, name: this.name, text, limits };
    return this.#text.run<Segment[]>(WORKER, 'segment', task);
  }
}

/** The structural segmenter, under the name that callers look for. */
export class StructuralSegmenter extends CutSegmenter {
  constructor(text: TextService) {
    super('structural', text);
  }
}
