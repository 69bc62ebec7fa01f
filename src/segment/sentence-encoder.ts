/**
 * Vectors of sentences, behind one interface: any encoder will do for the embedding segmenter. The one that is always
 * there hashes words and character trigrams into a bag; it needs no model and knows no language.
 */
import { type Pace, unhurried } from '../text/pace.js';
import { visitWords } from './text-words.js';

export interface SentenceEncoder {
  /**
   * @param pace told of the texts as they are encoded
   * @returns one vector of unit length (or zero) for each text, all of one dimension
   */
  encode(texts: readonly string[], pace?: Pace): Promise<Float32Array[]>;
}

const DIMENSIONS = 512;
const MOST_WORDS = 1024;

/** Vector of one text: signed counts of hashed words and of their beginnings and ends. [512] */
export function hashedNgrams(text: string): Float32Array {
  const vector = new Float32Array(DIMENSIONS);
  const add = (hash: number, weight: number) => {
    const slot = hash % DIMENSIONS;
    vector[slot] = (vector[slot] as number) + (hash & 0x10000 ? weight : -weight);
  };
  visitWords(text, 0, text.length, MOST_WORDS, (word) => {
    if (word.isPunctuation) return;
    add(word.identity, 1);
    add(word.prefix, 0.5);
    add(word.suffix, 0.25);
  });
  return normalized(vector);
}

export const hashedNgramEncoder: SentenceEncoder = {
  encode: async (texts, pace = unhurried) =>
    texts.map((text) => {
      pace(1);
      return hashedNgrams(text);
    }),
};

/** Scales a vector to unit length, in place; a zero vector stays. */
export function normalized(vector: Float32Array): Float32Array {
  let norm = 0;
  for (const value of vector) norm += value * value;
  if (norm > 0) {
    const scale = 1 / Math.sqrt(norm);
    for (let at = 0; at < vector.length; at += 1) vector[at] = (vector[at] as number) * scale;
  }
  return vector;
}
