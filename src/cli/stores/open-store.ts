/**
 * Opens the store that the settings name, without a server: blocks and documents in LMDB or Redis.
 * Knows how to open and close it; `commands/cache.ts` knows what to do there.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { ByteStore } from '../../cache/byte-store.js';
import { askRedis, connectRedis } from '../../cache/connect-redis.js';
import { LmdbStore } from '../../cache/lmdb-store.js';
import { RedisStore } from '../../cache/redis-store.js';
import type { Config } from '../../config.js';
import type { DocumentShelf } from '../../documents/document-shelf.js';
import { LmdbShelf } from '../../documents/lmdb-shelf.js';
import { RedisShelf } from '../../documents/redis-shelf.js';
import { BlockstitchError } from '../../errors.js';

export interface OpenStore {
  /** For people; no password is in it. */
  name: string;
  blocks: ByteStore;
  documents: DocumentShelf;
  close(): Promise<void>;
}

/** @param make whether an LMDB store is made if there is none @throws BlockstitchError */
export async function openStore(config: Config, make = false): Promise<OpenStore> {
  if (config.redisUrl !== '') {
    const [blocks, documents] = [connectRedis(config), connectRedis(config, { carries: 'documents' })];
    try {
      await askRedis(blocks, () => blocks.ping());
    } catch (cause) {
      for (const client of [blocks, documents]) client.disconnect();
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new BlockstitchError('store_failed', { reason }, { cause });
    }
    const store = new RedisStore({ client: blocks, ttlSeconds: Math.ceil(config.redisTtlMs / 1000) });
    return {
      name: 'Redis',
      blocks: store,
      documents: new RedisShelf(documents),
      close: async () => {
        await store.close();
        documents.disconnect();
      },
    };
  }
  const { storeDir, storeMaxBytes } = config;
  if (!make && !existsSync(join(storeDir, 'data.mdb'))) {
    throw new BlockstitchError('config_invalid', {
      setting: '--store-dir',
      reason: `there is no store in ${storeDir}`,
    });
  }
  // Whoever looks after a store does not use its blocks: what was used last decides what goes.
  const store = await LmdbStore.open(storeDir, { maxBytes: storeMaxBytes, useGrainMs: Number.POSITIVE_INFINITY });
  return {
    name: `LMDB in ${storeDir}`,
    blocks: store,
    documents: new LmdbShelf(store),
    close: () => store.close(),
  };
}

/** Runs something on an open store, and closes it. @throws BlockstitchError `store_failed` for what the store throws */
export async function withStore<T>(store: OpenStore, work: (store: OpenStore) => Promise<T>): Promise<T> {
  try {
    return await work(store);
  } catch (cause) {
    if (cause instanceof BlockstitchError) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new BlockstitchError('store_failed', { reason }, { cause });
  } finally {
    await store.close();
  }
}
