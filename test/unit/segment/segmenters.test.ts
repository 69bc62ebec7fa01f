/** Segmenters cover the text exactly, keep the maximum, cut where the text allows it, and do not move if text is added. */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createSegmenter } from '../../../src/segment/create-segmenter.js';
import { CUTS, type CutName } from '../../../src/segment/cuts.js';
import { readLimits } from '../../../src/segment/segment-limits.js';
import type { Segment, SegmentOptions } from '../../../src/segment/segmenter.js';
import { SpanTokens } from '../../../src/segment/span-tokens.js';
import { createTextService, type TextService } from '../../../src/text/text-service.js';
import { directoryOf } from '../../support/tokenizer-fixtures.js';

const NAMES = Object.keys(CUTS) as CutName[];
let service: TextService;

beforeAll(async () => {
  service = await createTextService({ checkpointDir: directoryOf('qwen2') });
});

afterAll(() => service.close());

function cut(name: CutName, text: string, options: SegmentOptions = {}): Segment[] {
  return CUTS[name](new SpanTokens(text, service.tokenizer), readLimits(options));
}

function check(text: string, segments: readonly Segment[], maxTokens: number): void {
  expect(segments.map((segment) => text.slice(segment.start, segment.end)).join('')).toBe(text);
  let reached = 0;
  for (const segment of segments) {
    expect(segment.start).toBe(reached);
    expect(segment.end).toBeGreaterThan(segment.start);
    expect(segment.tokenIds).toEqual(service.tokenizer.encode(text.slice(segment.start, segment.end)));
    expect(segment.tokens).toBe(segment.tokenIds?.length);
    expect(segment.tokens).toBeLessThanOrEqual(maxTokens);
    reached = segment.end;
  }
  if (text !== '') expect(segments.at(-1)?.boundaryScore).toBe(1);
}

describe.each(NAMES)('the %s segmenter', (name) => {
  const pieces = fc.constantFrom(
    'a',
    'word ',
    'Sentence one. ',
    '\n',
    '\n\n',
    '# Head\n',
    '- item\n',
    '| a | b |\n',
    '```\ncode\n```\n',
    '中',
    '😀',
    'e\u0301',
    '\t',
    '\0',
  );
  const texts = fc.oneof(
    fc.array(pieces, { maxLength: 300 }).map((parts) => parts.join('')),
    fc.string({ unit: 'binary', maxLength: 300 }),
  );

  it('covers any text exactly once, within the maximum', () => {
    fc.assert(
      fc.property(texts, fc.integer({ min: 16, max: 80 }), (text, maxTokens) => {
        check(text, cut(name, text, { maxTokens }), maxTokens);
      }),
      { numRuns: 150 },
    );
  });

  it.each([
    ['one line without spaces', 'x'.repeat(500_000)],
    ['only line breaks', '\n'.repeat(500_000)],
    ['bytes', Array.from({ length: 200_000 }, (_, at) => String.fromCharCode((at * 7919) % 256)).join('')],
    ['emoji families', '👩‍👩‍👧'.repeat(20_000)],
  ])('takes %s', (_, text) => {
    const segments = cut(name, text);
    expect(segments.at(-1)?.end).toBe(text.length);
    for (const segment of segments) expect(segment.tokens).toBeLessThanOrEqual(512);
  });
});

const PROSE = Array.from({ length: 120 }, (_, at) =>
  at % 12 === 0
    ? `## Part ${at / 12}\n\n`
    : `Paragraph ${at} says a few things. It says them twice over, in plain words.\n\n`,
).join('');

