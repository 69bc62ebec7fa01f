/**
 * The trained segmenter's network: from the features of units to the strength of the boundary behind each. Loads
 * segmenter.json, words.bin and segmenter.onnx; runs on the thread that calls it, so call it in a text thread.
 * Long texts go through in windows that overlap by all that the network can see, so a strength depends on its
 * surroundings alone, however long the text.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { InferenceSession, Tensor } from 'onnxruntime-node';
import { BlockstitchError } from '../errors.js';
import { loadRuntime } from '../onnx-runtime.js';
import { type Pace, unhurried } from '../text/pace.js';
import { canonicalText } from './canonical-text.js';
import { slidingCohesion, smoothed } from './lexical-cohesion.js';
import { promptSeams } from './prompt-seams.js';
import type { TalkParts } from './talk-features.js';
import { isMeeting, isTalk } from './talk-recognition.js';
import { TALK_FILE, TalkTrees } from './talk-trees.js';
import { splitUnits, type TextUnit } from './text-units.js';
import { FEATURE_VERSION, FEATURES, type UnitFeatures, unitFeatures } from './unit-features.js';
import { WordVocabulary } from './word-vocabulary.js';

export const MODEL_FILES = ['segmenter.json', 'words.bin', 'segmenter.onnx'] as const;

/** What segmenter.json says of the network. */
interface ModelCard {
  feature_version: number;
  /** Units on each side of a boundary that its strength can depend on. */
  context_units: number;
  /** Boundary levels, finest first: the length of blocks in UTF-16 units at which each alone counts. */
  level_characters: number[];
}

/** A part of a text between two seams, or the whole text. The network saw nothing outside it. */
export interface BoundaryStrengths extends TalkParts {
  /** Canonical form of the part (canonical-text.ts). */
  text: string;
  /** Place in the whole original text, for a place in `text`. */
  originalOf(offset: number): number;
  /** Of `text`. */
  units: TextUnit[];
  /** Log-odds that a boundary of at least this level stands behind the unit; the seam is the last. [units, levels + 1] */
  levels: Float32Array;
  /** Log-odds of the seam at its end, if there is one. */
  endStrength?: number;
}

/** Log-odds of all networks together, and of the one that was trained on talk. */
const OUTPUT = 'levels';
const TALK_OUTPUT = 'talk_levels';
/** Units whose strengths one run gives. Each run reads what the network can see on both sides too, some 770 units. */
const WINDOW = 2048;
/** Log-odds for a cosine of 1 between the words of both sides, where blocks have many units. */
const COHESION_WEIGHT = 6;
/** Width of the windows as a share of a block. */
const COHESION_SHARE = 0.35;
/** The network alone judges narrower windows. Eight times as many units get the full weight. */
const LEAST_COHESION_UNITS = 5;
const SAMPLE_UNITS = 512;
/** A heading belongs to what it heads, whatever the network says: log-odds of a boundary behind it. */
const AFTER_HEADING = -40;
/**
 * Blocks of a meeting from which its course counts (talk-features.ts), and from which it counts wholly, in UTF-16
 * units. The topics of meetings that people marked are some 10,000 long.
 */
const TALK_CHARACTERS = [3200, 6400] as const;
/** What the network adds to the log-odds of a meeting's course. */
const NETWORK_SHARE = 0.2;
/** Brings these to where strengths are believed in; the network by itself is then worth one less. */
const TALK_SHIFT = 3;
const NETWORK_SHIFT = -1;
/** A boundary of this strength is believed in. Chosen on SemanticSeg's development split. */
export const BELIEVED_STRENGTH = -1;

export class BoundaryModel {
  readonly #card: ModelCard;
  readonly #vocabulary: WordVocabulary;
  readonly #session: InferenceSession;
  readonly #tensor: typeof Tensor;
  readonly #talk: TalkTrees | undefined;
  /** Log-odds that a meeting goes on to another topic, of the parts that were cut in long blocks. */
  readonly #courses = new WeakMap<BoundaryStrengths, Float64Array>();

  private constructor(
    card: ModelCard,
    vocabulary: WordVocabulary,
    session: InferenceSession,
    tensor: typeof Tensor,
    talk: TalkTrees | undefined,
  ) {
    this.#card = card;
    this.#talk = talk;
    this.#vocabulary = vocabulary;
    this.#session = session;
    this.#tensor = tensor;
  }

