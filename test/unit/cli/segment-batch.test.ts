/** `blockstitch segment --batch`: what a row says of itself stands before what was typed. */
import { Readable, Writable } from 'node:stream';
import { expect, test } from 'vitest';
import { segmentBatch } from '../../../src/cli/segment-batch.js';
import { readLimits } from '../../../src/segment/segment-limits.js';
import type { Segment, SegmentOptions } from '../../../src/segment/segmenter.js';

async function cut(defaults: SegmentOptions, ...rows: object[]) {
  const seen: SegmentOptions[] = [];
  let written = '';
  const output = new Writable({
    write(part, _encoding, done) {
      written += String(part);
      done();
    },
  });
  const segment = async (text: string, options: SegmentOptions): Promise<Segment[]> => {
    readLimits(options);
    seen.push(options);
    return [{ start: 0, end: text.length, tokens: 1, boundaryScore: 0, tokenIds: new Int32Array(1) }];
  };
  const input = Readable.from(rows.map((row) => `${JSON.stringify({ text: 'One.', ...row })}\n`));
  await segmentBatch(segment, defaults, input, output);
  const lines = written.trimEnd().split('\n');
  return { seen, lines: lines.map((line) => JSON.parse(line) as { error?: { code: string } }) };
}

test("a row's target stands instead of the granularity that was typed, and its granularity too", async () => {
  const { seen } = await cut(
    { granularity: 0.5, minTokens: 20 },
    {},
    { options: { target_tokens: 90 } },
    { options: { granularity: 0 } },
  );
  expect(seen).toEqual([
    { granularity: 0.5, minTokens: 20 },
    { targetTokens: 90, minTokens: 20 },
    { granularity: 0, minTokens: 20 },
  ]);
});

test('a row that gives both is refused, as a request is, and ends no other', async () => {
  const both = { options: { target_tokens: 90, granularity: 0.1 } };
  const { lines } = await cut({}, both, {});
  expect(lines.map(({ error }) => error?.code)).toEqual(['segmentation_invalid', undefined]);
});
