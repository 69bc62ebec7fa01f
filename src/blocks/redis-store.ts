/**
 * The shared store: Redis through ioredis (single, Sentinel or Cluster by what the caller connects).
 * Knows bytes under keys, time to live and locks. Keys are found with SCAN on every master, never with KEYS.
 */
import { randomUUID } from 'node:crypto';
import type { Cluster, Redis } from 'ioredis';
import type { ByteStore } from './block-store.js';

const PART_BYTES = 16 * 1024 * 1024;
const UNLOCK = 'if redis.call("get", KEYS[1]) == ARGV[1] then return redis.call("del", KEYS[1]) else return 0 end';

export interface RedisStoreOptions {
  client: Redis | Cluster;
  /** Seconds that a block lives; 0 leaves eviction to Redis. */
  ttlSeconds: number;
  prefix?: string;
}

export class RedisStore implements ByteStore {
  readonly tier = 'redis';
  readonly #client: Redis | Cluster;
  readonly #ttlSeconds: number;
  readonly #prefix: string;

  constructor({ client, ttlSeconds, prefix = 'blockstitch:' }: RedisStoreOptions) {
    this.#client = client;
    this.#ttlSeconds = ttlSeconds;
    this.#prefix = prefix;
  }

  async get(keys: readonly string[]): Promise<(Uint8Array | undefined)[]> {
    return Promise.all(keys.map((key) => this.#read(key)));
  }

  /** The first part is written last: a value is found only once it is whole. */
  async put(entries: readonly { key: string; value: Uint8Array }[]): Promise<void> {
    await Promise.all(
      entries.map(async ({ key, value }) => {
        const parts = Math.max(1, Math.ceil(value.byteLength / PART_BYTES));
        for (let part = parts - 1; part >= 0; part--) {
          const slice = value.subarray(part * PART_BYTES, (part + 1) * PART_BYTES);
          const bytes = Buffer.from(slice.buffer, slice.byteOffset, slice.byteLength);
          if (this.#ttlSeconds > 0) await this.#client.set(this.#part(key, part), bytes, 'EX', this.#ttlSeconds);
          else await this.#client.set(this.#part(key, part), bytes);
        }
      }),
    );
  }

  async has(keys: readonly string[]): Promise<boolean[]> {
    return Promise.all(keys.map(async (key) => (await this.#client.exists(this.#part(key, 0))) > 0));
  }

  async delete(keys: readonly string[]): Promise<number> {
    let deleted = 0;
    for (const key of keys) {
      for (let part = 0; (await this.#client.del(this.#part(key, part))) > 0; part++) if (part === 0) deleted++;
    }
    return deleted;
  }

  async clear(): Promise<number> {
    let deleted = 0;
    await this.#scan(async (keys, node) => {
      for (const key of keys) deleted += (await node.unlink(key)) > 0 && key.endsWith(':0') ? 1 : 0;
    });
    return deleted;
  }

  async lock(key: string, ttlMs: number): Promise<{ release(): Promise<void> } | undefined> {
    const name = `${this.#prefix}lock:{${key}}`;
    const token = randomUUID();
    if ((await this.#client.set(name, token, 'PX', ttlMs, 'NX')) !== 'OK') return undefined;
    return {
      release: async () => {
        await this.#client.eval(UNLOCK, 1, name, token);
      },
    };
  }

  async statistics(): Promise<{ entries: number; bytes: number }> {
    let entries = 0;
    let bytes = 0;
    await this.#scan(async (keys, node) => {
      for (const key of keys) {
        if (key.endsWith(':0')) entries++;
        bytes += await node.strlen(key);
      }
    });
    return { entries, bytes };
  }

  async close(): Promise<void> {
    await this.#client.quit().catch(() => this.#client.disconnect());
  }

  async #read(key: string): Promise<Uint8Array | undefined> {
    const parts: Buffer[] = [];
    for (let part = 0; ; part++) {
      const bytes = await this.#client.getBuffer(this.#part(key, part));
      if (bytes === null) break;
      parts.push(bytes);
      if (bytes.byteLength < PART_BYTES) break;
    }
    return parts.length === 0 ? undefined : parts.length === 1 ? parts[0] : Buffer.concat(parts);
  }

  /** The braces keep a value's parts on one node of a cluster. */
  #part(key: string, part: number): string {
    return `${this.#prefix}block:{${key}}:${part}`;
  }

  async #scan(visit: (keys: string[], node: Redis) => Promise<void>): Promise<void> {
    const nodes = 'nodes' in this.#client ? this.#client.nodes('master') : [this.#client];
    for (const node of nodes) {
      let cursor = '0';
      do {
        const [next, keys] = await node.scan(cursor, 'MATCH', `${this.#prefix}block:*`, 'COUNT', 500);
        await visit(keys, node);
        cursor = next;
      } while (cursor !== '0');
    }
  }
}
