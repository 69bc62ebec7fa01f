/** One order per key. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { KeyedQueue } from '../../../src/documents/keyed-queue.js';
import { Slots } from '../../../src/documents/slots.js';
import { gate } from '../../support/documents-bench.js';

test('work under one key never overlaps and keeps its order, also if some of it fails or is given up', async () => {
  const task = fc.record({ key: fc.constantFrom('a', 'b'), fails: fc.boolean(), givenUp: fc.boolean() });
  await fc.assert(
    fc.asyncProperty(fc.array(task, { maxLength: 12 }), fc.infiniteStream(fc.nat(3)), async (tasks, turns) => {
      const queue = new KeyedQueue();
      const running = new Set<string>();
      const order: Record<string, number[]> = { a: [], b: [] };
      const results = tasks.map(({ key, fails, givenUp }, index) => {
        const controller = new AbortController();
        const result = queue.run(
          key,
          async () => {
            expect(running.has(key)).toBe(false);
            running.add(key);
            order[key]?.push(index);
            for (let turn = Number(turns.next().value); turn > 0; turn--) await new Promise(setImmediate);
            running.delete(key);
            if (fails) throw new Error('it fails');
          },
          controller.signal,
        );
        if (givenUp) controller.abort(new Error('given up'));
        return result;
      });
      await Promise.allSettled(results);
      for (const indices of Object.values(order)) expect(indices).toEqual([...indices].sort((a, b) => a - b));
      const kept = tasks.flatMap(({ givenUp }, index) => (givenUp ? [] : [index]));
      expect(Object.values(order).flat()).toEqual(expect.arrayContaining(kept));
    }),
    { numRuns: 60 },
  );
});

test('a caller that gives up its turn leaves the others in their places', async () => {
  const queue = new KeyedQueue();
  const { wait, open } = gate();
  const order: string[] = [];
  const first = queue.run('k', async () => {
    await wait;
    order.push('first');
  });
  const controller = new AbortController();
  const second = queue.run('k', async () => void order.push('second'), controller.signal);
  const third = queue.run('k', async () => void order.push('third'));
  controller.abort(new Error('gone'));
  await expect(second).rejects.toThrow('gone');
  const fourth = queue.run('k', async () => void order.push('fourth'));
  open();
  await Promise.all([first, third, fourth]);
  expect(order).toEqual(['first', 'third', 'fourth']);
});

test('slots are as many as said, also when a place is given up in the turn in which it comes free', async () => {
  const slots = new Slots(1);
  const { wait, open } = gate();
  const { signal } = new AbortController();
  const first = slots.run(() => wait, signal);
  const leaving = new AbortController();
  const second = slots.run(async () => 'second', leaving.signal);
  const third = slots.run(async () => 'third', signal);
  open();
  leaving.abort(new Error('gone'));
  await first;
  await second.catch(() => undefined);
  expect(await third).toBe('third');
  expect(await slots.run(async () => 'fourth', signal)).toBe('fourth');
});

test('a key is free when nothing runs or waits under it', async () => {
  const queue = new KeyedQueue();
  const { wait, open } = gate();
  const run = queue.run('a', () => wait);
  expect([queue.isFree('a'), queue.isFree('b')]).toEqual([false, true]);
  open();
  await run;
  await new Promise(setImmediate);
  expect(queue.isFree('a')).toBe(true);
});
