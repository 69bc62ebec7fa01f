/** The guarded store: the right to compute is given only where nobody has the block, and counts have no vote. */
import { describe, expect, test, vi } from 'vitest';
import { BlockCache } from '../../../src/cache/block-cache.js';
import { encodeBlock, payloadBytes } from '../../../src/cache/block-codec.js';
import type { ByteStore } from '../../../src/cache/byte-store.js';
import type { BlockShape } from '../../../src/cache/tiers.js';
import { fakeApp } from '../../support/fake-services.js';

const SHAPE: BlockShape = { fingerprint: 'cd'.repeat(32), layers: 1, kvHeads: 1, headDim: 8, dtype: 'float32' };
const KEY = 'ab'.repeat(32);
const value = { tokens: 3, payload: new Uint8Array(payloadBytes(SHAPE, 3)).fill(7) };
const encoded = await encodeBlock(SHAPE, KEY, value);

/** Values in a map, locks by key; each call may be answered otherwise. */
class MapStore implements ByteStore {
  readonly brand = 'redis';
  readonly values = new Map<string, Uint8Array>();
  readonly locked = new Set<string>();
  readonly calls: string[] = [];

  async get(keys: readonly string[]) {
    this.calls.push('get');
    return keys.map((key) => this.values.get(key));
  }
  async put(entries: readonly { key: string; value: Uint8Array }[]) {
    for (const { key, value } of entries) this.values.set(key, value);
  }
  async has(keys: readonly string[]) {
    return keys.map((key) => this.values.has(key));
  }
  async delete(keys: readonly string[]) {
    return keys.filter((key) => this.values.delete(key)).length;
  }
  async clear() {
    const { size } = this.values;
    this.values.clear();
    return size;
  }
  async lock(key: string, _ttlMs: number) {
    this.calls.push('lock');
    if (this.locked.has(key)) return undefined;
    this.locked.add(key);
    return {
      token: key,
      renew: async () => true,
      release: async () => {
        this.calls.push('release');
        this.locked.delete(key);
      },
    };
  }
  async statistics() {
    return { entries: this.values.size, bytes: 0 };
  }

  async usage() {
    return { entries: this.values.size, bytes: 0 };
  }

  async *list() {
    for (const [key, value] of this.values) yield { key, bytes: value.byteLength };
  }
  async close() {}
}

const PATIENT = { leastWaitMs: 10_000, mostWaitMs: 10_000 };
const open = (store: ByteStore) => new BlockCache({ shape: SHAPE, store, hostBytes: 0, cost: PATIENT });

describe('the right to compute a block', () => {
  test('is given back where another replica has saved the block between the look and the lock', async () => {
    const store = new MapStore();
    const lock = store.lock.bind(store);
    store.lock = async (key, ttlMs) => {
      // The other one's prefill ends now: saved, and its lock released.
      store.values.set(key, encoded);
      return lock(key, ttlMs);
    };
    const outcome = await open(store).hold(KEY);
    expect(outcome).toMatchObject({ found: true, tier: 'store', value: { tokens: 3 } });
    expect(store.calls).toEqual(['get', 'lock', 'get', 'release']);
    expect(store.locked.size).toBe(0);
  });

  test('is given where the second look finds nothing either, and is released once', async () => {
    const store = new MapStore();
    const outcome = await open(store).hold(KEY);
    expect([outcome.found, store.calls, store.locked.size]).toEqual([false, ['get', 'lock', 'get'], 1]);
    if (!outcome.found) await outcome.release();
    expect(store.locked.size).toBe(0);
  });

  test('is given where the second look finds a value that is damaged', async () => {
    const store = new MapStore();
    const lock = store.lock.bind(store);
    store.lock = async (key, ttlMs) => {
      store.values.set(key, encoded.subarray(0, encoded.length - 1));
      return lock(key, ttlMs);
    };
    const cache = open(store);
    expect((await cache.hold(KEY)).found).toBe(false);
    expect([store.locked.size, store.values.size]).toEqual([1, 0]);
    expect((await cache.statistics()).store).toMatchObject({ corrupt: 1, misses: 1, hits: 0 });
  });
});

