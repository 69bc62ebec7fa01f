/**
 * Documents by id and tenant, kept beside the blocks in LMDB or Redis; listed in the order of their ids.
 * Knows records as JSON with an id and a salt; what else stands in them is the server's.
 */
import { createHash } from 'node:crypto';
import type { Cluster, Redis } from 'ioredis';
import { askRedis } from '../cache/connect-redis.js';
import type { LmdbStore } from '../cache/lmdb-store.js';
import { BlockstitchError } from '../errors.js';

export interface RegisteredDocument {
  id: string;
  cacheSalt?: string;
}

export interface ListOptions {
  /** Id after which the page begins. */
  after?: string;
  limit: number;
  cacheSalt?: string;
}

/** Keeps texts under (tenant, id). `put` resolves when durable by the store's own standard. */
export interface DocumentShelf {
  put(tenant: string, id: string, json: string): Promise<void>;
  get(tenant: string, id: string): Promise<string | undefined>;
  delete(tenant: string, id: string): Promise<boolean>;
  /** At most `limit` ids in their order, those after `after`. */
  listIds(tenant: string, after: string | undefined, limit: number): Promise<string[]>;
}

export class DocumentRegistry<Document extends RegisteredDocument> {
  readonly #shelf: DocumentShelf;

  constructor(shelf: DocumentShelf) {
    this.#shelf = shelf;
  }

  /** @throws BlockstitchError `store_failed`; what was acknowledged is durable */
  async put(record: Document): Promise<void> {
    await asked(() => this.#shelf.put(tenantOf(record.cacheSalt), record.id, JSON.stringify(record)));
  }

  async get(id: string, cacheSalt?: string): Promise<Document | undefined> {
    const json = await asked(() => this.#shelf.get(tenantOf(cacheSalt), id));
    return json === undefined ? undefined : (JSON.parse(json) as Document);
  }

  async delete(id: string, cacheSalt?: string): Promise<boolean> {
    return asked(() => this.#shelf.delete(tenantOf(cacheSalt), id));
  }

  async list({ after, limit, cacheSalt }: ListOptions): Promise<{ records: Document[]; hasMore: boolean }> {
    const ids = await asked(() => this.#shelf.listIds(tenantOf(cacheSalt), after, limit + 1));
    const records: Document[] = [];
    for (const id of ids.slice(0, limit)) {
      const record = await this.get(id, cacheSalt);
      if (record !== undefined) records.push(record);
      // Records hold whole texts: reading a page of them must not hold the event loop.
      await new Promise(setImmediate);
    }
    return { records, hasMore: ids.length > limit };
  }
}

/** Documents in the embedded store. */
export function lmdbShelf(store: LmdbStore): DocumentShelf {
  const { documents } = store;
  const keyOf = (tenant: string, id: string) => `${tenant}/${idKey(id)}`;
  return {
    async put(tenant, id, json) {
      await store.write(() => () => void documents.put(keyOf(tenant, id), Buffer.from(json, 'utf8')));
    },
    async get(tenant, id) {
      return documents.get(keyOf(tenant, id))?.toString('utf8');
    },
    async delete(tenant, id) {
      const key = keyOf(tenant, id);
      return store.write(() => {
        const existed = documents.doesExist(key);
        return () => {
          documents.remove(key);
          return existed;
        };
      });
    },
    async listIds(tenant, after, limit) {
      const start = after === undefined ? `${tenant}/` : `${keyOf(tenant, after)}\u0001`;
      const keys = documents.getKeys({ start, end: `${tenant}0`, limit });
      return Array.from(keys, (key) => idOf(String(key).slice(tenant.length + 1)));
    },
  };
}

/** Documents in Redis: one hash of texts and one sorted set of ids per tenant, both on one node of a cluster. */
export function redisShelf(client: Redis | Cluster, prefix = 'blockstitch:'): DocumentShelf {
  const texts = (tenant: string) => `${prefix}documents:{${tenant}}:texts`;
  const ids = (tenant: string) => `${prefix}documents:{${tenant}}:ids`;
  const ask = <T>(call: () => Promise<T>) => askRedis(client, call);
  return {
    async put(tenant, id, json) {
      const change = client.multi().hset(texts(tenant), idKey(id), json).zadd(ids(tenant), 0, idKey(id));
      // A transaction that ran answers for each command by itself.
      for (const [error] of (await ask(() => change.exec())) ?? []) if (error) throw error;
    },
    async get(tenant, id) {
      return (await ask(() => client.hget(texts(tenant), idKey(id)))) ?? undefined;
    },
    async delete(tenant, id) {
      await ask(() => client.zrem(ids(tenant), idKey(id)));
      return (await ask(() => client.hdel(texts(tenant), idKey(id)))) > 0;
    },
    async listIds(tenant, after, limit) {
      const start = after === undefined ? '-' : `(${idKey(after)}`;
      const page = await ask(() => client.zrange(ids(tenant), start, '+', 'BYLEX', 'LIMIT', 0, limit));
      return page.map(idOf);
    },
  };
}

/** Salts are secrets between tenants: only their hash is stored in keys. */
function tenantOf(cacheSalt = ''): string {
  return createHash('sha256').update(cacheSalt, 'utf8').digest('hex').slice(0, 32);
}

/** Hex keeps any id within the key alphabet and in the order of its UTF-8 bytes. */
function idKey(id: string): string {
  return Buffer.from(id, 'utf8').toString('hex');
}

function idOf(key: string): string {
  return Buffer.from(key, 'hex').toString('utf8');
}

async function asked<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new BlockstitchError('store_failed', { reason }, { cause });
  }
}
