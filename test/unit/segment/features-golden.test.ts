/**
 * The segmenter's features of a text stay those that its network was trained on: golden numbers, written by
 * training/fixtures/make_segmenter_features.py through the writer that training reads from.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { PACKAGE_DIR } from '../../../src/config.js';
import { canonicalText } from '../../../src/segment/canonical-text.js';
import { splitUnits } from '../../../src/segment/text-units.js';
import { FEATURE_VERSION, FEATURES, unitFeatures } from '../../../src/segment/unit-features.js';
import { WordVocabulary } from '../../../src/segment/word-vocabulary.js';

interface Golden {
  text: string;
  starts: number[];
  offsets: number[];
  rows: number[];
  values: number[][];
}

const golden = JSON.parse(readFileSync(`${PACKAGE_DIR}test/fixtures/segmenter/features.json`, 'utf8')) as Record<
  string,
  Golden
>;
const vocabulary = WordVocabulary.read(`${PACKAGE_DIR}models/segmenter/words.bin`);

describe('features', () => {
  it.each(Object.entries(golden))('of %s are those of training', (_, { text, starts, offsets, rows, values }) => {
    const canonical = canonicalText(text);
    const units = splitUnits(canonical.text);
    const found = unitFeatures(canonical.text, units, vocabulary);
    expect(units.map(({ start }) => canonical.originalOf(start))).toEqual(starts);
    expect([...found.offsets]).toEqual(offsets);
    expect([...found.rows]).toEqual(rows);
    for (const [unit, row] of values.entries()) {
      for (const [feature, value] of row.entries()) {
        expect(found.values[unit * FEATURES + feature]).toBeCloseTo(value, 5);
      }
    }
  });

  it('have the version that the shipped network was trained for', () => {
    const card = JSON.parse(readFileSync(`${PACKAGE_DIR}models/segmenter/segmenter.json`, 'utf8')) as {
      feature_version: number;
    };
    expect(card.feature_version).toBe(FEATURE_VERSION);
  });

  it('are refused from a file that is not a word table', () => {
    expect(() => WordVocabulary.read(`${PACKAGE_DIR}package.json`)).toThrow(/not a word table/);
  });
});
