/**
 * The shared store: Redis through ioredis. The caller connects it to a single server, to Sentinels or to a cluster.
 * Knows bytes under keys, time to live and locks. It finds keys with SCAN on every master, never with KEYS.
 *
 * Many values travel in one batch: commands of one turn go out together, and answers come back in order. The further
 * parts of a value are read several at a time. Values are read over a connection of their own: what nobody waits for any
 * more is dropped with it, and neither locks nor writes stand behind it.
 */
import { randomUUID } from 'node:crypto';
import type { Cluster, Redis } from 'ioredis';
import { TAG_DIGITS } from './block-key.js';
import { type ByteStore, LockEnded, type StoreEntry, type StoreListing, type StoreLock } from './byte-store.js';
import { askRedis, withoutScripts } from './connect-redis.js';
import { RedisLoads } from './redis-loads.js';

const PART_BYTES = 16 * 1024 * 1024;
/** Parts of a value that are read at once: 64 MiB. */
const PARTS_PER_READ = 4;
/** Each acts only if the caller still holds the lock. KEYS: lock, the value's first part. ARGV: token, milliseconds or bytes. */
const IF_HELD = (action: string) => `if redis.call('get', KEYS[1]) ~= ARGV[1] then return 0 end ${action} return 1`;
const UNLOCK = IF_HELD("redis.call('del', KEYS[1])");
const RENEW = IF_HELD("redis.call('pexpire', KEYS[1], ARGV[2])");
const PUT = IF_HELD("redis.call('set', KEYS[2], ARGV[2])");
const PUT_FOR_A_WHILE = IF_HELD("redis.call('set', KEYS[2], ARGV[2], 'EX', ARGV[3])");
/** Sizes are kept for so many milliseconds, because counting walks over every key. */
const STATISTICS_MS = 10_000;

export interface RedisStoreOptions {
  client: Redis | Cluster;
  /** Reads values; `client` by default. */
  loads?: Redis | Cluster;
  /** Seconds that a block lives; 0 leaves eviction to Redis. */
  ttlSeconds: number;
  prefix?: string;
}

interface Sizes {
  entries: number;
  bytes: number;
}

/** Sizes of all blocks, and by the tag of the tenant. */
interface Counted {
  all: Sizes;
  byTag: ReadonlyMap<string, Sizes>;
  /** When the count began. */
  asOfMs: number;
}

export class RedisStore implements ByteStore {
  readonly brand = 'redis';
  readonly #client: Redis | Cluster;
  readonly #loads: RedisLoads;
  readonly #ttlSeconds: number;
  readonly #prefix: string;
  #sizes: { counted: Counted; takenMs: number } | undefined;
  #counting: Promise<Counted> | undefined;

  constructor({ client, loads = client, ttlSeconds, prefix = 'blockstitch:' }: RedisStoreOptions) {
    this.#client = client;
    this.#loads = new RedisLoads(loads, { disposable: loads !== client });
    this.#ttlSeconds = ttlSeconds;
    this.#prefix = prefix;
  }

  async get(keys: readonly string[], signal?: AbortSignal): Promise<(Uint8Array | undefined)[]> {
    return this.#loads.read((client) => Promise.all(keys.map((key) => this.#read(client, key, signal))), signal);
  }