  /** @throws BlockstitchError `segmenter_unusable` naming the file that is missing or does not fit */
  static async open(directory: string): Promise<BoundaryModel> {
    assertModel(directory);
    try {
      const card = JSON.parse(readFileSync(join(directory, 'segmenter.json'), 'utf8')) as ModelCard;
      if (card.feature_version !== FEATURE_VERSION) {
        throw new Error(`it was trained for feature version ${card.feature_version}, this is ${FEATURE_VERSION}`);
      }
      const runtime = await loadRuntime();
      const session = await runtime.InferenceSession.create(join(directory, 'segmenter.onnx'), {
        executionProviders: ['cpu'],
        intraOpNumThreads: 1,
        interOpNumThreads: 1,
        graphOptimizationLevel: 'all',
        logSeverityLevel: 3,
      });
      const talk = join(directory, TALK_FILE);
      const trees = existsSync(talk) ? new TalkTrees(talk) : undefined;
      return new BoundaryModel(card, WordVocabulary.read(join(directory, 'words.bin')), session, runtime.Tensor, trees);
    } catch (cause) {
      throw unusable(directory, cause instanceof Error ? cause.message : String(cause));
    }
  }

  /**
   * Strengths of the whole text; or, if it is a prompt that holds retrieved passages, of each passage by itself, so that
   * a passage is cut alike wherever it stands.
   *
   * @param pace told of the units as they go through the network
   * @param joined whether the text is a message that may hold passages (SegmentOptions)
   */
  async strengths(text: string, pace: Pace = unhurried, joined = false): Promise<BoundaryStrengths[]> {
    const canonical = canonicalText(text);
    const whole = await this.#strengthsOf(canonical.text, canonical.originalOf, pace);
    const seams = this.#seams(whole, joined);
    if (seams.length === 0) return [whole];
    const parts: BoundaryStrengths[] = [];
    let start = 0;
    for (const { end, endStrength } of [...seams, { end: canonical.text.length, endStrength: undefined }]) {
      const from = start;
      const originalOf = (offset: number) => canonical.originalOf(from + offset);
      const part = await this.#strengthsOf(canonical.text.slice(start, end), originalOf, pace);
      parts.push(endStrength === undefined ? part : { ...part, endStrength });
      start = end;
    }
    return parts;
  }

