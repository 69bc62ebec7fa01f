/** The short cases of `npm run test:faults`: real processes and stores break, and every answer stays that of a clean server. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CASES } from '../drive/faults/cases.js';
import { runCase } from '../drive/faults/run.js';
import { World } from '../drive/faults/world.js';

const SHORT = CASES.filter(({ short }) => short);
let world: World;

beforeAll(async () => {
  world = new World(1);
  await world.takeReference();
});
afterAll(() => world.close());

test.each(SHORT)('$name: $about', async (each) => {
  expect(await runCase(each, world)).toMatchObject({ reasons: [], state: 'holds' });
});

test('each kind of process has a short case', () => {
  expect(CASES.length).toBeGreaterThan(SHORT.length);
  for (const kind of ['worker', 'lmdb', 'redis']) expect(SHORT.some(({ name }) => name.startsWith(kind))).toBe(true);
});
