/** The check of an embedded store's file: silent about every sound store, and every page of a tree counts. */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  copyFileSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { LmdbStore } from '../../../src/cache/lmdb-store.js';
import { damageIn } from '../../../src/cache/lmdb-trees.js';

const PAGE_BYTES = 4096;
const directory = mkdtempSync(join(tmpdir(), 'blockstitch-trees-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

let stores = 0;
const fresh = () => join(directory, `store-${++stores}`);
const fileOf = (path: string) => join(path, 'data.mdb');
const keyOf = (number: number) => `${number}`.padStart(64, 'a');

/** Enough small values for branches, and large ones with pages of their own. */
async function store(): Promise<string> {
  const path = fresh();
  const filled = await LmdbStore.open(path);
  for (let from = 0; from < 400; from += 100) {
    const keys = Array.from({ length: 100 }, (_, index) => keyOf((from + index) * 7919));
    await filled.put(keys.map((key, index) => ({ key, value: randomBytes(index % 20 === 0 ? 9_000 : 300) })));
  }
  await filled.delete(Array.from({ length: 40 }, (_, index) => keyOf(index * 7919)));
  await filled.close();
  return fileOf(path);
}

/** Numbers of the pages that are branches, leaves or heads of large values, by what they say of themselves. */
function heads(file: string): { trees: number[]; values: number[] } {
  const bytes = readFileSync(file);
  const pages = Array.from({ length: Math.floor(bytes.length / PAGE_BYTES) }, (_, page) => page);
  const kind = (page: number) => bytes.readUInt16LE(page * PAGE_BYTES + 18);
  const own = pages.filter((page) => page > 1 && bytes.readBigUInt64LE(page * PAGE_BYTES) === BigInt(page));
  return { trees: own.filter((page) => kind(page) < 3), values: own.filter((page) => kind(page) === 4) };
}

test('every sound store passes, whatever was written to it and deleted, closed or open, while somebody writes', async () => {
  const write = fc.record({
    do: fc.constant('put'),
    key: fc.nat(40),
    bytes: fc.constantFrom(0, 10, 1_900, 5_000, 70_000),
  });
  const others = fc.record({
    do: fc.constantFrom('delete', 'clear', 'document', 'reopen'),
    key: fc.nat(40),
    bytes: fc.nat(3_000),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(fc.oneof({ weight: 3, arbitrary: write }, others), { maxLength: 60 }), async (steps) => {
      const path = fresh();
      let open = await LmdbStore.open(path);
      for (const { do: what, key, bytes } of steps) {
        const name = keyOf(key);
        const writing =
          what === 'put'
            ? open.put([{ key: name, value: randomBytes(bytes) }])
            : what === 'delete'
              ? open.delete([name])
              : what === 'clear'
                ? open.clear(key % 2 === 0 ? '' : 'a')
                : open.write(() => () => void open.documents.put(name, randomBytes(bytes)));
        expect(await damageIn(fileOf(path))).toBeUndefined();
        await writing;
        if (what === 'reopen') {
          await open.close();
          open = await LmdbStore.open(path);
        }
        expect(await damageIn(fileOf(path))).toBeUndefined();
      }
      await open.close();
      expect(await damageIn(fileOf(path))).toBeUndefined();
      rmSync(path, { recursive: true, force: true });
    }),
    { numRuns: 100 },
  );
});

test('any page of a tree that was overwritten is named, and any length that cuts one off', async () => {
  const whole = await store();
  const { trees, values } = heads(whole);
  expect([trees.length > 10, values.length > 10]).toEqual([true, true]);
  const damaged = join(directory, 'damaged.mdb');
  const overwritten = async (page: number, large: boolean) => {
    copyFileSync(whole, damaged);
    const file = openSync(damaged, 'r+');
    writeSync(file, randomBytes(PAGE_BYTES), 0, PAGE_BYTES, page * PAGE_BYTES);
    closeSync(file);
    return damageIn(damaged, large);
  };
  // A page that a later commit has left is no part of the store any more.
  let used = 0;
  for (const page of [0, 1, ...trees]) {
    const reason = await overwritten(page, false);
    if (reason !== undefined) {
      expect(reason).toBe(`page ${page} of data.mdb is damaged`);
      used++;
    }
  }
  expect(used).toBeGreaterThan(10);
  let large = 0;
  for (const page of values) if ((await overwritten(page, true)) !== undefined) large++;
  expect(large).toBeGreaterThan(10);
  const { size } = statSync(whole);
  for (const bytes of [1, 100, PAGE_BYTES, 3 * PAGE_BYTES, size / 4, size / 2, size - 5 * PAGE_BYTES]) {
    copyFileSync(whole, damaged);
    truncateSync(damaged, Math.floor(bytes));
    expect(await damageIn(damaged, false)).toMatch(/^data\.mdb was cut short: pages behind its \d+ bytes are missing$/);
  }
});

test('random bytes of any length are refused, never thrown over', async () => {
  const file = join(directory, 'random.mdb');
  const whole = readFileSync(await store());
  const flips = fc.array(
    fc.record({ at: fc.nat(whole.length - 9), bytes: fc.uint8Array({ minLength: 8, maxLength: 8 }) }),
    {
      minLength: 1,
      maxLength: 200,
    },
  );
  await fc.assert(
    fc.asyncProperty(flips, async (places) => {
      const copy = Buffer.from(whole);
      for (const { at, bytes } of places) copy.set(bytes, at);
      const handle = openSync(file, 'w');
      writeSync(handle, copy);
      closeSync(handle);
      // A flip in a value is the codec's to find.
      expect(['string', 'undefined']).toContain(typeof (await damageIn(file)));
    }),
    { numRuns: 200 },
  );
});
