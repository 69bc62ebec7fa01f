/**
 * Work grows with the text, never with the numbers of a request. The tests count steps, not time. Numbers larger than
 * the text's own length change no cut.
 */
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { cutByStrengths, standardized } from '../../../src/segment/cut-by-strengths.js';
import { embeddingStrengths } from '../../../src/segment/cut-embedding.js';
import { CUTS, type CutName } from '../../../src/segment/cuts.js';
import { slidingCohesion } from '../../../src/segment/lexical-cohesion.js';
import { MOST_BLOCK_TOKENS, readLimits } from '../../../src/segment/segment-limits.js';
import type { Segment, SegmentOptions } from '../../../src/segment/segmenter.js';
import { type ScoredUnits, selectBoundaries, selectNested } from '../../../src/segment/select-boundaries.js';
import { hashedNgramEncoder } from '../../../src/segment/sentence-encoder.js';
import { SpanTokens } from '../../../src/segment/span-tokens.js';
import { splitUnits } from '../../../src/segment/text-units.js';
import { Abandoned } from '../../../src/text/pace.js';
import { readTokenizerDefinition } from '../../../src/text/read-tokenizer.js';
import { Tokenizer } from '../../../src/text/tokenizer.js';
import { directoryOf } from '../../support/tokenizer-fixtures.js';

let tokenizer: Tokenizer;

beforeAll(async () => {
  tokenizer = new Tokenizer(await readTokenizerDefinition(directoryOf('qwen2')));
});

type AnyCut = (tokens: SpanTokens, limits: ReturnType<typeof readLimits>) => Segment[];

/** A stand-in for a network: any strengths will do, the choice among them is what is bounded. */
const byStrengths: AnyCut = (tokens, limits) => {
  const units = splitUnits(tokens.text);
  const strengths = standardized(Float64Array.from(units, (_, at) => Math.sin(at * 12.9898) * 3));
  return cutByStrengths(tokens, [{ units, strengthsOf: () => strengths }], limits, -2);
};

const CUTTERS: [string, AnyCut][] = [
  ...(Object.keys(CUTS) as CutName[]).map((name): [string, AnyCut] => [name, CUTS[name]]),
  ['by strengths', byStrengths],
];

function counted(cut: AnyCut, text: string, options: SegmentOptions): { segments: Segment[]; steps: number } {
  let steps = 0;
  const tokens = new SpanTokens(text, tokenizer, (more) => {
    steps += more;
  });
  return { segments: cut(tokens, readLimits(options)), steps };
}

const options: fc.Arbitrary<SegmentOptions> = fc
  .record(
    {
      targetTokens: fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: MOST_BLOCK_TOKENS })),
      minTokens: fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: MOST_BLOCK_TOKENS })),
      maxTokens: fc.oneof(fc.integer({ min: 16, max: 80 }), fc.integer({ min: 16, max: MOST_BLOCK_TOKENS })),
      granularity: fc.double({ min: 0, max: 1, noNaN: true }),
    },
    { requiredKeys: [] },
  )
  .filter((given) => {
    try {
      return readLimits(given).maxTokens > 0;
    } catch {
      return false;
    }
  });

const texts = fc
  .array(fc.constantFrom('a\n', 'One is here. ', 'Two is there.\n\n', '# Head\n', 'x', ' ', '中。', '```\nc\n```\n'), {
    minLength: 1,
    maxLength: 250,
  })
  .map((parts) => parts.join(''));

describe.each(CUTTERS)('the work of %s', (_, cut) => {
  it('is bounded by the text, with any numbers', () => {
    fc.assert(
      fc.property(texts, options, (text, given) => {
        const { steps } = counted(cut, text, given);
        // Characters are read a few times over; pairs of units are weighed at 15 prices on each rung of the ladder.
        const units = splitUnits(text).length;
        expect(steps).toBeLessThan(48 * text.length + 64 * (16 * units * Math.min(units, 3072)) + 64 * text.length);
      }),
      { numRuns: 120 },
    );
  });

  it('is no more for the largest numbers than for the length of the text itself', () => {
    const text = 'One is here. Two is there.\n'.repeat(60);
    const length = tokenizer.count(text);
    for (const largest of [
      { targetTokens: MOST_BLOCK_TOKENS, maxTokens: MOST_BLOCK_TOKENS },
      { targetTokens: MOST_BLOCK_TOKENS, minTokens: MOST_BLOCK_TOKENS, maxTokens: MOST_BLOCK_TOKENS },
      { targetTokens: MOST_BLOCK_TOKENS, minTokens: 1, maxTokens: MOST_BLOCK_TOKENS },
    ]) {
      const own = counted(cut, text, { targetTokens: length, maxTokens: length }).steps;
      expect(counted(cut, text, largest).steps).toBeLessThanOrEqual(3 * own);
    }
  });

  it('gives the same cuts for any maximum that no text reaches', () => {
    fc.assert(
      fc.property(
        texts,
        fc.integer({ min: 4, max: 60 }),
        fc.integer({ min: 0, max: MOST_BLOCK_TOKENS }),
        (text, target, more) => {
          const length = Math.max(16, target, tokenizer.count(text));
          const given = { targetTokens: target, minTokens: 1 };
          const spans = (maxTokens: number) =>
            counted(cut, text, { ...given, maxTokens }).segments.map(({ start, end }) => [start, end]);
          expect(spans(Math.min(MOST_BLOCK_TOKENS, 2 * length + more))).toEqual(spans(2 * length));
        },
      ),
      { numRuns: 60 },
    );
  });

  it('stops where it stands when nobody waits for it', () => {
    const text = 'One is here. Two is there.\n'.repeat(400);
    let left = 3;
    const tokens = new SpanTokens(text, tokenizer, () => {
      left -= 1;
      if (left < 0) throw new Abandoned();
    });
    expect(() => cut(tokens, readLimits({}))).toThrow(Abandoned);
    expect(left).toBe(-1);
  });
});

