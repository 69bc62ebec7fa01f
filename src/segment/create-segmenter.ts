/**
 * The registry of segmenters: a name in, a segmenter behind the one interface out. Heuristic ones (cuts.ts) cut short
 * texts here and long ones in a text thread. Those with networks always run in a thread. So the event loop is never
 * held for long.
 */
import { BlockstitchError } from '../errors.js';
import { assertWellFormed, type TextService } from '../text/text-service.js';
import { workerFile } from '../text/worker-file.js';
import { assertModel, hasModel } from './boundary-model.js';
import { CUTS, type CutName } from './cuts.js';
import { type PackedSegments, unpacked } from './packed-segments.js';
import { readLimits } from './segment-limits.js';
import type { SegmentTask } from './segment-worker.js';
import type { Segment, SegmentContext, Segmenter, SegmenterName, SegmentOptions } from './segmenter.js';
import { SpanTokens } from './span-tokens.js';

export interface SegmenterDependencies {
  /** Makes tokens and lends its threads. */
  textService: TextService;
  /** Directory of the trained segmenter; empty if there is none. */
  modelDir?: string;
  /** Directory of an ONNX sentence encoder for `embedding`; hashed n-grams where empty. */
  encoderDir?: string;
}

/** Texts up to this many UTF-16 units are cut on the calling thread: some milliseconds, whatever the options. */
const INLINE_CHARACTERS = 2048;
const WORKER = workerFile('./segment-worker.js', import.meta.url);

/** The meaning of `auto`: the trained segmenter if its files are there, else the structural one. */
export function automaticName(modelDir = ''): 'semantic' | 'structural' {
  return modelDir !== '' && hasModel(modelDir) ? 'semantic' : 'structural';
}

/** @throws BlockstitchError `segmentation_invalid` for a name that is not known, `segmenter_unusable` for files not there */
export async function createSegmenter(name: SegmenterName, dependencies: SegmenterDependencies): Promise<Segmenter> {
  const { textService, modelDir = '', encoderDir = '' } = dependencies;
  const wanted = name === 'auto' ? automaticName(modelDir) : name;
  if (Object.hasOwn(CUTS, wanted)) {
    const cut = wanted as CutName;
    return new TextSegmenter(cut, textService, { run: 'segment', fields: { name: cut }, inline: CUTS[cut] });
  }
  if (wanted === 'embedding') {
    return new TextSegmenter(wanted, textService, { run: 'segmentEmbedding', fields: { encoderDir } });
  }
  if (wanted === 'semantic') {
    assertModel(modelDir);
    return new TextSegmenter(wanted, textService, { run: 'segmentSemantic', fields: { modelDir } });
  }
  const known = ['auto', ...Object.keys(CUTS), 'embedding', 'semantic'].join(', ');
  throw invalid(`there is no segmenter "${name}"; known: ${known}.`);
}

/** Where a segmenter's work is done. */
interface Work {
  /** The worker's function and what it takes beside the fields of every task. */
  run: string;
  fields: object;
  /** The same on this thread, for short texts. */
  inline?: (typeof CUTS)[CutName];
}

class TextSegmenter implements Segmenter {
  readonly name: Segmenter['name'];
  readonly #text: TextService;
  readonly #work: Work;

  constructor(name: Segmenter['name'], text: TextService, work: Work) {
    this.name = name;
    this.#text = text;
    this.#work = work;
  }

  async segment(text: string, options: SegmentOptions = {}, context: SegmentContext = {}): Promise<Segment[]> {
    const limits = readLimits(options);
    const { tenant = '', param = 'text' } = context;
    assertWellFormed(text, param);
    if (text === '') return [];
    const { inline, run, fields } = this.#work;
    if (inline && text.length <= INLINE_CHARACTERS) {
      const tokens = new SpanTokens(text, this.#text.tokenizer);
      const segments = await this.#text.runHere(() => inline(tokens, limits));
      for (const { tokenIds } of segments) if (tokenIds) this.#text.assertInside(tokenIds, param);
      return segments;
    }
    const { checkpointDir } = this.#text;
    const task: SegmentTask = { ...fields, checkpointDir, text, limits, tenant };
    const cut = await this.#text.run<PackedSegments>(WORKER, run, task, context);
    this.#text.assertInside(cut.ids, param);
    return unpacked(cut);
  }
}

function invalid(reason: string): BlockstitchError {
  return new BlockstitchError('segmentation_invalid', { reason }, { param: 'segmentation.segmenter' });
}
