/**
 * The registry of segmenters: a name in, a segmenter behind the one interface out. Heuristic ones (cuts.ts) run here
 * for short texts and in a text thread for long ones, those with networks always in a thread, so that the event loop
 * is never held for long.
 */
import { BlockstitchError } from '../errors.js';
import { assertWellFormed, type TextService } from '../text/text-service.js';
import { workerFile } from '../text/worker-file.js';
import { hasModel } from './boundary-model.js';
import { CUTS, type CutName } from './cuts.js';
import { readLimits } from './segment-limits.js';
import type { CutTask, EmbeddingTask, SegmentTask, SemanticTask } from './segment-worker.js';
import type { Segment, Segmenter, SegmenterName, SegmentOptions } from './segmenter.js';

export interface SegmenterDependencies {
  /** Counts tokens and lends its threads. */
  textService: TextService;
  /** Directory of the trained segmenter; empty where there is none. */
  modelDir?: string;
  /** Directory of an ONNX sentence encoder for `embedding`; hashed n-grams where empty. */
  encoderDir?: string;
}

/** Texts up to this many UTF-16 units are cut on the calling thread: a few milliseconds. */
const INLINE_CHARACTERS = 4096;
const WORKER = workerFile('./segment-worker.js', import.meta.url);

/** What `auto` means: the trained segmenter where its files are, else the structural one. */
export function automaticName(modelDir = ''): 'semantic' | 'structural' {
  return modelDir !== '' && hasModel(modelDir) ? 'semantic' : 'structural';
}

/** @throws BlockstitchError `segmentation_invalid` for a name that is not known, or a trained segmenter not there */
export async function createSegmenter(name: SegmenterName, dependencies: SegmenterDependencies): Promise<Segmenter> {
  const { textService, modelDir = '', encoderDir = '' } = dependencies;
  const wanted = name === 'auto' ? automaticName(modelDir) : name;
  if (Object.hasOwn(CUTS, wanted)) return new CutSegmenter(wanted as CutName, textService);
  if (wanted === 'embedding') {
    return new ThreadSegmenter(wanted, textService, (task) => {
      const embedding: EmbeddingTask = { ...task, encoderDir };
      return textService.run(WORKER, 'segmentEmbedding', embedding);
    });
  }
  if (wanted === 'semantic') {
    if (!hasModel(modelDir)) throw invalid(`there is no trained segmenter in "${modelDir}".`);
    return new ThreadSegmenter(wanted, textService, (task) => {
      const semantic: SemanticTask = { ...task, modelDir };
      return textService.run(WORKER, 'segmentSemantic', semantic);
    });
  }
  const known = ['auto', ...Object.keys(CUTS), 'embedding', 'semantic'].join(', ');
  throw invalid(`there is no segmenter "${name}"; known: ${known}.`);
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
    const task: CutTask = { checkpointDir, name: this.name, text, limits };
    return this.#text.run<Segment[]>(WORKER, 'segment', task);
  }
}

/** A segmenter that runs in a text thread, whatever the text's length. */
class ThreadSegmenter implements Segmenter {
  readonly name: 'embedding' | 'semantic';
  readonly #text: TextService;
  readonly #run: (task: SegmentTask) => Promise<Segment[]>;

  constructor(name: 'embedding' | 'semantic', text: TextService, run: (task: SegmentTask) => Promise<Segment[]>) {
    this.name = name;
    this.#text = text;
    this.#run = run;
  }

  async segment(text: string, options: SegmentOptions = {}): Promise<Segment[]> {
    const limits = readLimits(options);
    assertWellFormed(text, 'text');
    if (text === '') return [];
    return this.#run({ checkpointDir: this.#text.checkpointDir, text, limits });
  }
}

function invalid(reason: string): BlockstitchError {
  return new BlockstitchError('segmentation_invalid', { reason }, { param: 'segmentation.segmenter' });
}
