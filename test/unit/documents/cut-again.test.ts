/** A document that changes keeps the cuts of what stays, whatever the change. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { cutAgain } from '../../../src/documents/cut-again.js';
import type { Segmentation } from '../../../src/documents/segmentation.js';

const SIZE = 10;
const signal = new AbortController().signal;
/** Cuts after each so many characters, so a change moves every cut behind it. Names what it cut. */
function fixedCut(name = 'fixed') {
  const cut: string[] = [];
  const segment: Segmentation = Object.assign(
    async (text: string) => {
      cut.push(text);
      const count = Math.max(1, Math.ceil(text.length / SIZE));
      return Array.from({ length: count }, (_, at) => {
        const end = Math.min(text.length, (at + 1) * SIZE);
        return { start: at * SIZE, end, tokens: end - at * SIZE, boundaryScore: 1 };
      });
    },
    { nameOf: () => name },
  );
  return { segment, cut };
}

async function again(old: string, text: string, { name = 'fixed', maxSegments = 1000 } = {}) {
  const { segment } = fixedCut();
  const segments = (await segment(old, {})).map(({ start, end, tokens }) => ({ start, end, tokens }));
  const next = fixedCut(name);
  const before = { text: old, segments, cutName: 'fixed' };
  const spans = await cutAgain(next.segment, before, text, {}, maxSegments, { signal });
  return { spans, cut: next.cut, texts: spans.map(({ start, end }) => text.slice(start, end)) };
}

const letters = (length: number) =>
  Array.from({ length }, (_, at) => String.fromCharCode(97 + ((at * 7) % 26))).join('');

describe('a text that replaces another one', () => {
  test('is cut anew only where it has changed', async () => {
    const old = letters(200);
    const { spans, cut, texts } = await again(old, `${old.slice(0, 95)}XYZ${old.slice(95)}`);
    expect(cut).toEqual([`${old.slice(90, 95)}XYZ${old.slice(95, 100)}`]);
    expect(texts.slice(0, 9).concat(texts.slice(-10))).toEqual(
      [...Array(9).keys(), ...Array.from({ length: 10 }, (_, at) => at + 10)].map((at) =>
        old.slice(at * 10, at * 10 + 10),
      ),
    );
    expect(spans.at(-1)).toMatchObject({ end: 203, tokens: 10 });
  });

  test('takes a neighbour in where a crumb would be left, and cuts nothing where a block just goes', async () => {
    const old = letters(200);
    expect((await again(old, old.slice(0, 92) + old.slice(99))).cut).toEqual([old.slice(80, 92) + old[99]]);
    const { cut, spans } = await again(old, old.slice(0, 90) + old.slice(100));
    expect([cut, spans.length]).toEqual([[], 19]);
  });

  test('is cut as a whole if most of it is new, if the rule has changed, and if it would have too many segments', async () => {
    const old = letters(200);
    const edited = `${old.slice(0, 95)}X${old.slice(95)}`;
    expect((await again(old, old.toUpperCase())).cut).toEqual([old.toUpperCase()]);
    expect((await again(old, edited, { name: 'other' })).cut).toEqual([edited]);
    expect((await again(old, edited, { maxSegments: 19 })).cut.at(-1)).toBe(edited);
    expect((await again(old, old)).cut).toEqual([old]);
  });

  test('is covered exactly once, and every kept span has the text it had', async () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', ' ', '\n', '\u{1f600}'), minLength: 1, maxLength: 120 });
    const edits = fc.record({ old: text, at: fc.nat(120), out: fc.nat(60), put: fc.string({ maxLength: 40 }) });
    await fc.assert(
      fc.asyncProperty(edits, async ({ old, at, out, put }) => {
        const next = old.slice(0, at) + put + old.slice(at + out);
        if (next === '') return;
        const { spans, texts } = await again(old, next);
        expect(texts.join('')).toBe(next);
        let end = 0;
        for (const span of spans) {
          expect(span.start).toBe(end);
          expect(span.tokens).toBe(span.end - span.start);
          end = span.end;
        }
      }),
    );
  });
});
