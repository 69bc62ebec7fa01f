/** Rights to compute blocks live for as long as they are held, and are renewed meanwhile. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { BlockLeases } from '../../../src/cache/block-leases.js';
import type { StoreLock } from '../../../src/cache/byte-store.js';

const LEASE_MS = 5_000;
/** Locks that end by the fake clock. */
const endsMs = new Map<string, number>();
const store = {
  async lock(key: string, ttlMs: number): Promise<StoreLock | undefined> {
    if ((endsMs.get(key) ?? 0) > Date.now()) return undefined;
    endsMs.set(key, Date.now() + ttlMs);
    return {
      token: `${key} at ${Date.now()}`,
      renew: async (ms) => {
        if ((endsMs.get(key) ?? 0) <= Date.now()) return false;
        endsMs.set(key, Date.now() + ms);
        return true;
      },
      release: async () => void endsMs.delete(key),
    };
  },
};
const leases = () =>
  new BlockLeases({ store, leaseMs: LEASE_MS, run: async (call) => ({ ok: true, result: await call() }) });

beforeEach(() => vi.useFakeTimers());
afterEach(() => {
  vi.useRealTimers();
  endsMs.clear();
});

test('a right is kept for as long as its holder lives, and ends soon after its holder', async () => {
  const [own, other] = [leases(), leases()];
  const first = await own.take('a');
  expect(first.ok && first.result?.key).toBe('a');
  await vi.advanceTimersByTimeAsync(20 * LEASE_MS);
  expect(await other.take('a')).toEqual({ ok: true, result: undefined });
  // As if the process were killed.
  own.close();
  await vi.advanceTimersByTimeAsync(LEASE_MS);
  expect(await other.take('a')).toMatchObject({ ok: true, result: { key: 'a' } });
  other.close();
});

test('what is given back is another’s at once, and nothing is renewed any more', async () => {
  const own = leases();
  const taken = await own.take('a');
  expect(own.fence('a')).toBe(taken.ok ? taken.result?.lock.token : '');
  if (taken.ok && taken.result) await own.giveBack(taken.result);
  expect([own.fence('a'), vi.getTimerCount(), endsMs.size]).toEqual([undefined, 0, 0]);
});

test('a right that was taken anew outlives the old one being given back', async () => {
  const own = leases();
  const old = await own.take('a');
  endsMs.clear();
  const anew = await own.take('a');
  const token = anew.ok ? anew.result?.lock.token : '';
  if (old.ok && old.result)
    await own.giveBack({ ...old.result, lock: { ...old.result.lock, release: async () => {} } });
  expect(own.fence('a')).toBe(token);
  own.close();
});
