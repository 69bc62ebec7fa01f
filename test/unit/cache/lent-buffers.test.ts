/** Lent memory: no more of it than promised, one borrower at a time, and whoever waits longest is next. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LentBuffers } from '../../../src/cache/lent-buffers.js';

const MIB = 1024 * 1024;

test('a buffer has one borrower at a time, is large enough, and there are never more than promised', async () => {
  const asks = fc.array(
    fc.record({ bytes: fc.integer({ min: 1, max: 3 * MIB }), turns: fc.nat(4), fails: fc.boolean() }),
  );
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 4 }), asks, async (most, drawn) => {
      const buffers = new LentBuffers(most);
      const out = new Set<ArrayBufferLike>();
      const began: number[] = [];
      const borrow = (index: number, { bytes, turns, fails }: (typeof drawn)[number]) =>
        buffers.lend(bytes, async (buffer) => {
          began.push(index);
          expect(buffer.byteLength).toBeGreaterThanOrEqual(bytes);
          expect(out.has(buffer.buffer)).toBe(false);
          out.add(buffer.buffer);
          expect(out.size).toBeLessThanOrEqual(most);
          for (let turn = 0; turn < turns; turn++) await new Promise(setImmediate);
          out.delete(buffer.buffer);
          if (fails) throw new Error('drawn');
          return index;
        });
      const answers = await Promise.allSettled(drawn.map((each, index) => borrow(index, each)));
      expect(answers.map(({ status }) => status)).toEqual(drawn.map(({ fails }) => (fails ? 'rejected' : 'fulfilled')));
      expect(began).toEqual(drawn.map((_, index) => index));
      expect(out.size).toBe(0);
    }),
    { numRuns: 50 },
  );
});

test('values of one size share memory', async () => {
  const buffers = new LentBuffers(2);
  const seen = new Set<ArrayBufferLike>();
  for (let turn = 0; turn < 10; turn++) await buffers.lend(2 * MIB - turn, async ({ buffer }) => seen.add(buffer));
  expect(seen.size).toBe(1);
});
