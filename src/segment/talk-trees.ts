/**
 * Boosted trees over the numbers of talk-features.ts: how likely a meeting goes on to another topic behind each unit.
 * talk.json holds them; training/blockstitch_training/segmenter/talk_trees.py writes it.
 */
import { readFileSync } from 'node:fs';
import { type Pace, unhurried } from '../text/pace.js';
import { TALK_FEATURES, type TalkParts, talkFeatures } from './talk-features.js';

/** The file of the trees in the directory of a trained segmenter. A segmenter may lack it. */
export const TALK_FILE = 'talk.json';

interface Tree {
  /** Column that a node looks at, -1 at a leaf. [nodes] */
  column: number[];
  /** A value goes left if it is at most this. [nodes] */
  threshold: number[];
  left: number[];
  right: number[];
  /** Log-odds of a leaf. [nodes] */
  value: number[];
}

interface TalkFile {
  features: number;
  /** Log-odds before any tree. */
  start: number;
  trees: Tree[];
}

export class TalkTrees {
  readonly #file: TalkFile;

  /** @throws Error where the file does not fit this version's features */
  constructor(path: string) {
    this.#file = JSON.parse(readFileSync(path, 'utf8')) as TalkFile;
    if (this.#file.features !== TALK_FEATURES) {
      throw new Error(
        `${TALK_FILE} was trained for ${this.#file.features} features of talk, this has ${TALK_FEATURES}`,
      );
    }
  }

  /** @returns log-odds of another topic behind each unit [units] */
  logOdds(parts: TalkParts, pace: Pace = unhurried): Float64Array {
    const values = talkFeatures(parts, pace);
    const odds = new Float64Array(parts.units.length).fill(this.#file.start);
    for (const tree of this.#file.trees) {
      for (let at = 0; at < odds.length; at += 1) odds[at] = (odds[at] as number) + leafValue(tree, values, at);
      pace(odds.length);
    }
    return odds;
  }
}

function leafValue({ column, threshold, left, right, value }: Tree, values: Float32Array, unit: number): number {
  let node = 0;
  for (;;) {
    const looked = column[node] as number;
    if (looked < 0) return value[node] as number;
    const goesLeft = (values[unit * TALK_FEATURES + looked] as number) <= (threshold[node] as number);
    node = (goesLeft ? left[node] : right[node]) as number;
  }
}
