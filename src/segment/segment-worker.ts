/**
 * Runs segmenters in a text thread (see TextService.run) with that thread's tokenizer. Each thread keeps the networks
 * that it has loaded. It also keeps the strengths of the last text, because one text is often cut at several lengths.
 */
import { paceUntil } from '../text/pace.js';
import type { Stoppable } from '../text/text-threads.js';
import { moved, tokenizerOf } from '../text/text-worker.js';
import { BELIEVED_STRENGTH, BoundaryModel, type BoundaryStrengths } from './boundary-model.js';
import { cutByStrengths } from './cut-by-strengths.js';
import { embeddingStrengths } from './cut-embedding.js';
import { cutPart } from './cut-part.js';
import { CUTS, type CutName } from './cuts.js';
import { openOnnxEncoder } from './onnx-encoder.js';
import { type PackedSegments, packed } from './packed-segments.js';
import type { SegmentLimits } from './segment-limits.js';
import { hashedNgramEncoder, type SentenceEncoder } from './sentence-encoder.js';
import { SpanTokens } from './span-tokens.js';

export interface SegmentTask extends Stoppable {
  checkpointDir: string;
  text: string;
  limits: SegmentLimits;
  /** What the thread keeps of the text serves this tenant alone. */
  tenant: string;
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

/** Strengths of longer texts are not kept. */
const MOST_KEPT_CHARACTERS = 1 << 20;

/** Strengths that a thread keeps for the last text, with its text, its network and its tenant. */
interface Kept<Strengths> {
  text: string;
  directory: string;
  tenant: string;
  strengths: Strengths;
}

const models = new Map<string, Promise<BoundaryModel>>();
const encoders = new Map<string, Promise<SentenceEncoder>>();
let semantic: Kept<BoundaryStrengths[]> | undefined;
let embedding: Kept<Awaited<ReturnType<typeof embeddingStrengths>>> | undefined;

export async function segment(task: CutTask): Promise<PackedSegments> {
  return moved(packed(CUTS[task.name](await spanTokens(task), task.limits)));
}

export async function segmentSemantic(task: SemanticTask): Promise<PackedSegments> {
  const { text, limits, modelDir } = task;
  const tokens = await spanTokens(task);
  const model = await opened(models, modelDir, BoundaryModel.open);
  const kept = limits.joined ? `${modelDir} joined` : modelDir;
  semantic = await keptOf(task, kept, semantic, () => model.strengths(text, tokens.pace, limits.joined));
  const { strengths } = semantic;
  if (text.length > MOST_KEPT_CHARACTERS) semantic = undefined;
  const parts = strengths.map((part) => cutPart(part, tokens, model));
  return moved(packed(cutByStrengths(tokens, parts, limits, BELIEVED_STRENGTH)));
}

export async function segmentEmbedding(task: EmbeddingTask): Promise<PackedSegments> {
  const { text, limits, encoderDir } = task;
  const tokens = await spanTokens(task);
  const encoder = encoderDir === '' ? hashedNgramEncoder : await opened(encoders, encoderDir, openOnnxEncoder);
  embedding = await keptOf(task, encoderDir, embedding, () => embeddingStrengths(text, encoder, tokens.pace));
  const { units, strengths } = embedding.strengths;
  if (text.length > MOST_KEPT_CHARACTERS) embedding = undefined;
  return moved(packed(cutByStrengths(tokens, [{ units, strengthsOf: () => strengths }], limits)));
}

async function keptOf<Strengths>(
  { text, tenant }: SegmentTask,
  directory: string,
  last: Kept<Strengths> | undefined,
  make: () => Promise<Strengths>,
): Promise<Kept<Strengths>> {
  if (last?.text === text && last.directory === directory && last.tenant === tenant) return last;
  return { text, directory, tenant, strengths: await make() };
}

async function spanTokens({ checkpointDir, text, stop }: SegmentTask): Promise<SpanTokens> {
  return new SpanTokens(text, await tokenizerOf(checkpointDir), paceUntil(stop));
}

/** What `open` made of a directory, made once; a failure is tried again. */
function opened<Value>(
  cache: Map<string, Promise<Value>>,
  directory: string,
  open: (directory: string) => Promise<Value>,
): Promise<Value> {
  const known = cache.get(directory) ?? open(directory);
  cache.set(directory, known);
  known.catch(() => cache.delete(directory));
  return known;
}
