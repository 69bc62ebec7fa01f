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
import type { ByteStore, StoreEntry, StoreListing, StoreLock } from './byte-store.js';
import { askRedis, withoutScripts } from './connect-redis.js';
import { RedisLoads } from './redis-loads.js';

const PART_BYTES = 16 * 1024 * 1024;
/** Parts of a value that are read at once: 64 MiB. */
const PARTS_PER_READ = 4;
/** Deletes the lock only if the caller still holds it. */
const UNLOCK = 'if redis.call("get", KEYS[1]) == ARGV[1] then return redis.call("del", KEYS[1]) else return 0 end';
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
    await askRedis(this.#client, () => Promise.all(entries.map((entry) => this.#write(entry, signal))));
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
    const name = `${this.#prefix}lock:{${key}}`;
    const token = randomUUID();
    const taken = await askRedis(this.#client, () => this.#client.set(name, token, 'PX', ttlMs, 'NX'));
    if (taken !== 'OK') return undefined;
    return {
      release: () => askRedis(this.#client, () => this.#unlock(name, token)),
    };
  }

  /** Up to ten seconds old. Replicas write and Redis evicts, so only a walk over all keys can count. */
  async statistics(): Promise<Sizes> {
    return (await this.#counted()).all;
  }

  /** Up to ten seconds old, as `statistics`. */
  async usage(tag: string): Promise<Sizes> {
    return (await this.#counted()).byTag.get(tag) ?? { entries: 0, bytes: 0 };
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

  /** Between the look and the delete of a user who may not run scripts, a lock may run out and be taken by another. */
  async #unlock(name: string, token: string): Promise<void> {
    try {
      await this.#client.eval(UNLOCK, 1, name, token);
    } catch (error) {
      if (!withoutScripts(error)) throw error;
      if ((await this.#client.get(name)) === token) await this.#client.del(name);
    }
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
    const counted = { all, byTag };
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

  /** If aborted between two parts, it deletes the parts that it wrote: nobody would find them without the first one. */
  async #write({ key, value }: StoreEntry, signal: AbortSignal | undefined): Promise<void> {
    const parts = Math.max(1, Math.ceil(value.byteLength / PART_BYTES));
    for (let part = parts - 1; part >= 0; part--) {
      if (signal?.aborted) {
        for (let written = part + 1; written < parts; written++) await this.#client.unlink(this.#part(key, written));
        throw signal.reason;
      }
      const slice = value.subarray(part * PART_BYTES, (part + 1) * PART_BYTES);
      const bytes = Buffer.from(slice.buffer, slice.byteOffset, slice.byteLength);
      if (this.#ttlSeconds > 0) await this.#client.set(this.#part(key, part), bytes, 'EX', this.#ttlSeconds);
      else await this.#client.set(this.#part(key, part), bytes);
    }
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
