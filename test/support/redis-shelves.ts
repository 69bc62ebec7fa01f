/** Shelves and the queue of jobs in a real Redis, as a server opens them, for servers within one test process. */
import { connectRedis } from '../../src/cache/connect-redis.js';
import type { Shelves } from '../../src/documents/documents.js';
import { RedisJobQueue } from '../../src/documents/redis-job-queue.js';
import { RedisJobShelf } from '../../src/documents/redis-job-shelf.js';
import { RedisShelf } from '../../src/documents/redis-shelf.js';

export interface RedisShelves extends Shelves {
  queue: RedisJobQueue;
  jobs: RedisJobShelf;
  logged: string[];
  disconnect(): void;
}

/** @param retryMs before the second try of a job; as long as on a server by default */
export function redisShelves(redisUrl: string, retryMs?: number): RedisShelves {
  const rest = { redisMaster: '', redisSentinelPassword: '', redisCa: '', redisCert: '', redisKey: '' };
  const settings = { redisUrl, redisMode: 'auto' as const, ...rest };
  const client = connectRedis(settings, { carries: 'documents' });
  const connect = () => connectRedis(settings, { carries: 'jobs' });
  const jobs = new RedisJobShelf(client);
  const logged: string[] = [];
  const logger = { warn: (details: object, words: string) => void logged.push(`${words} ${JSON.stringify(details)}`) };
  const queue = new RedisJobQueue({
    client,
    connect,
    shelf: jobs,
    logger,
    ...(retryMs === undefined ? {} : { retryMs }),
  });
  return { documents: new RedisShelf(client), jobs, queue, logged, disconnect: () => client.disconnect() };
}