  /** Where seams stand in the text, with their log-odds. */
  #seams({ text, units, levels }: BoundaryStrengths, joined: boolean): { end: number; endStrength: number }[] {
    const count = this.#card.level_characters.length + 1;
    const logits = Float64Array.from(units, (_, unit) => levels[unit * count + count - 1] as number);
    return promptSeams(text, units, logits, joined).map(({ unit, strength }) => ({
      end: (units[unit] as TextUnit).end,
      endStrength: strength,
    }));
  }

  async #strengthsOf(text: string, originalOf: (offset: number) => number, pace: Pace): Promise<BoundaryStrengths> {
    const units = splitUnits(text);
    pace(units.length);
    const features = unitFeatures(text, units, this.#vocabulary);
    const levelCount = this.#card.level_characters.length + 1;
    const levels = new Float32Array(units.length * levelCount);
    const context = this.#card.context_units;
    // A file of one network may lack the second output.
    const knowsTalk = this.#session.outputNames.includes(TALK_OUTPUT);
    const output = knowsTalk && isTalk({ text, units, labels: features.labels }) ? TALK_OUTPUT : OUTPUT;
    for (let start = 0; start < units.length; start += WINDOW) {
      const stop = Math.min(start + WINDOW, units.length);
      const from = Math.max(0, start - context);
      const to = Math.min(units.length, stop + context);
      pace(to - from);
      const part = await this.#run(features, from, to, output);
      levels.set(part.subarray((start - from) * levelCount, (stop - from) * levelCount), start * levelCount);
    }
    const { bags, labels, wordCounts } = features;
    return { text, originalOf, units, levels, bags, labels, wordCounts };
  }

  /**
   * One strength per unit for blocks of so many UTF-16 units. A level weighs more the nearer its length is to that. In
   * blocks of many units, the words that both sides share over a third of a block count too: the network sees only a
   * part of those. In long blocks of a meeting its course counts.
   *
   * @param pace told of the units whose course is followed
   * @returns log-odds [units]
   */
  forTarget(part: BoundaryStrengths, characters: number, pace: Pace = unhurried): Float64Array {
    const strengths = this.#ofNetwork(part, characters);
    const share = this.talkShare(part, characters);
    if (share === 0) return strengths;
    const course = this.#course(part, pace);
    return strengths.map((strength, unit) => {
      if (strength === AFTER_HEADING) return strength;
      // A topic that either of the two is sure of (log of the sum of their odds).
      const talk = (course[unit] as number) + NETWORK_SHARE * strength + TALK_SHIFT;
      const sure = strength + NETWORK_SHIFT;
      const either = Math.max(talk, sure) + Math.log1p(Math.exp(-Math.abs(talk - sure)));
      return (1 - share) * strength + share * either;
    });
  }

  /** How much the course of a meeting counts in blocks of so many UTF-16 units, 0 to 1; 0 where the part is no meeting. */
  talkShare(part: BoundaryStrengths, characters: number): number {
    const [from, whole] = TALK_CHARACTERS;
    if (!this.#talk || characters <= from || !isMeeting(part)) return 0;
    return Math.min(1, Math.log(characters / from) / Math.log(whole / from));
  }

  #course(part: BoundaryStrengths, pace: Pace): Float64Array {
    const known = this.#courses.get(part) ?? (this.#talk as TalkTrees).logOdds(part, pace);
    this.#courses.set(part, known);
    return known;
  }

  #ofNetwork({ units, levels, bags }: BoundaryStrengths, characters: number): Float64Array {
    const weights = levelWeights(this.#card.level_characters, characters);
    const width = blockUnits(units, characters) * COHESION_SHARE;
    const share = COHESION_WEIGHT * Math.max(0, Math.min(1, Math.log2(width / LEAST_COHESION_UNITS) / 3));
    const cosines = share > 0 ? smoothed(slidingCohesion(bags, Math.round(width))) : undefined;
    const levelCount = weights.length + 1;
    return Float64Array.from(units, ({ kind }, unit) => {
      if (kind === 'heading') return AFTER_HEADING;
      let strength = 0;
      for (let level = 0; level < weights.length; level += 1) {
        strength += (weights[level] as number) * (levels[unit * levelCount + level] as number);
      }
      return strength - share * (cosines?.[unit] ?? 0);
    });
  }

  async #run({ rows, offsets, values }: UnitFeatures, from: number, to: number, output: string): Promise<Float32Array> {
    const first = offsets[from] as number;
    const last = offsets[to] as number;
    const moved = offsets.slice(from, to + 1).map((offset) => offset - first);
    const inputs = {
      rows: new this.#tensor('int32', rows.subarray(first, last), [last - first]),
      offsets: new this.#tensor('int32', moved, [moved.length]),
      features: new this.#tensor('float32', values.subarray(from * FEATURES, to * FEATURES), [to - from, FEATURES]),
    };
    return (await this.#session.run(inputs, [output]))[output]?.data as Float32Array;
  }
}

/**
 * Units in a block of so many characters, roughly. Looks at the beginning of the text, so added text changes nothing.
 */
function blockUnits(units: readonly TextUnit[], characters: number): number {
  const sample = units[Math.min(units.length, SAMPLE_UNITS) - 1];
  if (!sample) return 1;
  const each = sample.end / Math.min(units.length, SAMPLE_UNITS);
  return 2 ** (Math.round(2 * Math.log2(Math.max(1, characters / each))) / 2);
}

/** Linear in the logarithm of the length between neighbouring levels; sums to 1. */
export function levelWeights(levels: readonly number[], characters: number): number[] {
  const weights = levels.map(() => 0);
  const above = levels.findIndex((length) => length >= characters);
  if (above < 0) weights[levels.length - 1] = 1;
  else if (above === 0) weights[0] = 1;
  else {
    const low = levels[above - 1] as number;
    const share = Math.log(characters / low) / Math.log((levels[above] as number) / low);
    weights[above - 1] = 1 - share;
    weights[above] = share;
  }
  return weights;
}

/** Whether all files of a trained segmenter are there. */
export function hasModel(directory: string): boolean {
  return missingFile(directory) === undefined;
}

/** @throws BlockstitchError `segmenter_unusable` naming a file that is missing */
export function assertModel(directory: string): void {
  const missing = missingFile(directory);
  if (missing) throw unusable(directory, `${missing} is missing`);
}

function missingFile(directory: string): string | undefined {
  return MODEL_FILES.find((name) => !existsSync(join(directory, name)));
}

function unusable(directory: string, reason: string): BlockstitchError {
  return new BlockstitchError('segmenter_unusable', { what: 'trained segmenter', path: directory, reason });
}
