/** Room in the store: what is reserved is taken, until the store counts what was stored. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type RoomAnswer, TenantRoom } from '../../../src/cache/tenant-room.js';

const TAG = '11'.repeat(8);
const LIMIT = 100;
const keyOf = (name: string) => TAG + name.padStart(48, '0');

/** A store whose count is as old as the last `count()`. */
class CountedStore {
  readonly blocks = new Map<string, number>();
  #counted = { bytes: 0, asOfMs: performance.now() };

  get bytes(): number {
    return [...this.blocks.values()].reduce((sum, bytes) => sum + bytes, 0);
  }

  count(): void {
    this.#counted = { bytes: this.bytes, asOfMs: performance.now() };
  }

  usage = async () => this.#counted;
}

function bench() {
  const store = new CountedStore();
  const room = new TenantRoom({ limitOf: () => LIMIT, usage: store.usage });
  const reserve = (names: string, bytes: number) =>
    room.reserve(TAG, new Map([...names].map((name) => [keyOf(name), bytes])));
  const save = (name: string, bytes: number) =>
    room.saving(keyOf(name), bytes, async () => {
      store.blocks.set(keyOf(name), bytes);
      return undefined;
    });
  return { store, room, reserve, save };
}

test('two that come at once do not both take the last room', async () => {
  const { reserve } = bench();
  const answers = await Promise.all([reserve('a', 60), reserve('b', 60)]);
  expect(answers.map(({ ok }) => ok)).toEqual([true, false]);
  expect(answers[1]).toEqual({ ok: false, stored: 60, wanted: 60, limit: LIMIT });
  for (const answer of answers) if (answer.ok) answer.release();
  expect((await reserve('b', 60)).ok).toBe(true);
});

test('a block that is reserved is saved in its own room, and others are refused with the numbers', async () => {
  const { reserve, save } = bench();
  await reserve('ab', 50);
  expect(await save('a', 50)).toBeUndefined();
  expect(await save('c', 50)).toBe('the stored blocks of this tenant have 100 B of at most 100 B');
});

test('what was stored counts before the store counts it, and once when it does', async () => {
  const { store, reserve, save } = bench();
  const held = await reserve('a', 60);
  await save('a', 60);
  if (held.ok) held.release();
  expect((await reserve('b', 60)).ok).toBe(false);
  await new Promise((resolve) => setImmediate(resolve));
  store.count();
  expect(await reserve('b', 60)).toMatchObject({ stored: 60 });
  expect((await reserve('c', 40)).ok).toBe(true);
});

test('a save that fails gives its room back', async () => {
  const { room, save } = bench();
  expect(await room.saving(keyOf('a'), 90, async () => 'the disk is full')).toBe('the disk is full');
  expect(await save('b', 90)).toBeUndefined();
});

describe('whatever happens', () => {
  const step = fc.record({
    what: fc.constantFrom('reserve', 'save', 'release', 'count') as fc.Arbitrary<
      'reserve' | 'save' | 'release' | 'count'
    >,
    names: fc.string({ minLength: 1, maxLength: 4, unit: fc.constantFrom(...'abcdefgh') }),
  });

  test('a tenant never stores more than its limit', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const { store, reserve, save } = bench();
        const held: RoomAnswer[] = [];
        await Promise.all(
          steps.map(async ({ what, names }) => {
            if (what === 'reserve') held.push(await reserve(names, 20));
            else if (what === 'save') await Promise.all([...names].map((name) => save(name, 20)));
            else if (what === 'count') store.count();
            else {
              const answer = held.pop();
              if (answer?.ok) answer.release();
            }
          }),
        );
        expect(store.bytes).toBeLessThanOrEqual(LIMIT);
      }),
    );
  });
});
