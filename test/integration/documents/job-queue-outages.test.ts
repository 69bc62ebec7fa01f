/** The queue of jobs on a Redis that is away, empty, read-only, a cluster, or closed to scripts. */
import fc from 'fast-check';
import { Redis } from 'ioredis';
import { afterEach, expect, test, vi } from 'vitest';
import { COMMON_SCOPE } from '../../../src/cache/tiers.js';
import { BlockstitchError } from '../../../src/errors.js';
import { DocumentsBench, gate } from '../../support/documents-bench.js';
import { freePort, startCluster, startRedis, startSentinel } from '../../support/redis-server.js';
import { type RedisShelves, redisShelves } from '../../support/redis-shelves.js';

type Server = DocumentsBench<RedisShelves>;

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function redisAt(port?: number, extra: readonly string[] = []) {
  const redis = await startRedis(port, extra);
  closers.push(() => redis.stop());
  return redis;
}

function clientOf(url: string): Redis {
  const client = new Redis(url);
  closers.push(async () => client.disconnect());
  return client;
}

/** @param beside keeps blocks in the same store @param master that a Sentinel at the URL knows */
function server(url: string, beside?: Server, master?: string): Server {
  const opened = new DocumentsBench(redisShelves(url, 1, master), { maxQueue: 64 });
  if (beside) Object.assign(opened, { store: beside.store });
  closers.push(async () => {
    await opened.documents.jobs.drain(0);
    opened.shelves.disconnect();
  });
  return opened;
}

const start = (on: Server, id: string, text = `Text of ${id}.`) => on.documents.start(COMMON_SCOPE, { id, text });

async function ended(on: Server, { id }: { id: string }): Promise<string | undefined> {
  let last: string | undefined;
  for await (const { status } of on.documents.jobs.watch('', id, new AbortController().signal)) last = status;
  return last;
}

