/** Values on their way from LMDB into pages: exact, checked, and each caller's own although memory is used again. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BlockCache } from '../../../src/cache/block-cache.js';
import { payloadBytes } from '../../../src/cache/block-codec.js';
import type { ByteStore } from '../../../src/cache/byte-store.js';
import { LmdbStore } from '../../../src/cache/lmdb-store.js';
import { StoreMacs } from '../../../src/cache/store-macs.js';
import type { BlockShape, BlockValue } from '../../../src/cache/tiers.js';
import { FaultyStore } from '../../support/faulty-store.js';

const SHAPE: BlockShape = { fingerprint: 'cd'.repeat(32), layers: 4, kvHeads: 2, headDim: 64, dtype: 'float16' };
const PATIENT = { leastWaitMs: 30_000, mostWaitMs: 30_000 };
const KEYS = Array.from({ length: 12 }, (_, index) => `${index.toString(16).repeat(64)}`.slice(0, 64));
const tokensOf = (index: number) => 20 + 37 * index;
const blockOf = (index: number): BlockValue => ({
  tokens: tokensOf(index),
  payload: Uint8Array.from({ length: payloadBytes(SHAPE, tokensOf(index)) }, (_, at) => (at * (index + 3)) >> 3),
});

let directory: string;
let lmdb: LmdbStore;
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'blockstitch-placed-'));
  lmdb = await LmdbStore.open(directory);
});
afterAll(async () => {
  await lmdb.close();
  rmSync(directory, { recursive: true, force: true });
});

/** Pages of one load: they take what comes, in their own time. */
function pages() {
  const copies: Uint8Array[] = [];
  const place = async (_tokens: number, payload: Uint8Array) => {
    await new Promise(setImmediate);
    copies.push(Uint8Array.from(payload));
    return crc32(payload);
  };
  return { copies, place };
}

describe.each([
  ['unsigned', undefined],
  ['signed', new StoreMacs([Buffer.alloc(32, 7)])],
])('%s values', (_, macs) => {
  const open = (store: ByteStore, hostBytes = 0) => {
    const more = macs === undefined ? {} : { macs };
    return new BlockCache({ shape: SHAPE, store, hostBytes, cost: PATIENT, ...more });
  };

  test('all at once, some twice: each caller gets its own copy, bit for bit', async () => {
    const cache = open(new FaultyStore(lmdb));
    for (const [index, key] of KEYS.entries()) {
      expect(await cache.computed(key, async () => blockOf(index))).toEqual({ durable: true });
    }
    await Promise.all(
      [...KEYS, ...KEYS.slice(0, 4), ...KEYS].map(async (key, at) => {
        const index = KEYS.indexOf(key);
        const target = pages();
        const outcome = await cache.hold(key, { tokens: tokensOf(index), place: target.place });
        expect(outcome, `${at}`).toMatchObject({ found: true, tier: 'store', value: undefined, placed: true });
        expect(target.copies.map((copy) => Buffer.compare(copy, blockOf(index).payload))).toEqual([0]);
      }),
    );
  });

  test('what was lent and placed is not kept in host memory: it is in the memory of the system already', async () => {
    const cache = open(new FaultyStore(lmdb), 64 * 1024 * 1024);
    for (const key of [...KEYS, ...KEYS]) {
      expect(await cache.hold(key, { place: pages().place })).toMatchObject({ tier: 'store', placed: true });
    }
    expect((await cache.statistics()).host).toMatchObject({ entries: 0, bytes: 0 });
  });

  test('what comes from a store that lends nothing is placed and kept', async () => {
    const store = Object.defineProperty(new FaultyStore(lmdb), 'lend', { value: undefined });
    const cache = open(store, 64 * 1024 * 1024);
    for (const [index, key] of KEYS.entries()) {
      const target = pages();
      expect(await cache.hold(key, { place: target.place })).toMatchObject({ tier: 'store', placed: true });
      expect(target.copies.map((copy) => Buffer.compare(copy, blockOf(index).payload))).toEqual([0]);
    }
    for (const [index, key] of KEYS.entries()) {
      const target = pages();
      const outcome = await cache.hold(key, { place: target.place });
      expect(outcome).toMatchObject({ tier: 'host', placed: false });
      expect(outcome.found && outcome.value && Buffer.compare(outcome.value.payload, blockOf(index).payload)).toBe(0);
      expect(target.copies).toEqual([]);
    }
  });

  test('where nothing was placed, the value has memory of its own, whatever is read next', async () => {
    const cache = open(lmdb);
    const outcomes = [];
    for (const key of KEYS) outcomes.push(await cache.hold(key, { place: async () => undefined }));
    for (const [index, outcome] of outcomes.entries()) {
      expect(outcome).toMatchObject({ tier: 'store', placed: false });
      expect(outcome.found && outcome.value && Buffer.compare(outcome.value.payload, blockOf(index).payload)).toBe(0);
    }
  });

  test('what came too late for its pages is in host memory as it was, whatever is read next', async () => {
    const macsIfAny = macs === undefined ? {} : { macs };
    const cost = { leastWaitMs: 1, mostWaitMs: 1 };
    const cache = new BlockCache({ shape: SHAPE, store: lmdb, hostBytes: 64 * 1024 * 1024, cost, ...macsIfAny });
    for (const key of KEYS) {
      // Pages that are taken back once nobody waits for the load.
      let open = true;
      let lent = () => {};
      const reached = new Promise<void>((resolve) => {
        lent = resolve;
      });
      let givenUp = () => {};
      const waited = new Promise<void>((resolve) => {
        givenUp = resolve;
      });
      const place = async () => {
        lent();
        await waited;
        return open ? 0 : undefined;
      };
      const outcome = await cache.hold(key, { place });
      expect(outcome.found).toBe(false);
      await reached;
      open = false;
      givenUp();
      await expect.poll(() => cache.nearTiers(key)).toEqual(['host']);
    }
    for (const [index, key] of KEYS.entries()) {
      const outcome = await cache.hold(key);
      expect(outcome).toMatchObject({ tier: 'host' });
      expect(outcome.found && outcome.value && Buffer.compare(outcome.value.payload, blockOf(index).payload)).toBe(0);
    }
  });

  test('a flipped bit is a miss, is counted once, and its value goes', async () => {
    const store = new FaultyStore(lmdb);
    const cache = open(store);
    store.fault = 'damages';
    const key = KEYS[3] as string;
    const outcome = await cache.hold(key, { place: pages().place });
    expect(outcome.found).toBe(false);
    expect((await cache.statistics()).store?.corrupt).toBe(1);
    if (!outcome.found) await outcome.release();
    store.fault = 'none';
    expect((await open(store).find([key]))[0]?.tiers).toEqual([]);
    await cache.computed(key, async () => blockOf(3));
  });
});
