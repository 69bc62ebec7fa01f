/** What a user of Redis must be allowed so that servers share jobs there. Asked by calls that change nothing. */
import type { Cluster, Redis } from 'ioredis';
import { askRedis, withoutScripts } from '../cache/connect-redis.js';

/** @returns Redis' words where the user lacks a right; undefined: all is well @throws Error where Redis does not answer */
export async function missingRight(client: Redis | Cluster, prefix = 'blockstitch:'): Promise<string | undefined> {
  const key = `${prefix}{jobs}:probe`;
  const calls = [
    () => client.eval("return redis.call('exists', KEYS[1])", 1, key),
    () => client.bzpopmin(key, 0.01),
    () => client.xread('COUNT', 1, 'STREAMS', key, '0'),
  ];
  try {
    for (const call of calls) await askRedis<unknown>(client, call);
    return undefined;
  } catch (error) {
    if (withoutScripts(error)) return (error as Error).message;
    throw error;
  }
}