describe('a value that is refused late', () => {
  test('takes nothing with it that was saved since it was asked for', async () => {
    const store = new MapStore();
    const bad = encoded.subarray(0, encoded.length - 1);
    store.values.set(KEY, bad);
    let answer: () => void = () => {};
    const asked = new Promise<void>((resolve) => (answer = resolve));
    const get = store.get.bind(store);
    store.get = async (keys) => {
      const values = await get(keys);
      if (store.calls.length === 1) await asked;
      return values;
    };
    const cache = new BlockCache({ shape: SHAPE, store, hostBytes: 0, cost: { leastWaitMs: 1, mostWaitMs: 1 } });
    // Given up: the block is computed, and saved well.
    expect((await cache.hold(KEY)).found).toBe(false);
    expect(await cache.computed(KEY, async () => value)).toEqual({ durable: true });
    answer();
    await expect.poll(async () => (await cache.statistics()).store?.corrupt).toBe(1);
    expect(store.values.has(KEY)).toBe(true);
    store.calls.length = 0;
    store.get = get;
    expect(await open(store).hold(KEY)).toMatchObject({ found: true, value: { tokens: 3 } });
  });

  test('is deleted before a save that comes meanwhile', async () => {
    const store = new MapStore();
    store.values.set(KEY, encoded.subarray(0, encoded.length - 1));
    let deleted: () => void = () => {};
    const deleting = new Promise<void>((resolve) => (deleted = resolve));
    const remove = store.delete.bind(store);
    const begun = new Promise<void>((begin) => {
      store.delete = async (keys) => {
        begin();
        await deleting;
        return remove(keys);
      };
    });
    const cache = new BlockCache({ shape: SHAPE, store, hostBytes: 0, cost: { leastWaitMs: 1, mostWaitMs: 1 } });
    const held = cache.hold(KEY);
    await begun;
    expect((await held).found).toBe(false);
    const saving = cache.computed(KEY, async () => value);
    await new Promise(setImmediate);
    deleted();
    expect(await saving).toEqual({ durable: true });
    expect([...(store.values.get(KEY) as Uint8Array)]).toEqual([...encoded]);
  });
});

describe('a store whose counts are slow', () => {
  /** Counts never answer, all else does. */
  class SlowToCount extends MapStore {
    counts = 0;
    override statistics() {
      this.counts++;
      return new Promise<never>(() => {});
    }
  }

  test('is waited for a moment once, keeps its breakers closed, and goes on giving blocks', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      const store = new SlowToCount();
      store.values.set(KEY, encoded);
      const cache = open(store);
      const first = cache.statistics();
      await vi.advanceTimersByTimeAsync(1_000);
      expect((await first).store).toMatchObject({ breaker: 'closed', failures: 0 });
      for (let time = 0; time < 5; time++) {
        // No clock moves: whoever asks meanwhile gets what is known at once.
        expect((await cache.statistics()).store).toMatchObject({ breaker: 'closed', failures: 0 });
        expect((await cache.hold(KEY)).found).toBe(true);
      }
      expect([store.counts, (await cache.statistics()).store?.hits]).toEqual([1, 5]);
    } finally {
      vi.useRealTimers();
    }
  });

  test('does not keep /metrics from answering, which shows the breaker closed', async () => {
    const { app, services } = await fakeApp();
    services.cache = open(new SlowToCount());
    for (let time = 0; time < 4; time++) {
      const { statusCode, payload } = await app.inject({ url: '/metrics' });
      expect(statusCode).toBe(200);
      expect(payload).toContain('blockstitch:store_breaker_open{tier="redis",model_name="tiny"} 0');
      expect(payload).toContain('blockstitch:store_failures_total{tier="redis",model_name="tiny"} 0');
    }
  });

  test('that fail keeps the last ones and its breakers closed', async () => {
    const store = new MapStore();
    store.values.set(KEY, encoded);
    const cache = open(store);
    expect((await cache.statistics()).store).toMatchObject({ entries: 1 });
    store.statistics = () => Promise.reject(new Error('SCAN is not allowed'));
    for (let time = 0; time < 5; time++) {
      expect((await cache.statistics()).store).toMatchObject({ entries: 1, breaker: 'closed', failures: 0 });
    }
    expect((await cache.hold(KEY)).found).toBe(true);
  });
});

test('where a block is says that the store gave no answer, which is not that the block is not there', async () => {
  const store = new MapStore();
  const cache = new BlockCache({ shape: SHAPE, store, hostBytes: 0 });
  expect(await cache.find([KEY])).toEqual([{ tiers: [] }]);
  store.has = () => Promise.reject(new Error('it cannot be reached'));
  expect(await cache.find([KEY])).toEqual([{ tiers: [], unknown: ['store'] }]);
});