  /** Sends one part after another: the connection never holds a whole large value. The first part is written last. */
  async put(entries: readonly StoreEntry[], signal?: AbortSignal): Promise<void> {
    const written = await askRedis(this.#client, () => Promise.all(entries.map((entry) => this.#write(entry, signal))));
    if (written.includes(false)) throw new LockEnded();
  }

  async has(keys: readonly string[]): Promise<boolean[]> {
    const ask = async (key: string) => (await this.#client.exists(this.#part(key, 0))) > 0;
    return askRedis(this.#client, () => Promise.all(keys.map(ask)));
  }

  async delete(keys: readonly string[]): Promise<number> {
    const remove = async (key: string) => {
      let part = 0;
      while ((await this.#client.unlink(this.#part(key, part))) > 0) part++;
      return part > 0;
    };
    const deleted = await askRedis(this.#client, () => Promise.all(keys.map(remove)));
    this.#sizes = undefined;
    return deleted.filter(Boolean).length;
  }

  /** @param prefix lower-case hex digits: none of them has a meaning in a pattern */
  async clear(prefix = ''): Promise<number> {
    let deleted = 0;
    await this.#scan(prefix, async (keys, node) => {
      const gone = await Promise.all(keys.map((key) => node.unlink(key)));
      deleted += keys.filter((key, index) => key.endsWith(':0') && (gone[index] as number) > 0).length;
    });
    this.#sizes = undefined;
    return deleted;
  }

  async lock(key: string, ttlMs: number): Promise<StoreLock | undefined> {
    const name = this.#lock(key);
    const token = randomUUID();
    const taken = await askRedis(this.#client, () => this.#client.set(name, token, 'PX', ttlMs, 'NX'));
    if (taken !== 'OK') return undefined;
    const ifHeld = (script: string, args: number[], act: () => Promise<unknown>) =>
      askRedis(this.#client, () => this.#ifHeld(name, token, script, args, act));
    return {
      token,
      renew: (ms) => ifHeld(RENEW, [ms], () => this.#client.pexpire(name, ms)),
      release: async () => void (await ifHeld(UNLOCK, [], () => this.#client.del(name))),
    };
  }

  /** Up to ten seconds old. Replicas write and Redis evicts, so only a walk over all keys can count. */
  async statistics(): Promise<Sizes> {
    return (await this.#counted()).all;
  }

  /** Up to ten seconds old, as `statistics`. */
  async usage(tag: string): Promise<Sizes & { asOfMs: number }> {
    const { byTag, asOfMs } = await this.#counted();
    return { ...(byTag.get(tag) ?? { entries: 0, bytes: 0 }), asOfMs };
  }

  async *list(prefix = ''): AsyncGenerator<StoreListing> {
    for await (const { keys, node } of this.#pages(prefix)) {
      const firsts = keys.filter((key) => key.endsWith(':0'));
      const lengths = await Promise.all(firsts.map((key) => this.#bytesOf(key, node)));
      const idle = await Promise.all(firsts.map((key) => node.object('IDLETIME', key).catch(() => null)));
      for (const [index, name] of firsts.entries()) {
        const bytes = lengths[index] ?? 0;
        // It may have gone since it was found.
        if (bytes === 0) continue;
        const seconds = idle[index];
        const usedMs = typeof seconds === 'number' ? { usedMs: Date.now() - seconds * 1000 } : {};
        yield { key: this.#keyIn(name), bytes, ...usedMs };
      }
    }
  }

  async close(): Promise<void> {
    this.#loads.close();
    await this.#client.quit().catch(() => this.#client.disconnect());
  }

  async #counted(): Promise<Counted> {
    if (this.#sizes !== undefined && performance.now() - this.#sizes.takenMs < STATISTICS_MS)
      return this.#sizes.counted;
    this.#counting ??= this.#count().finally(() => {
      this.#counting = undefined;
    });
    return this.#counting;
  }

  async #count(): Promise<Counted> {
    const asOfMs = performance.now();
    const all = { entries: 0, bytes: 0 };
    const byTag = new Map<string, Sizes>();
    await this.#scan('', async (keys, node) => {
      const lengths = await Promise.all(keys.map((key) => node.strlen(key)));
      for (const [index, name] of keys.entries()) {
        const tag = this.#keyIn(name).slice(0, TAG_DIGITS);
        const ofTag = byTag.get(tag) ?? { entries: 0, bytes: 0 };
        byTag.set(tag, ofTag);
        for (const sizes of [all, ofTag]) {
          sizes.entries += name.endsWith(':0') ? 1 : 0;
          sizes.bytes += lengths[index] ?? 0;
        }
      }
    });
    const counted = { all, byTag, asOfMs };
    this.#sizes = { counted, takenMs: performance.now() };
    return counted;
  }

  /** Bytes of all parts of a value. @param first name of its first part */
  async #bytesOf(first: string, node: Redis): Promise<number> {
    let bytes = 0;
    for (let part = 0; ; part++) {
      const length = await node.strlen(`${first.slice(0, -1)}${part}`);
      bytes += length;
      if (length < PART_BYTES) return bytes;
    }
  }

  /**
   * If aborted between two parts, it deletes the parts that it wrote: nobody would find them without the first one.
   * @returns false if the fence refuses the value
   */
  async #write({ key, value, fence, usedMs }: StoreEntry, signal: AbortSignal | undefined): Promise<boolean> {
    const parts = Math.max(1, Math.ceil(value.byteLength / PART_BYTES));
    for (let part = parts - 1; part >= 0; part--) {
      if (signal?.aborted) {
        for (let written = part + 1; written < parts; written++) await this.#client.unlink(this.#part(key, written));
        throw signal.reason;
      }
      const slice = value.subarray(part * PART_BYTES, (part + 1) * PART_BYTES);
      const bytes = Buffer.from(slice.buffer, slice.byteOffset, slice.byteLength);
      if (part === 0 && fence !== undefined) return this.#writeFenced(key, bytes, fence);
      await this.#writePart(this.#part(key, part), bytes, usedMs !== undefined);
    }
    return true;
  }

  /** @param again the value takes its own place again: its time to live goes on. Redis counts the write as a use */
  async #writePart(name: string, bytes: Buffer, again = false): Promise<void> {
    if (again) await this.#client.set(name, bytes, 'KEEPTTL');
    else if (this.#ttlSeconds > 0) await this.#client.set(name, bytes, 'EX', this.#ttlSeconds);
    else await this.#client.set(name, bytes);
  }

  /** The first part makes the value: whoever holds the lock no longer does not write it. Other parts are the same anyway. */
  #writeFenced(key: string, bytes: Buffer, fence: string): Promise<boolean> {
    const [lock, first] = [this.#lock(key), this.#part(key, 0)];
    const [script, more] = this.#ttlSeconds > 0 ? [PUT_FOR_A_WHILE, [this.#ttlSeconds]] : [PUT, []];
    return this.#ifHeld(lock, fence, script, [bytes, ...more], () => this.#writePart(first, bytes), [first]);
  }

  /** @param act does the same where scripts may not be run: between the look and the act the lock may end */
  async #ifHeld(
    lock: string,
    token: string,
    script: string,
    args: readonly (Buffer | number)[],
    act: () => Promise<unknown>,
    keys: readonly string[] = [],
  ): Promise<boolean> {
    const client = this.#client;
    try {
      return (await client.eval(script, 1 + keys.length, lock, ...keys, token, ...args)) === 1;
    } catch (error) {
      if (!withoutScripts(error)) throw error;
    }
    if ((await client.get(lock)) !== token) return false;
    await act();
    return true;
  }

  #lock(key: string): string {
    return `${this.#prefix}lock:{${key}}`;
  }

  async #read(client: Redis | Cluster, key: string, signal?: AbortSignal): Promise<Uint8Array | undefined> {
    const first = await client.getBuffer(this.#part(key, 0));
    if (first === null) return undefined;
    if (first.byteLength < PART_BYTES) return first;
    const parts = [first];
    for (let next = 1; ; next += PARTS_PER_READ) {
      signal?.throwIfAborted();
      const names = Array.from({ length: PARTS_PER_READ }, (_, index) => this.#part(key, next + index));
      for (const part of await client.mgetBuffer(...names)) {
        if (part !== null) parts.push(part);
        if (part === null || part.byteLength < PART_BYTES) return Buffer.concat(parts);
      }
    }
  }

  /** The braces keep a value's parts on one node of a cluster. */
  #part(key: string, part: number): string {
    return `${this.#prefix}block:{${key}}:${part}`;
  }

  /** The block's key in the name of a part. */
  #keyIn(name: string): string {
    return name.slice(name.indexOf('{') + 1, name.indexOf('}'));
  }

  async #scan(prefix: string, visit: (keys: string[], node: Redis) => Promise<void>): Promise<void> {
    for await (const { keys, node } of this.#pages(prefix)) await visit(keys, node);
  }

  async *#pages(prefix: string): AsyncGenerator<{ keys: string[]; node: Redis }> {
    const nodes = 'nodes' in this.#client ? this.#client.nodes('master') : [this.#client];
    for (const node of nodes) {
      let cursor = '0';
      do {
        const [next, keys] = await node.scan(cursor, 'MATCH', `${this.#prefix}block:{${prefix}*`, 'COUNT', 500);
        yield { keys, node };
        cursor = next;
      } while (cursor !== '0');
    }
  }
}
