/** Redis is away, slow, read-only or refuses: the server goes on by computing, and comes back to it by itself. */
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { startRedis } from '../../support/redis-server.js';
import { type FaultCase, mustHold } from './case.js';
import { overRedis, type RedisBench, saysFailing } from './redis-bench.js';
import { Traffic } from './traffic.js';
import { DOCUMENTS } from './world.js';

/** Small beside what loopback gives: a load takes about a hundred times as long. */
const SLOW_BYTES_PER_SECOND = 200_000;

async function processOf(admin: Redis): Promise<number> {
  return Number(/process_id:(\d+)/.exec(await admin.info('server'))?.[1]);
}

export const REDIS_AWAY_CASES: readonly FaultCase[] = [
  {
    name: 'redis-killed',
    about: 'Redis is killed, and started again after a while with what is on its disk',
    run: overRedis(async (bench) => {
      bench.traffic.storeAway = true;
      await bench.killRedis();
      const said = await saysFailing(bench);
      await bench.traffic.answered(20);
      await bench.startRedisAgain();
      return said;
    }),
  },
  {
    name: 'redis-emptied',
    about: 'FLUSHALL: blocks are computed again; documents are sent again',
    short: true,
    run: overRedis(async ({ world, url, admin, traffic }) => {
      traffic.storeAway = true;
      await admin.flushall();
      await traffic.answered(20);
      const { code } = await world.ask(url, 0, 'id');
      await world.ingestAll(url);
      return `by id: ${code}`;
    }),
  },
  {
    name: 'redis-paused',
    about: 'SIGSTOP for 10 seconds; nothing may fail, documents by id wait',
    run: overRedis(async ({ admin, traffic, world, url }) => {
      const pid = await processOf(admin);
      process.kill(pid, 'SIGSTOP');
      await delay(10_000);
      const state = await world.storeState(url);
      process.kill(pid, 'SIGCONT');
      await traffic.answered(20);
      return `/ready meanwhile: store ${state}`;
    }),
  },
  {
    name: 'redis-slowed',
    about: `the line passes ${SLOW_BYTES_PER_SECOND / 1000} kB a second for 20 seconds; nothing may fail`,
    run: overRedis(async ({ proxy, traffic, world, url }) => {
      proxy.slow(SLOW_BYTES_PER_SECOND);
      await delay(20_000);
      await traffic.answered(5);
      proxy.slow();
      return `loads given up or passed over; /ready meanwhile: store ${await world.storeState(url)}`;
    }),
  },
  {
    name: 'redis-silent',
    about: 'its connections go dead without an end; they are replaced, nothing may fail',
    run: overRedis(async ({ proxy, traffic }) => {
      const before = proxy.connections;
      proxy.lose();
      await traffic.answered(20);
      return `${proxy.connections - before} new connections`;
    }),
  },
  {
    name: 'redis-cut',
    about: 'all connections are cut within a value, 20 times; nothing may fail',
    run: overRedis(async ({ proxy, traffic, world }) => {
      for (let time = 0; time < 20; time++) {
        const before = proxy.connections;
        proxy.cut(world.draw(1, 60_000));
        await world.until('the connections are cut and made again', async () => proxy.connections >= before + 3);
        await traffic.answered(3);
      }
      return `${proxy.connections} connections made`;
    }),
  },
  {
    name: 'redis-full',
    about: 'maxmemory without eviction: what is there is read, what is new is refused',
    run: overRedis(async (bench) => {
      await bench.admin.config('SET', 'maxmemory-policy', 'noeviction');
      await bench.admin.config('SET', 'maxmemory', '1mb');
      const said = await saysFailing(bench);
      mustHold((await bench.world.ingestNew(bench.url)) === '503 store_failed', 'an ingestion is refused by name');
      await bench.traffic.answered(20);
      await bench.admin.config('SET', 'maxmemory', '0');
      return said;
    }),
  },
  {
    name: 'redis-failover',
    about: 'the master behind the address is a replica now; nothing may fail, documents are taken all the time',
    short: true,
    run: overRedis(failover),
  },
  {
    name: 'redis-read-only',
    about: 'it stays a replica of nobody for a while: what is there is read, what is new is refused',
    run: overRedis(async (bench) => {
      const { admin } = bench;
      await admin.config('SET', 'replica-serve-stale-data', 'yes');
      await admin.replicaof('127.0.0.1', 9);
      const said = await saysFailing(bench);
      await bench.traffic.answered(20);
      await admin.replicaof('NO', 'ONE');
      return said;
    }),
  },
  {
    name: 'redis-wrong-password',
    about: 'the server starts with a wrong password; texts are answered, and all works once the password is right',
    run: wrongPassword,
  },
];

