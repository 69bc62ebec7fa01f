/** Lines of JSONL: whatever pieces the bytes come in, and whatever separators stand inside its strings. */
import { Readable } from 'node:stream';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { segmentBatch } from '../../../src/cli/segment-batch.js';
import { linesOf } from '../../../src/text/lines.js';

async function all(input: AsyncIterable<Uint8Array | string>): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of linesOf(input)) lines.push(line);
  return lines;
}

/** What some readers take for the end of a line, and what is cut in the middle of its bytes. */
const text = fc.string({
  unit: fc.oneof(fc.constantFrom('\u2028', '\u2029', '\u0085', '\v', '\f', '\r', '\n', 'é', '😀', '"'), fc.string()),
});

test('every row comes whole, in however many pieces', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(text),
      fc.array(fc.nat({ max: 400 })),
      fc.constantFrom('\n', '\r\n'),
      fc.boolean(),
      async (rows, cuts, ending, ended) => {
        const whole = rows.map((row) => JSON.stringify(row)).join(ending) + (ended && rows.length > 0 ? ending : '');
        const bytes = Buffer.from(whole);
        const borders = [...new Set([0, ...cuts.filter((cut) => cut < bytes.length), bytes.length])].sort(
          (a, b) => a - b,
        );
        const pieces = borders.slice(1).map((end, at) => bytes.subarray(borders[at], end));
        expect((await all(Readable.from(pieces))).map((line) => JSON.parse(line))).toEqual(rows);
      },
    ),
  );
});

test('an empty line is a line, nothing is none', async () => {
  expect(await all(Readable.from(['a\n', '\nb']))).toEqual(['a', '', 'b']);
  expect(await all(Readable.from([]))).toEqual([]);
});

test('`segment --batch` takes a row with U+2028 for one row', async () => {
  const seen: string[] = [];
  const written: string[] = [];
  const output = { write: (line: string) => written.push(line) > 0 } as unknown as NodeJS.WritableStream;
  const cut = async (each: string) => {
    seen.push(each);
    return [];
  };
  const input = Readable.from([Buffer.from('{"id":1,"text":"One.\u2028Two."}\n{"id":2,"text":"Three."}\n')]);
  await segmentBatch(cut, {}, input, output as never);
  expect(seen).toEqual(['One.\u2028Two.', 'Three.']);
  expect(written.map((line) => JSON.parse(line).id)).toEqual([1, 2]);
});