/** Until the store takes it: a client is told to try again. */
async function startsAgain(on: Server, id: string): Promise<{ id: string }> {
  for (;;) {
    try {
      return await start(on, id);
    } catch (error) {
      if (!(error instanceof BlockstitchError && error.code === 'store_failed')) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

test('a Redis that is away at the start is waited for', async () => {
  const port = await freePort();
  const one = server(`redis://127.0.0.1:${port}`);
  const resumed = one.documents.jobs.resume();
  await expect(start(one, 'd')).rejects.toMatchObject({ code: 'store_failed' });
  await redisAt(port);
  expect(await resumed).toBe(0);
  expect(await ended(one, await startsAgain(one, 'd'))).toBe('done');
});

test('a Redis that ends and comes back empty loses what it had, and runs what comes then', async () => {
  const first = await startRedis();
  const one = server(first.url);
  await one.documents.jobs.resume();
  expect(await ended(one, await start(one, 'a'))).toBe('done');
  one.beforeBlock = () => new Promise(() => undefined);
  const lost = await start(one, 'b');
  await first.stop();
  await redisAt(first.port);
  one.beforeBlock = async () => {};
  expect(await ended(one, await startsAgain(one, 'c'))).toBe('done');
  expect(await one.documents.jobs.get('', lost.id)).toBeUndefined();
  await one.shelves.queue.tick();
  await expect.poll(() => one.documents.jobs.open, { timeout: 60_000 }).toBe(0);
});

test('a server ends in order while its Redis is away', async () => {
  const first = await startRedis();
  const one = server(first.url);
  await one.documents.jobs.resume();
  const begun = gate();
  one.beforeBlock = () => {
    begun.open();
    return new Promise(() => undefined);
  };
  await start(one, 'd');
  await begun.wait;
  await first.stop();
  expect(await one.documents.jobs.drain(0)).toEqual({ finished: 0, kept: 1 });
});

test('a Redis that is a replica for a while is told of once, and goes on as a master', async () => {
  const redis = await redisAt();
  const client = clientOf(redis.url);
  const one = server(redis.url);
  await one.documents.jobs.resume();
  expect(await ended(one, await start(one, 'a'))).toBe('done');
  await client.replicaof('127.0.0.1', await freePort());
  await expect.poll(() => one.shelves.logged.length, { timeout: 60_000 }).toBe(1);
  expect(one.shelves.logged[0]).toMatch(/READONLY|UNBLOCKED/);
  await client.replicaof('NO', 'ONE');
  expect(await ended(one, await startsAgain(one, 'b'))).toBe('done');
  expect(one.shelves.logged).toHaveLength(1);
});

test('a cluster keeps the queue on one node, and shares the jobs out', async () => {
  const cluster = await startCluster();
  closers.push(() => cluster.stop());
  const one = server(cluster.urls);
  const two = server(cluster.urls, one);
  await one.documents.jobs.resume();
  await two.documents.jobs.resume();
  const jobs = [];
  for (let index = 0; index < 8; index++) jobs.push(await start(one, `d${index}`));
  for (const [index, job] of jobs.entries()) expect(await ended(index % 2 ? one : two, job)).toBe('done');
  const names = ['wait', 'active', 'events', 'meta', (jobs[0] as { id: string }).id];
  const client = clientOf(cluster.urls.split(',')[0] as string);
  const slots = await Promise.all(
    names.map((name) => client.cluster('KEYSLOT', `blockstitch:{jobs}:ingestions:${name}`)),
  );
  expect(new Set([...slots, await client.cluster('KEYSLOT', 'blockstitch:{jobs}:open')]).size).toBe(1);
});

test('a master that a Sentinel knows has the queue', async () => {
  const redis = await redisAt();
  const sentinel = await startSentinel(redis.port);
  closers.push(() => sentinel.stop());
  const one = server(sentinel.url, undefined, sentinel.master);
  await one.documents.jobs.resume();
  expect([await ended(one, await start(one, 'a')), one.shelves.logged]).toEqual(['done', []]);
  expect(await clientOf(redis.url).exists('blockstitch:{jobs}:ingestions:meta')).toBe(1);
});

test('a Redis that may drop any key is warned of in the log, and nothing is written to the console', async () => {
  const told = [vi.spyOn(console, 'warn'), vi.spyOn(console, 'error'), vi.spyOn(console, 'log')];
  const redis = await redisAt(undefined, ['--maxmemory', '100mb', '--maxmemory-policy', 'allkeys-lru']);
  const one = server(redis.url);
  await one.documents.jobs.resume();
  await expect.poll(() => one.shelves.logged, { timeout: 60_000 }).toEqual([expect.stringContaining('allkeys-lru')]);
  expect(await ended(one, await start(one, 'a'))).toBe('done');
  for (const spy of told) expect(spy).not.toHaveBeenCalled();
  vi.restoreAllMocks();
});

test('a user who may not run scripts has jobs run where they are accepted, and taken over when that server is gone', async () => {
  const redis = await redisAt();
  const admin = clientOf(redis.url);
  await admin.call('ACL', 'SETUSER', 'plain', 'on', '>secret', '~blockstitch:*', '+@all', '-@scripting');
  const url = `redis://plain:secret@127.0.0.1:${redis.port}`;
  const one = server(url);
  const two = server(url, one);
  await one.documents.jobs.resume();
  expect(one.shelves.logged).toEqual([expect.stringMatching(/run on the server that accepts them.*NOPERM.*eval/)]);
  expect(await ended(one, await start(one, 'a'))).toBe('done');
  expect(await admin.keys('blockstitch:{jobs}:ingestions*')).toEqual([]);
  const begun = gate();
  one.beforeBlock = () => {
    begun.open();
    return new Promise(() => undefined);
  };
  const job = await start(one, 'b');
  await begun.wait;
  expect(await two.documents.jobs.resume()).toBe(0);
  // As if the first one were gone.
  await admin.unlink(`blockstitch:{jobs}:lease:${job.id}`);
  expect(await two.shelves.queue.tick()).toBe(1);
  expect(await ended(two, job)).toBe('done');
});

test('a user who may touch no keys but ours can use the queue', async () => {
  const redis = await redisAt();
  const admin = clientOf(redis.url);
  await admin.call('ACL', 'SETUSER', 'ours', 'on', '>secret', '~blockstitch:*', '+@all', '-@admin', '-@dangerous');
  const one = server(`redis://ours:secret@127.0.0.1:${redis.port}`);
  await one.documents.jobs.resume();
  expect([await ended(one, await start(one, 'a')), one.shelves.logged]).toEqual(['done', []]);
  expect(await admin.exists('blockstitch:{jobs}:ingestions:meta')).toBe(1);
});

/** What may happen to jobs, in a drawn order, at either of two servers. */
const step = fc.record({
  at: fc.nat(1),
  do: fc.oneof(
    { weight: 4, arbitrary: fc.record({ start: fc.nat(2) }) },
    { weight: 2, arbitrary: fc.record({ cancel: fc.nat(9) }) },
    { weight: 1, arbitrary: fc.record({ fail: fc.boolean() }) },
    { weight: 1, arbitrary: fc.record({ lose: fc.constantFrom('wait', 'active', 'all') }) },
    { weight: 1, arbitrary: fc.record({ turns: fc.nat(20) }) },
  ),
});

test('each job ends once and in one way, whatever happens in between', async () => {
  const redis = await redisAt();
  const client = clientOf(redis.url);
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 6, maxLength: 24 }), async (steps) => {
      await client.flushall();
      const one = server(redis.url);
      const both = [one, server(redis.url, one)] as const;
      const ends = new Map<string, number>();
      for (const { shelves } of both) {
        const end = shelves.jobs.end.bind(shelves.jobs);
        shelves.jobs.end = async (id, ...rest) => {
          const done = await end(id, ...rest);
          if (done) ends.set(id, (ends.get(id) ?? 0) + 1);
          return done;
        };
      }
      for (const { documents } of both) await documents.jobs.resume();
      const jobs: { id: string; documentId: string; text: string }[] = [];
      const cancels: Promise<unknown>[] = [];
      for (const { at, do: what } of steps) {
        const on = both[at] as Server;
        if ('start' in what) {
          const documentId = `d${what.start}`;
          const text = `Text ${jobs.length} of ${documentId}.`;
          const { id } = await start(on, documentId, text);
          jobs.push({ id, documentId, text });
        } else if ('cancel' in what) {
          const job = jobs[what.cancel];
          if (job) cancels.push(on.documents.jobs.cancel('', job.id));
        } else if ('fail' in what) {
          on.failAt = what.fail
            ? { index: 0, error: new BlockstitchError('store_failed', { reason: 'x' }) }
            : undefined;
        } else if ('lose' in what) {
          const name = what.lose === 'all' ? '*' : what.lose;
          const keys = await client.keys(`blockstitch:{jobs}:ingestions:${name}`);
          if (keys.length > 0) await client.unlink(...keys);
        } else for (let turn = 0; turn < what.turns; turn++) await new Promise(setImmediate);
      }
      await Promise.all(cancels);
      // What was lost while it ran is found at one of the next looks.
      const looking = setInterval(() => void one.shelves.queue.tick(), 500);
      const states = new Map<string, string | undefined>();
      for (const { id } of jobs) {
        const [here, there] = await Promise.all(both.map((each) => ended(each, { id })));
        expect(here).toBe(there);
        states.set(id, here);
      }
      clearInterval(looking);
      for (const { id } of jobs) expect([id, ends.get(id)]).toEqual([id, 1]);
      for (const documentId of ['d0', 'd1', 'd2']) {
        const done = jobs.filter((job) => job.documentId === documentId && states.get(job.id) === 'done');
        const found = await one.documents.get(COMMON_SCOPE, documentId).catch(() => undefined);
        expect(found === undefined).toBe(done.length === 0);
        if (found) expect(done.map(({ text }) => text)).toContain(found.text);
      }
      for (const each of both) {
        await each.documents.jobs.drain(0);
      }
    }),
    { numRuns: 12 },
  );
});
