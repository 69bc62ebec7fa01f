/**
 * Documents in Redis: one key each, and a sorted set of ids per tenant as the index of the list, all of a tenant on one
 * node of a cluster. The value is the fact. Where it is gone, the id is taken off the index.
 *
 * Versions before this one kept all texts of a tenant in one hash. It is still read; a write moves the document over.
 */
import type { Cluster, Redis } from 'ioredis';
import { askRedis, withoutScripts } from '../cache/connect-redis.js';
import { type DocumentShelf, HEAD_BYTES, type Head, headOf, idKey, idOf, sameHead } from './document-shelf.js';

/** KEYS: value, old hash, index. ARGV: field, head that was read, new value ('' removes). */
const CHANGE = `
local now = redis.call('getrange', KEYS[1], 0, ${HEAD_BYTES - 1})
if now == '' then now = string.sub(redis.call('hget', KEYS[2], ARGV[1]) or '', 1, ${HEAD_BYTES}) end
if now ~= ARGV[2] then return 0 end
if ARGV[3] == '' then
  redis.call('del', KEYS[1])
  redis.call('zrem', KEYS[3], ARGV[1])
else
  redis.call('set', KEYS[1], ARGV[3])
  redis.call('zadd', KEYS[3], 0, ARGV[1])
end
redis.call('hdel', KEYS[2], ARGV[1])
return 1`;

/** KEYS and ARGV[1] as above. */
const UNLIST = `
if redis.call('exists', KEYS[1]) == 0 and redis.call('hexists', KEYS[2], ARGV[1]) == 0 then
  return redis.call('zrem', KEYS[3], ARGV[1])
end
return 0`;

const NOTHING = Buffer.alloc(0);

export class RedisShelf implements DocumentShelf {
  readonly #client: Redis | Cluster;
  readonly #prefix: string;

  constructor(client: Redis | Cluster, prefix = 'blockstitch:') {
    this.#client = client;
    this.#prefix = prefix;
  }

  async get(tenant: string, id: string): Promise<Buffer | undefined> {
    const [value, texts] = this.#keys(tenant, id);
    const found = await this.#ask(() => this.#client.getBuffer(value));
    return found ?? (await this.#ask(() => this.#client.hgetBuffer(texts, idKey(id)))) ?? undefined;
  }

  put(tenant: string, id: string, value: Buffer, read: Head): Promise<boolean> {
    return this.#change(tenant, id, read, value);
  }

  remove(tenant: string, id: string, read: Head): Promise<boolean> {
    return this.#change(tenant, id, read, undefined);
  }

  async listIds(tenant: string, after: string | undefined, limit: number): Promise<string[]> {
    const start = after === undefined ? '-' : `(${idKey(after)}`;
    const [, , index] = this.#keys(tenant, '');
    const page = await this.#ask(() => this.#client.zrange(index, start, '+', 'BYLEX', 'LIMIT', 0, limit));
    return page.map(idOf);
  }

  async *tenants(): AsyncGenerator<string> {
    const nodes = 'nodes' in this.#client ? this.#client.nodes('master') : [this.#client];
    const seen = new Set<string>();
    for (const node of nodes) {
      let cursor = '0';
      do {
        const match = `${this.#prefix}documents:{*}:*`;
        const [next, keys] = await this.#ask(() => node.scan(cursor, 'MATCH', match, 'COUNT', 500));
        for (const key of keys) seen.add(key.slice(key.indexOf('{') + 1, key.lastIndexOf('}')));
        cursor = next;
      } while (cursor !== '0');
    }
    yield* seen;
  }

  async unlist(tenant: string, id: string): Promise<void> {
    await this.#ask(() => this.#client.eval(UNLIST, 3, ...this.#keys(tenant, id), idKey(id))).catch((error) => {
      if (!withoutScripts(error)) throw error;
    });
  }

  async #change(tenant: string, id: string, read: Head, value: Buffer | undefined): Promise<boolean> {
    const keys = this.#keys(tenant, id);
    try {
      const args = [idKey(id), read ?? NOTHING, value ?? NOTHING];
      return (await this.#ask(() => this.#client.eval(CHANGE, 3, ...keys, ...args))) === 1;
    } catch (error) {
      if (withoutScripts(error)) return this.#changeUnscripted(tenant, id, read, value);
      throw error;
    }
  }

  /** For a user who may not run scripts. Between the look and the change another replica may write: the last one wins. */
  async #changeUnscripted(tenant: string, id: string, read: Head, value: Buffer | undefined): Promise<boolean> {
    if (!sameHead(headOf(await this.get(tenant, id)), read)) return false;
    const [key, texts, index] = this.#keys(tenant, id);
    const begun = this.#client.multi();
    const change =
      value === undefined ? begun.del(key).zrem(index, idKey(id)) : begun.set(key, value).zadd(index, 0, idKey(id));
    // A transaction that ran answers for each command by itself.
    for (const [error] of (await this.#ask(() => change.hdel(texts, idKey(id)).exec())) ?? []) if (error) throw error;
    return true;
  }

  #ask<T>(call: () => Promise<T>): Promise<T> {
    return askRedis(this.#client, call);
  }

  #keys(tenant: string, id: string): [value: string, texts: string, index: string] {
    const all = `${this.#prefix}documents:{${tenant}}`;
    return [`${this.#prefix}document:{${tenant}}:${idKey(id)}`, `${all}:texts`, `${all}:ids`];
  }
}
