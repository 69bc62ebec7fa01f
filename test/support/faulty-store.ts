/** A real store for tests of the cache and the engine. Its calls fail at random, or as a test says. */
import type { ByteStore, StoreEntry } from '../../src/cache/byte-store.js';

/** `hangs`: a call never answers. `damages`: values come back with a bit flipped. `slow`: after `delayMs`. */
export type Fault = 'none' | 'throws' | 'hangs' | 'damages' | 'slow';

const never = () => new Promise<never>(() => {});

export class FaultyStore implements ByteStore {
  readonly brand: ByteStore['brand'];
  readonly #inner: ByteStore;
  fault: Fault = 'none';
  delayMs = 0;
  gets = 0;
  puts = 0;

  constructor(inner: ByteStore) {
    this.#inner = inner;
    this.brand = inner.brand;
  }

  async get(keys: readonly string[]): Promise<(Uint8Array | undefined)[]> {
    this.gets++;
    await this.#act();
    const values = await this.#inner.get(keys);
    return this.fault === 'damages' ? values.map(damaged) : values;
  }

  async lend<T>(key: string, use: (bytes: Uint8Array) => Promise<T>, signal?: AbortSignal): Promise<T | undefined> {
    this.gets++;
    await this.#act();
    const given = (bytes: Uint8Array) => lent(this.fault === 'damages' ? (damaged(bytes) as Uint8Array) : bytes, use);
    if (this.#inner.lend !== undefined) return this.#inner.lend(key, given, signal);
    const [value] = await this.#inner.get([key], signal);
    return value && given(value);
  }

  async put(entries: readonly StoreEntry[], signal?: AbortSignal): Promise<void> {
    this.puts++;
    await this.#act();
    await this.#inner.put(entries, signal);
  }

  async has(keys: readonly string[]): Promise<boolean[]> {
    await this.#act();
    return this.#inner.has(keys);
  }

  async delete(keys: readonly string[]): Promise<number> {
    await this.#act();
    return this.#inner.delete(keys);
  }

  async clear(prefix?: string): Promise<number> {
    await this.#act();
    return this.#inner.clear(prefix);
  }

  async lock(key: string, ttlMs: number) {
    await this.#act();
    return this.#inner.lock(key, ttlMs);
  }

  async statistics(): Promise<{ entries: number; bytes: number }> {
    await this.#act();
    return this.#inner.statistics();
  }

  async usage(tag: string): Promise<{ entries: number; bytes: number }> {
    await this.#act();
    return this.#inner.usage(tag);
  }

  async *list(prefix?: string) {
    await this.#act();
    yield* this.#inner.list(prefix);
  }

  async close(): Promise<void> {
    await this.#inner.close();
  }

  async #act(): Promise<void> {
    if (this.fault === 'throws') throw new Error('the store is told to fail');
    if (this.fault === 'hangs') await never();
    if (this.fault === 'slow') await new Promise((resolve) => setTimeout(resolve, this.delayMs));
  }
}

/** Whoever keeps lent memory, or a view of it, reads something else there afterwards. */
export async function lent<T>(value: Uint8Array, use: (bytes: Uint8Array) => Promise<T>): Promise<T> {
  const memory = Buffer.from(value);
  try {
    return await use(memory);
  } finally {
    memory.fill(0xa5);
  }
}

/** A copy with one bit flipped, at a place that depends on the bytes alone. */
function damaged(value: Uint8Array | undefined): Uint8Array | undefined {
  if (value === undefined) return undefined;
  const copy = Uint8Array.from(value);
  const at = (copy.length * 7 + (copy[copy.length >> 1] as number) * 31) % copy.length;
  copy[at] = (copy[at] as number) ^ 0x10;
  return copy;
}
