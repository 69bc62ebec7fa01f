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

/**
 * @param retryMs before the second try of a job; as long as on a server by default
 * @param master  the URL is that of a Sentinel that knows it
 */
export function redisShelves(redisUrl: string, retryMs?: number, master = ''): RedisShelves {
  const files = { redisCa: '', redisCert: '', redisKey: '' };
  const redisMode = master === '' ? ('auto' as const) : ('sentinel' as const);
  const settings = { redisUrl, redisMode, redisMaster: master, redisSentinelPassword: '', ...files };
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
