import { expect, it } from 'vitest';
import { LoopTurns } from '../../../src/server/loop-turns.js';

it('runs one heavy piece in each turn of the event loop, in order, whoever fails', async () => {
  const turns = new LoopTurns();
  let turn = 0;
  let counting = true;
  const count = () => {
    turn += 1;
    if (counting) setImmediate(count);
  };
  setImmediate(count);
  const ran: [string, number][] = [];
  const piece = (name: string) => () => {
    ran.push([name, turn]);
    if (name === 'b') throw new Error('b fails');
    return name;
  };
  const results = await Promise.allSettled(['a', 'b', 'c', 'd'].map((name) => turns.run(piece(name))));
  counting = false;
  expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'fulfilled']);
  expect(ran.map(([name]) => name)).toEqual(['a', 'b', 'c', 'd']);
  expect(new Set(ran.map(([, at]) => at)).size).toBe(4);
});

it('lets the loop have turns between the steps of long work, and gives its result', async () => {
  function* work() {
    for (let step = 0; step < 3; step += 1) {
      const end = performance.now() + 10;
      while (performance.now() < end);
      yield;
    }
    return 'done';
  }
  let turn = 0;
  const count = setInterval(() => {
    turn += 1;
  }, 0);
  expect(await new LoopTurns().steps(work())).toBe('done');
  clearInterval(count);
  expect(turn).toBeGreaterThan(1);
});
