/** Opens Redis as the store of blocks, documents and jobs: a connection for each of what it carries. Loaded only with Redis. */
import { connectRedis } from '../cache/connect-redis.js';
import { RedisStore } from '../cache/redis-store.js';
import type { Config } from '../config.js';
import type { DocumentLogger } from '../documents/document-parts.js';
import { RedisJobQueue } from '../documents/redis-job-queue.js';
import { RedisJobShelf } from '../documents/redis-job-shelf.js';
import { RedisShelf } from '../documents/redis-shelf.js';
import type { OpenStores } from './open-lmdb.js';
import type { RedisConnection, StoreWatch } from './store-watch.js';

/** Connects in the background. @throws BlockstitchError `config_invalid` if a URL or a file cannot be used */
export function openRedis(config: Config, watch: StoreWatch, logger: DocumentLogger): OpenStores {
  const ttlSeconds = Math.ceil(config.redisTtlMs / 1000);
  const open = (carries: RedisConnection) => connectRedis(config, { carries, onState: watch.follow(carries) });
  // Documents have a connection of their own: they do not wait behind the loads and writes of blocks.
  const client = open('documents');
  const loads = connectRedis(config, { carries: 'loads' });
  const jobs = new RedisJobShelf(client);
  const connect = () => connectRedis(config, { carries: 'jobs' });
  const queue = new RedisJobQueue({ client, connect, shelf: jobs, logger });
  return {
    blocks: new RedisStore({ client: open('blocks'), loads, ttlSeconds }),
    shelves: { documents: new RedisShelf(client), jobs, queue },
    close: async () => {
      watch.closing();
      await client.quit().catch(() => client.disconnect());
    },
  };
}
