/**
 * Runs segmenters in a text thread (see TextService.run), with that thread's tokenizer; each thread keeps the networks
 * that it has loaded, and the strengths of the last text, since one text is often cut at several lengths.
 */
import { tokenizerOf } from '../text/text-worker.js';
import { BELIEVED_STRENGTH, BoundaryModel, type BoundaryStrengths } from './boundary-model.js';
import { cutByStrengths } from './cut-by-strengths.js';
import { embeddingStrengths } from './cut-embedding.js';
import { CUTS, type CutName } from './cuts.js';
import { openOnnxEncoder } from './onnx-encoder.js';
import type { SegmentLimits } from './segment-limits.js';
import type { Segment } from './segmenter.js';
import { hashedNgramEncoder, type SentenceEncoder } from './sentence-encoder.js';
import type { CountTokens } from './split-oversize.js';

export interface SegmentTask {
  checkpointDir: string;
  text: string;
  limits: SegmentLimits;
}

export interface CutTask extends SegmentTask {
  name: CutName;
}

export interface SemanticTask extends SegmentTask {
  /** Directory of the trained segmenter. */
  modelDir: string;
}

export interface EmbeddingTask extends SegmentTask {
  /** Directory of an ONNX sentence encoder; hashed n-grams where empty. */
  encoderDir: string;
}

/** Read for how long tokens are. */
const SAMPLE_CHARACTERS = 4096;

/** Strengths of longer texts are not kept. */
const MOST_KEPT_CHARACTERS = 1 << 20;

const models = new Map<string, Promise<BoundaryModel>>();
const encoders = new Map<string, Promise<SentenceEncoder>>();
let semantic: { modelDir: string; text: string; strengths: BoundaryStrengths } | undefined;
let embedding: { encoderDir: string; text: string; strengths: EmbeddingStrengths } | undefined;

type EmbeddingStrengths = Awaited<ReturnType<typeof embeddingStrengths>>;

export async function segment(task: CutTask): Promise<Segment[]> {
  return CUTS[task.name](task.text, task.limits, await counter(task));
}

export async function segmentSemantic(task: SemanticTask): Promise<Segment[]> {
  const { text, limits, modelDir } = task;
  if (text === '') return [];
  const count = await counter(task);
  const model = await kept(models, modelDir, BoundaryModel.open);
  if (semantic?.text !== text || semantic.modelDir !== modelDir) {
    semantic = { modelDir, text, strengths: await model.strengths(text) };
  }
  const { strengths } = semantic;
  if (text.length > MOST_KEPT_CHARACTERS) semantic = undefined;
  const characters = charactersPerToken(text, count);
  const strengthsOf = (targetTokens: number) => model.forTarget(strengths, targetTokens * characters);
  return cutByStrengths(text, strengths.units, strengthsOf, limits, count, BELIEVED_STRENGTH);
}

export async function segmentEmbedding(task: EmbeddingTask): Promise<Segment[]> {
  const { text, limits, encoderDir } = task;
  if (text === '') return [];
  const count = await counter(task);
  if (embedding?.text !== text || embedding.encoderDir !== encoderDir) {
    const encoder = encoderDir === '' ? hashedNgramEncoder : await kept(encoders, encoderDir, openOnnxEncoder);
    embedding = { encoderDir, text, strengths: await embeddingStrengths(text, encoder) };
  }
  const { units, strengths } = embedding.strengths;
  if (text.length > MOST_KEPT_CHARACTERS) embedding = undefined;
  return cutByStrengths(text, units, () => strengths, limits, count);
}

/** From the beginning of the text, so that what is added at its end changes nothing. */
function charactersPerToken(text: string, count: CountTokens): number {
  const sample = text.slice(0, SAMPLE_CHARACTERS);
  return sample.length / Math.max(1, count([sample])[0] ?? 1);
}

async function counter({ checkpointDir }: SegmentTask): Promise<CountTokens> {
  const tokenizer = await tokenizerOf(checkpointDir);
  return (texts) => texts.map((text) => tokenizer.encode(text).length);
}

/** What `open` made of a directory, made once; a failure is tried again. */
function kept<Value>(
  cache: Map<string, Promise<Value>>,
  directory: string,
  open: (directory: string) => Promise<Value>,
): Promise<Value> {
  const known = cache.get(directory) ?? open(directory);
  cache.set(directory, known);
  known.catch(() => cache.delete(directory));
  return known;
}
