/** Units, the places between which a text may be cut: in prose, wrapped prose, chats, code, scripts without spaces. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { slidingCohesion, type UnitBags } from '../../../src/segment/lexical-cohesion.js';
import { speakerBags, speakerLabels } from '../../../src/segment/speaker-labels.js';
import { splitUnits } from '../../../src/segment/text-units.js';
import { hashOf, visitWords } from '../../../src/segment/text-words.js';
import { FEATURES, unitFeatures } from '../../../src/segment/unit-features.js';
import { WordVocabulary } from '../../../src/segment/word-vocabulary.js';

function texts(text: string): string[] {
  return splitUnits(text).map(({ start, end }) => text.slice(start, end));
}

function words(text: string): string[] {
  const found: string[] = [];
  visitWords(text, 0, text.length, 1000, ({ start, end }) => found.push(text.slice(start, end)));
  return found;
}

describe('units', () => {
  it('cover any text exactly once', () => {
    const pieces = fc.constantFrom(
      'word ',
      'End. ',
      '\n',
      '\n\n',
      '```\nx\n```\n',
      '| a | b |\n',
      '中。',
      '😀',
      'A: hi\n',
    );
    const any = fc.oneof(
      fc.array(pieces, { maxLength: 200 }).map((parts) => parts.join('')),
      fc.string({ unit: 'binary', maxLength: 200 }),
    );
    fc.assert(
      fc.property(any, (text) => {
        expect(texts(text).join('')).toBe(text);
        for (const unit of splitUnits(text)) {
          expect(unit.end).toBeGreaterThan(unit.start);
          expect(unit.contentStart).toBeGreaterThanOrEqual(unit.start);
          expect(unit.contentEnd).toBeLessThanOrEqual(unit.end);
        }
      }),
      { numRuns: 100 },
    );
  });

  it('are lines in a chat, long and without stops as they may be', () => {
    const chat = [
      'hi there , i just got back from walking my dog in the park',
      'cool what kind of dog is it',
      'yeah she is a labrador and she really likes to chase after birds and squirrels all day',
      'i used to have one when i was a kid',
      'what do you do for a living',
    ].join('\n');
    expect(texts(chat)).toHaveLength(5);
  });

  it('are sentences where prose is wrapped at a margin', () => {
    const prose =
      'The harbour was built in the reign of the third king, who had the\n' +
      'stones brought over the sea by barges from the quarries up in the\n' +
      'north. It stood for six hundred years before the great storm broke\n' +
      'its outer wall. Nobody has repaired the breach since that winter of\n' +
      'the flood, and the fishermen land their boats on the beach instead.\n';
    for (const unit of texts(prose)) expect(unit.trimEnd()).toMatch(/\.$/);
    expect(texts(prose).length).toBeLessThan(5);
  });

  it('keep a code fence whole and rows of a table apart', () => {
    const text = 'Before.\n```js\nconst a = 1;\n\nconst b = 2;\n```\n| a | b |\n| c | d |\nAfter.\n';
    expect(texts(text)).toEqual([
      'Before.\n',
      '```js\nconst a = 1;\n\nconst b = 2;\n```\n',
      '| a | b |\n',
      '| c | d |\n',
      'After.\n',
    ]);
  });

  it('are sentences of long lines, in scripts without spaces too', () => {
    const line = '港は三代目の王の時代に造られた。石は北の採石場から船で運ばれた。'.repeat(8);
    expect(texts(line)).toHaveLength(16);
  });
});

describe('words', () => {
  it('part names, numbers and marks, and keep apostrophes', () => {
    expect(words("readFileSync(my_path, 42); don't")).toEqual([
      'read',
      'File',
      'Sync',
      '(',
      'my',
      '_',
      'path',
      ',',
      '42',
      ')',
      ';',
      "don't",
    ]);
    expect(words('中文 word')).toEqual(['中', '文', 'word']);
  });

  it('hash alike whatever the case, and numbers by their length', () => {
    const shapes: number[] = [];
    visitWords('Straße STRASSE straße 17 42 421', 0, 31, 10, (word) => shapes.push(word.shape));
    expect(shapes[0]).toBe(hashOf('straße'));
    expect(shapes[2]).toBe(shapes[0]);
    expect(shapes[1]).not.toBe(shapes[0]);
    expect(shapes[3]).toBe(shapes[4]);
    expect(shapes[5]).not.toBe(shapes[4]);
  });
});

describe('speakers', () => {
  it('are told from labels that come again, not from a colon in prose', () => {
    const text = 'Anna: Hello.\nBen: Hi.\nAnna: How are you?\nNote: this line stands alone.\nBen: Fine.\n';
    const labels = speakerLabels(text, splitUnits(text));
    expect(labels.map(({ speaker }) => speaker !== 0)).toEqual([true, true, true, false, true]);
    expect(labels[0]?.speaker).toBe(labels[2]?.speaker);
    expect(text.slice(labels[2]?.textStart).startsWith('How are')).toBe(true);
  });

  it('part windows where others begin to speak, and carry on over lines without a label', () => {
    const turns = (names: string[]) =>
      Array.from({ length: 12 }, (_, at) => `${names[at % 2]}: it was said here\nand went on below\n`).join('');
    const text = turns(['Anna', 'Ben']) + turns(['Carla', 'David']);
    const units = splitUnits(text);
    const labels = speakerLabels(text, units);
    const cosines = slidingCohesion(speakerBags(labels, new Int32Array(units.length).fill(4)), 8);
    const border = units.findIndex(({ start }) => text.startsWith('Carla', start)) - 1;
    expect(cosines[border]).toBe(0);
    expect(cosines[border - 12]).toBeCloseTo(1, 5);
    expect(cosines[border + 12]).toBeCloseTo(1, 5);
    expect(speakerBags(speakerLabels('No.\nOne.\n', splitUnits('No.\nOne.\n')), [1, 1]).words.length).toBe(0);
  });
});

describe('lexical cohesion', () => {
  const bags = fc
    .array(fc.array(fc.integer({ min: 0, max: 7 }), { maxLength: 6 }), { minLength: 1, maxLength: 40 })
    .map((units) => ({ units, bags: bagsOf(units) }));

  function bagsOf(units: readonly number[][]): UnitBags {
    const offsets = new Int32Array(units.length + 1);
    for (const [index, unit] of units.entries()) offsets[index + 1] = (offsets[index] as number) + unit.length;
    return {
      offsets,
      words: Int32Array.from(units.flat()),
      weights: Int32Array.from({ length: 8 }, (_, word) => 40 + word * 10),
    };
  }

  function directly(units: readonly number[][], at: number, width: number): number {
    const bag = (some: readonly number[][]) => {
      const counts = new Array<number>(8).fill(0);
      for (const word of some.flat()) counts[word] = (counts[word] as number) + 40 + word * 10;
      return counts;
    };
    const left = bag(units.slice(Math.max(0, at + 1 - width), at + 1));
    const right = bag(units.slice(at + 1, at + 1 + width));
    const dot = (a: number[], b: number[]) => a.reduce((sum, value, index) => sum + value * (b[index] as number), 0);
    const norm = Math.sqrt(dot(left, left) * dot(right, right));
    return norm > 0 ? dot(left, right) / norm : 0;
  }

  it('is the cosine of the windows left and right, at every width', () => {
    fc.assert(
      fc.property(bags, fc.integer({ min: 1, max: 12 }), ({ units, bags: made }, width) => {
        const cosines = slidingCohesion(made, width);
        for (let at = 0; at < units.length; at += 1) {
          expect(cosines[at]).toBeCloseTo(directly(units, at, width), 10);
        }
      }),
    );
  });
});

describe('features', () => {
  it('of a unit do not change when text is added far behind it', () => {
    const vocabulary = new WordVocabulary(Uint32Array.of(hashOf('harbour')), Uint8Array.of(90), 64, 170);
    const text = Array.from({ length: 300 }, (_, at) => `Line ${at} tells of harbour ${at % 7}.\n`).join('');
    const whole = unitFeatures(text, splitUnits(text), vocabulary);
    const half = text.slice(0, text.indexOf('Line 200'));
    const part = unitFeatures(half, splitUnits(half), vocabulary);
    const same = 140 * FEATURES;
    expect(part.values.slice(0, same)).toEqual(whole.values.slice(0, same));
    expect(part.rows.slice(0, part.offsets[140])).toEqual(whole.rows.slice(0, whole.offsets[140]));
  });
});