describe('the structural segmenter', () => {
  it('never cuts inside a code fence, a table row or a word', () => {
    const fence = `\`\`\`js\n${'const x = 1;\n\n'.repeat(8)}\`\`\`\n`;
    const row = '| left cell with words | right cell with words |\n';
    const text = `${PROSE.slice(0, 900)}\n\n${fence}\n${row.repeat(20)}\n${PROSE.slice(0, 900)}`;
    const segments = cut('structural', text, { targetTokens: 60, maxTokens: 256 });
    const fenceStart = text.indexOf(fence);
    for (const { end } of segments.slice(0, -1)) {
      expect(end > fenceStart && end < fenceStart + fence.length).toBe(false);
      expect(/\w\w/.test(text.slice(end - 1, end + 1))).toBe(false);
      const line = text.slice(text.lastIndexOf('\n', end - 1) + 1, text.indexOf('\n', end));
      if (line.startsWith('|')) expect(text[end - 1]).toBe('\n');
    }
  });

  it('keeps a heading with what it heads', () => {
    for (const { end } of cut('structural', PROSE).slice(0, -1))
      expect(PROSE.slice(0, end).trimEnd()).not.toMatch(/## Part \d+$/);
  });

  it('does not move boundaries far before text that is added at the end', () => {
    const before = cut('structural', PROSE);
    const after = cut('structural', `${PROSE}And then much more is added here. ${'More words follow. '.repeat(80)}`);
    const kept = before.slice(0, -3).map((segment) => segment.end);
    expect(after.map((segment) => segment.end)).toEqual(expect.arrayContaining(kept));
  });

  it('gives longer segments at a coarser granularity', () => {
    const counts = [0, 0.25, 0.5, 0.75, 1].map((granularity) => cut('structural', PROSE, { granularity }).length);
    expect(counts).toEqual([...counts].sort((a, b) => b - a));
    expect(counts[0]).toBeGreaterThan((counts[4] ?? 0) * 3);
  });

  it('takes a number of steps that is linear in the text', () => {
    const steps = (copies: number) => {
      let taken = 0;
      const tokens = new SpanTokens(PROSE.repeat(copies), service.tokenizer, (more) => {
        taken += more;
      });
      CUTS.structural(tokens, readLimits({}));
      return taken;
    };
    expect(steps(64)).toBeLessThan(steps(8) * 8 * 1.05);
  });
});

describe('createSegmenter', () => {
  it('cuts long texts in a thread as short ones here', async () => {
    const segmenter = await createSegmenter('structural', { textService: service });
    expect(await segmenter.segment(PROSE, {})).toEqual(cut('structural', PROSE));
    expect(await segmenter.segment('', {})).toEqual([]);
  });

  it('refuses names that it does not know', async () => {
    await expect(createSegmenter('toString' as 'fixed', { textService: service })).rejects.toMatchObject({
      code: 'segmentation_invalid',
    });
  });

  it.each([
    [{ targetTokens: 0 }, /target_tokens/],
    [{ targetTokens: 1.5 }, /whole number/],
    [{ minTokens: 300, targetTokens: 200 }, /min_tokens/],
    [{ targetTokens: 300, maxTokens: 200 }, /target_tokens/],
    [{ maxTokens: 4 }, /at least 16/],
    [{ granularity: 2 }, /granularity/],
    [{ granularity: Number.NaN }, /granularity/],
    [{ granularity: 0.5, targetTokens: 100 }, /cannot be given together/],
  ])('refuses options that contradict one another: %j', (options, reason) => {
    expect(() => readLimits(options)).toThrow(reason);
  });

  it('maps granularity to a target that only grows', () => {
    const targets = Array.from({ length: 101 }, (_, at) => readLimits({ granularity: at / 100 }).targetTokens);
    expect(targets).toEqual([...targets].sort((a, b) => a - b));
    expect([targets[0], targets[100]]).toEqual([48, 384]);
  });
});

describe.each(['paragraphs', 'recursive', 'structural', 'texttiling'] as const)('%s', (name) => {
  it('cuts a file with line ends of Windows where it cuts the same with line ends of Unix', () => {
    const text = Array.from({ length: 9 }, (_, at) => `Paragraph ${at} has some words about the thing ${at} and more.`);
    const cutsOf = (lineEnd: string) => {
      const file = text.join(lineEnd + lineEnd);
      return cut(name, file, { targetTokens: 40 }).map(({ start, end }) => file.slice(start, end).replaceAll('\r', ''));
    };
    expect(cutsOf('\n').length).toBeGreaterThan(2);
    expect(cutsOf('\r\n')).toEqual(cutsOf('\n'));
  });
});