describe('the example of the fault', () => {
  const text = 'One is here. Two is there.';

  it('of a maximum of 136,909,161,881 tokens is refused with its bound', () => {
    expect(() => readLimits({ granularity: 1, maxTokens: 136_909_161_881 })).toThrow(/1 to 1048576/);
    expect(() => readLimits({ targetTokens: 20_000_000 })).toThrow(/1 to 1048576/);
  });

  it('costs a few hundred steps at the bound', () => {
    for (const [, cut] of CUTTERS) {
      const { segments, steps } = counted(cut, text, { granularity: 1, maxTokens: MOST_BLOCK_TOKENS });
      expect(segments.at(-1)?.end).toBe(text.length);
      expect(steps).toBeLessThan(1000);
    }
  });
});

describe('the choice of boundaries', () => {
  const scored = (pairs: readonly (readonly [number, number])[], pace: (steps: number) => void): ScoredUnits => ({
    tokens: pairs.map(([tokens]) => tokens),
    strengthsAt: () => pairs.map(([, strength]) => strength),
    pace,
  });
  const pairs = fc.array(fc.tuple(fc.integer({ min: 1, max: 60 }), fc.double({ min: -8, max: 8, noNaN: true })), {
    minLength: 1,
    maxLength: 200,
  });

  it('takes no longer table than the text has tokens, on every rung of a ladder however high', () => {
    fc.assert(
      fc.property(pairs, fc.integer({ min: 64, max: MOST_BLOCK_TOKENS }), (some, maxTokens) => {
        let steps = 0;
        const units = scored(some, (more) => {
          steps += more;
        });
        const total = some.reduce((sum, [tokens]) => sum + tokens, 0);
        const limits = readLimits({ granularity: 1, maxTokens });
        const ends = selectNested(units, limits, 1, 48, Math.floor(maxTokens * 0.75));
        expect(ends.at(-1)).toBe(some.length - 1);
        expect(steps).toBeLessThan(35 * (total + some.length) + 35 * 15 * some.length ** 2);
      }),
      { numRuns: 100 },
    );
  });

  it('keeps to a fixed number of places in a stretch, and to the maximum, where units are very many', () => {
    const some = Array.from({ length: 30_000 }, (_, at) => [1 + (at % 3), ((at * 7919) % 1000) / 100 - 5] as const);
    const total = some.reduce((sum, [tokens]) => sum + tokens, 0);
    let steps = 0;
    const units = scored(some, (more) => {
      steps += more;
    });
    for (const targetTokens of [5000, total, MOST_BLOCK_TOKENS]) {
      steps = 0;
      const limits = readLimits({ targetTokens, maxTokens: MOST_BLOCK_TOKENS, minTokens: 1 });
      const ends = selectBoundaries(units, limits);
      expect(ends.at(-1)).toBe(some.length - 1);
      expect(steps).toBeLessThan(15 * 3072 * 3072 * 4);
    }
    const limits = readLimits({ targetTokens: 4000, maxTokens: 4096 });
    let reached = 0;
    let at = 0;
    for (const end of selectBoundaries(units, limits)) {
      let tokens = 0;
      for (; at <= end; at += 1) tokens += some[at]?.[0] ?? 0;
      expect(tokens).toBeLessThanOrEqual(4096);
      reached += tokens;
    }
    expect(reached).toBe(total);
  });
});

describe('what strengths are made of', () => {
  it('does not grow with the width of a window: each word goes in and out once', () => {
    const bags = {
      offsets: Int32Array.of(0, 2, 3, 5),
      words: Int32Array.of(0, 1, 0, 1, 2),
      weights: Int32Array.of(1, 1, 1),
    };
    expect(slidingCohesion(bags, 2 ** 40)).toEqual(slidingCohesion(bags, 3));
  });

  it('is one vector per unit for the embedding segmenter, and stops when nobody waits', async () => {
    const text = 'One is here. Two is there.\n'.repeat(50);
    let encoded = 0;
    await embeddingStrengths(text, hashedNgramEncoder, (more) => {
      encoded += more;
    });
    expect(encoded).toBe(splitUnits(text).length);
    const stop = () => {
      throw new Abandoned();
    };
    await expect(embeddingStrengths(text, hashedNgramEncoder, stop)).rejects.toThrow(Abandoned);
  });
});