async function failover({ world, url, redis, admin, proxy, traffic }: RedisBench): Promise<string> {
  const next = await startRedis(undefined, ['--replicaof', `127.0.0.1 ${redis.port}`]);
  const master = new Redis(next.url);
  try {
    await world.until('the replica has everything', async () => {
      const info = await master.info('replication');
      return info.includes('master_link_status:up') && (await admin.wait(1, 1_000)) === 1;
    });
    await master.replicaof('NO', 'ONE');
    proxy.lead(next.port);
    await admin.replicaof('127.0.0.1', next.port);
    for (let each = 0; each < 10; each++) {
      const written = await world.ingestNew(url);
      mustHold(written === '200', `documents are taken, not ${written}`);
    }
    await traffic.answered(20);
    // Back again: the next case of this kind, and this Redis ends.
    await world.until('the old one has everything', async () => (await master.wait(1, 1_000)) === 1);
    await admin.replicaof('NO', 'ONE');
    proxy.lead(redis.port);
    await master.replicaof('127.0.0.1', redis.port);
    const after = await world.ingestNew(url);
    mustHold(after === '200', `documents are taken after the second failover, not ${after}`);
    proxy.lead(redis.port, { end: true });
    return '11 of 11 ingestions 200';
  } finally {
    master.disconnect();
    await next.stop();
  }
}

async function wrongPassword(world: Parameters<FaultCase['run']>[0]): ReturnType<FaultCase['run']> {
  const redis = await startRedis(undefined, ['--requirepass', 'right']);
  const admin = new Redis(redis.url.replace('//', '//:right@'));
  const server = await world.serve(['--redis-url', redis.url.replace('//', '//:wrong-secret@')]);
  const traffic = new Traffic(world, [server], { modes: ['text'] });
  try {
    await traffic.answered(20);
    mustHold((await world.storeState(server.url)) === 'failing', '/ready says that the store fails');
    mustHold((await world.metric(server.url, 'redis_connected')) === 0, 'redis_connected is 0');
    mustHold((await world.ingestNew(server.url)) === '503 store_failed', 'an ingestion is refused by name');
    await admin.config('SET', 'requirepass', 'wrong-secret');
    const recoveredMs = await world.until('the store is used', async () => {
      return (await world.ingestNew(server.url)) === '200' && (await world.storeState(server.url)) === 'ok';
    });
    await world.ingestAll(server.url);
    const account = await traffic.stop();
    const lost = await world.lost(server.url);
    const { stdout, stderr } = await server.kill('SIGTERM');
    const told = stdout
      .split('\n')
      .filter((line) => line.includes('Redis cannot be used') && line.includes('WRONGPASS'));
    mustHold(
      told.length === 2,
      `the log says once per connection that the password is wrong, not ${told.length} times`,
    );
    mustHold(!`${stdout}${stderr}`.includes('wrong-secret'), 'the password is not in the log');
    const said = '/ready: store failing; redis_connected 0; WRONGPASS in the log, once per connection';
    return { ...account, acknowledged: DOCUMENTS, lost, recoveredMs, said };
  } finally {
    await traffic.stop();
    admin.disconnect();
    await server.kill('SIGKILL').catch(() => undefined);
    await redis.stop();
  }
}
