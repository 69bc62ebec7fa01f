/** Reads over a line that may be thrown away: few large values are asked for at once, and none that nobody waits for. */
import type { Redis } from 'ioredis';
import { expect, test } from 'vitest';
import { RedisLoads } from '../../../src/cache/redis-loads.js';

const MIB = 1024 * 1024;
const settled = () => new Promise((resolve) => setImmediate(resolve));

/** A Redis that answers when the test says so. */
function line() {
  const loads = new RedisLoads({ status: 'ready' } as unknown as Redis, { disposable: false });
  const asked: { name: string; answer: (bytes: number) => void; fail: () => void }[] = [];
  const read = (name: string, signal?: AbortSignal) =>
    loads.read(
      () =>
        new Promise((resolve, reject) =>
          asked.push({
            name,
            answer: (bytes) => resolve([new Uint8Array(bytes)]),
            fail: () => reject(new Error('refused')),
          }),
        ),
      signal,
    );
  return { read, asked, names: () => asked.map(({ name }) => name) };
}

test('two large values are on the way at once, in the order of the asking', async () => {
  const { read, asked, names } = line();
  const reads = Promise.allSettled(['a', 'b', 'c', 'd'].map((name) => read(name)));
  await settled();
  expect(names()).toEqual(['a', 'b']);
  asked[1]?.answer(5 * MIB);
  await settled();
  expect(names()).toEqual(['a', 'b', 'c']);
  asked[0]?.fail();
  await settled();
  expect(names()).toEqual(['a', 'b', 'c', 'd']);
  for (const each of asked) each.answer(5 * MIB);
  expect((await reads).map(({ status }) => status)).toEqual(['rejected', ...Array(3).fill('fulfilled')]);
});

test('small values travel in larger groups, but one that is small changes little', async () => {
  const { read, asked } = line();
  const reads = Array.from({ length: 200 }, (_, index) => read(`${index}`));
  await settled();
  expect(asked.length).toBe(2);
  asked[0]?.answer(1_000);
  await settled();
  expect(asked.length).toBe(3);
  for (let answered = 1; answered < 60; answered++) {
    asked[answered]?.answer(1_000);
    await settled();
  }
  expect(asked.length - 60).toBe(64);
  for (let answered = 60; answered < 200; answered++) {
    asked[answered]?.answer(1_000);
    await settled();
  }
  await Promise.all(reads);
});

test('what nobody waits for any more is not asked', async () => {
  const { read, asked, names } = line();
  const [first, second] = [read('a'), read('b')];
  const left = new AbortController();
  const third = read('c', left.signal);
  const fourth = read('d');
  await settled();
  left.abort(new Error('gone'));
  await expect(third).rejects.toThrow('gone');
  for (const each of asked) each.answer(MIB);
  await Promise.all([first, second]);
  await settled();
  expect(names()).toEqual(['a', 'b', 'd']);
  asked[2]?.answer(MIB);
  await fourth;
});
