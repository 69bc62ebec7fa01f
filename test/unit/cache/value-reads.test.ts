/** Reads that were given up: they may still go on, but nothing of theirs goes where the next read places its value. */
import { expect, test } from 'vitest';
import { encodeBlock, payloadBytes } from '../../../src/cache/block-codec.js';
import { CircuitBreaker } from '../../../src/cache/circuit-breaker.js';
import type { BlockShape } from '../../../src/cache/tiers.js';
import { ValueReads } from '../../../src/cache/value-reads.js';

const SHAPE: BlockShape = { fingerprint: 'cd'.repeat(32), layers: 1, kvHeads: 1, headDim: 8, dtype: 'float32' };
const KEY = 'ab'.repeat(32);
const encoded = await encodeBlock(SHAPE, KEY, { tokens: 3, payload: new Uint8Array(payloadBytes(SHAPE, 3)).fill(7) });

function bench() {
  let answer!: () => void;
  const answered = new Promise<void>((resolve) => {
    answer = resolve;
  });
  const lends: Promise<unknown>[] = [];
  const breaker = new CircuitBreaker({ timeoutMs: 5, threshold: 100 });
  const reads = new ValueReads({
    shape: SHAPE,
    store: {
      get: async () => [encoded],
      lend: (_key, use) => {
        const lend = answered.then(() => use(encoded));
        lends.push(lend);
        return lend;
      },
    },
    run: breaker.run.bind(breaker) as CircuitBreaker['run'],
    remove: async () => undefined,
    onCorrupt: undefined,
  });
  return { reads, answer, lends };
}

test('a value that comes after its read was given up is not placed', async () => {
  const { reads, answer, lends } = bench();
  let placed = 0;
  const place = async () => {
    placed++;
    return 0;
  };
  expect(await reads.read(KEY, place)).toBeUndefined();
  answer();
  expect(await Promise.all(lends)).toMatchObject([{ ok: true, loaded: { placed: false } }]);
  expect(placed).toBe(0);
});
