/**
 * The course of a meeting: what its numbers say of a change of speakers and words, that they are local, and what trees
 * make of them.
 */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { PACKAGE_DIR } from '../../../src/config.js';
import { TALK_FEATURES, talkFeatures } from '../../../src/segment/talk-features.js';
import { TALK_FILE, TalkTrees } from '../../../src/segment/talk-trees.js';
import { splitUnits } from '../../../src/segment/text-units.js';
import { unitFeatures } from '../../../src/segment/unit-features.js';
import { WordVocabulary } from '../../../src/segment/word-vocabulary.js';

const vocabulary = WordVocabulary.read(`${PACKAGE_DIR}models/segmenter/words.bin`);
/** Columns by their place in talkFeatures. */
const COSINE_OF_5 = 0;
const DEPTH_OF_5 = 1;
const SPEAKERS_OF_5 = 2;
const OTHER_SPEAKS = 18;
const SILENCE = 19;

const TOPICS = [
  {
    names: ['Anna', 'Ben', 'Carla'],
    words: ['the roof leaks over the workshop', 'slates cost too much', 'a mason mends it'],
  },
  {
    names: ['Dora', 'Emil', 'Anna'],
    words: ['our choir sings at Easter', 'the organ needs tuning', 'tenors are rare'],
  },
] as const;

function meeting(turns: number, topics: readonly number[] = [0, 1]): string {
  return topics
    .map((topic) => {
      const { names, words } = TOPICS[topic] as (typeof TOPICS)[number];
      return Array.from({ length: turns }, (_, at) => `${names[at % 3]}: ${words[(at * 2) % 3]}, as I said.\n`).join(
        '',
      );
    })
    .join('');
}

function partsOf(text: string) {
  const units = splitUnits(text);
  return { ...unitFeatures(text, units, vocabulary), text, units };
}

describe('the course of a meeting', () => {
  it('shows where other people talk of other things', () => {
    const parts = partsOf(meeting(30));
    const values = talkFeatures(parts);
    const at = (unit: number, column: number) => values[unit * TALK_FEATURES + column] as number;
    const border = 29;
    const units = Array.from({ length: 50 }, (_, unit) => unit + 5);
    for (const unit of units.filter((each) => Math.abs(each - border) > 2)) {
      expect(at(border, COSINE_OF_5)).toBeLessThan(at(unit, COSINE_OF_5));
      expect(at(border, DEPTH_OF_5)).toBeGreaterThan(at(unit, DEPTH_OF_5));
      expect(at(border, SPEAKERS_OF_5)).toBeLessThan(at(unit, SPEAKERS_OF_5));
    }
    expect(at(border, OTHER_SPEAKS)).toBe(1);
    // Dora has not spoken for longer than silences are counted; Anna spoke three units ago.
    expect(at(border, SILENCE)).toBeCloseTo(Math.log1p(200), 5);
    expect(at(10, SILENCE)).toBeCloseTo(Math.log1p(3), 5);
  });

  it('does not change far from where text is added', () => {
    const before = partsOf(meeting(400));
    const after = partsOf(`${meeting(400)}${meeting(100, [1, 0])}`);
    const [short, long] = [talkFeatures(before), talkFeatures(after)];
    // Windows of 200 units, valleys of 400 more, one neighbour to smooth; 8,000 characters from the end.
    const settled = before.units.length - 602;
    expect(settled).toBeGreaterThan(100);
    expect(long.slice(0, settled * TALK_FEATURES)).toEqual(short.slice(0, settled * TALK_FEATURES));
  });

  it('hears the phrases that move a meeting on, whatever marks and spaces a transcriber sets', () => {
    const lines = [
      "Let's talk about the budget.",
      "{vocalsound} Let 's talk about the budget .",
      '“Let’s talk about the budget”',
    ];
    const [plain, ...others] = lines.map((line) => {
      const parts = partsOf(`Anna: Yes.\nBen: No.\nAnna: ${line}\nBen: Well.\n`);
      return talkFeatures(parts).slice(2 * TALK_FEATURES + 40, 2 * TALK_FEATURES + TALK_FEATURES - 2);
    });
    expect(plain?.some((value) => value > 0)).toBe(true);
    for (const other of others) expect(other).toEqual(plain);
  });

  it('has no place that is not a number, in any text', () => {
    for (const text of ['', 'x', 'A: \nB: \nC: \nA: \nB: \nC: \n', '\n\n\n', `${'{'.repeat(2000)}\n`]) {
      const values = talkFeatures(partsOf(text));
      expect(values.every(Number.isFinite)).toBe(true);
    }
  });
});

describe('trees of talk', () => {
  function treesOf(file: object): TalkTrees {
    const path = join(mkdtempSync(join(tmpdir(), 'talk-trees-')), TALK_FILE);
    writeFileSync(path, JSON.stringify(file));
    return new TalkTrees(path);
  }

  it('add the leaf of each tree to what they start from', () => {
    const stump = { column: [OTHER_SPEAKS, -1, -1], threshold: [0.5, 0, 0], left: [1, 0, 0], right: [2, 0, 0] };
    const trees = treesOf({
      features: TALK_FEATURES,
      start: -4,
      trees: [
        { ...stump, value: [0, -1, 2] },
        { column: [-1], threshold: [0], left: [0], right: [0], value: [0.5] },
      ],
    });
    const odds = trees.logOdds(partsOf('Anna: One.\nAnna: Two.\nBen: Three.\nAnna: Four.\nBen: Five.\n'));
    expect([...odds]).toEqual([-4.5, -1.5, -1.5, -1.5, -4.5]);
  });

  it('stop where they stand when nobody waits', () => {
    const trees = new TalkTrees(`${PACKAGE_DIR}models/segmenter/${TALK_FILE}`);
    const parts = partsOf(meeting(40));
    let steps = 0;
    const enough = (more: number) => {
      steps += more;
      if (steps > 10 * parts.units.length) throw new Error('enough');
    };
    expect(() => trees.logOdds(parts, enough)).toThrow('enough');
    expect(steps).toBe(11 * parts.units.length);
  });

  it('are refused where they were trained for other features', () => {
    expect(() => treesOf({ features: TALK_FEATURES + 1, start: 0, trees: [] })).toThrow(/features of talk/);
  });

  it('that are shipped fit the features', () => {
    const trees = new TalkTrees(`${PACKAGE_DIR}models/segmenter/${TALK_FILE}`);
    const odds = trees.logOdds(partsOf(meeting(40)));
    expect(odds.every((each) => each < 3 && each > -12)).toBe(true);
  });
});
