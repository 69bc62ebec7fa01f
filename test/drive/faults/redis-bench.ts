/** A server over Redis, with a line between them that can be broken, documents in it, and clients that ask all the time. */
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { type RedisProxy, startRedisProxy } from '../../support/redis-proxy.js';
import { startRedis, type TestRedis } from '../../support/redis-server.js';
import type { FaultCase } from './case.js';
import { Traffic, type TrafficOptions } from './traffic.js';
import { DOCUMENTS, type Server, type World } from './world.js';

export interface RedisBench {
  world: World;
  server: Server;
  url: string;
  redis: TestRedis;
  proxy: RedisProxy;
  /** Beside the line. */
  admin: Redis;
  traffic: Traffic;
  /** Ends Redis without a word. */
  killRedis(): Promise<void>;
  /** Brings it back with what it had written to its disk. */
  startRedisAgain(): Promise<void>;
}

/** @param fault breaks and mends; returns what was said meanwhile */
export function overRedis(
  fault: (bench: RedisBench) => Promise<string>,
  traffic: TrafficOptions = {},
): FaultCase['run'] {
  return async (world) => {
    const directory = mkdtempSync(join(world.home, 'redis-'));
    const durable = ['--dir', directory, '--appendonly', 'yes', '--appendfsync', 'always'];
    let redis = await startRedis(undefined, durable);
    const proxy = await startRedisProxy(redis.port);
    const admin = new Redis(redis.url);
    admin.on('error', () => undefined);
    const server = await world.serve(['--redis-url', proxy.url]);
    const bench: RedisBench = {
      world,
      server,
      url: server.url,
      redis,
      proxy,
      admin,
      traffic: new Traffic(world, [], traffic),
      killRedis: () => redis.stop(),
      async startRedisAgain() {
        redis = await startRedis(redis.port, durable);
      },
    };
    try {
      await world.ingestAll(server.url);
      bench.traffic.servers.add(server);
      await bench.traffic.answered(15);
      const said = await fault(bench);
      const recoveredMs = await recovered(bench);
      bench.traffic.storeAway = false;
      await bench.traffic.answered(15);
      const account = await bench.traffic.stop();
      const lost = await world.lost(server.url);
      return { ...account, acknowledged: DOCUMENTS, lost, recoveredMs, said };
    } finally {
      await bench.traffic.stop();
      await server.kill('SIGTERM');
      admin.disconnect();
      await proxy.close();
      await redis.stop();
      rmSync(directory, { recursive: true, force: true });
    }
  };
}

/** Documents are found, new ones are taken, blocks come from the store, and /ready says so. */
async function recovered({ world, url }: RedisBench): Promise<number> {
  return world.until('the store is used again', async () => {
    await world.emptyNearTiers(url);
    const { answer, origins } = await world.ask(url, 0, 'id');
    const written = await world.ingestNew(url);
    return (
      world.isRight(0, answer) &&
      origins.includes('redis') &&
      written === '200' &&
      (await world.storeState(url)) === 'ok'
    );
  });
}

/** Waits until the server has noticed. @returns the words for the table */
export async function saysFailing({ world, url }: RedisBench): Promise<string> {
  await world.until('/ready says that the store fails', async () => {
    // Somebody must use it.
    await world.ingestNew(url);
    return (await world.storeState(url)) === 'failing';
  });
  const failures = await world.metric(url, 'store_failures_total');
  const connected = await world.metric(url, 'redis_connected');
  return `/ready: store failing; redis_connected ${connected} of 2, store_failures_total ${failures > 0 ? '> 0' : '0'}`;
}

/** Waits until so many values were refused. @returns the words for the table */
export async function refuses({ world, url }: RedisBench, before: number): Promise<string> {
  await world.until('damaged values are counted', async () => (await world.metric(url, 'tier_corrupt_total')) > before);
  return 'tier_corrupt_total > 0';
}

/** Keys of all blocks in Redis, first parts. */
export async function blockKeys(admin: Redis): Promise<string[]> {
  return (await admin.keys('blockstitch:block:*')).sort();
}
