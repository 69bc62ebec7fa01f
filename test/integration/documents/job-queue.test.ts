/** The queue of jobs on a real Redis, by several servers in one process: shared out, tried again, ended, handed over, put back. */
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { COMMON_SCOPE } from '../../../src/cache/tiers.js';
import type { JobState } from '../../../src/documents/job-record.js';
import { BlockstitchError } from '../../../src/errors.js';
import { DocumentsBench, gate } from '../../support/documents-bench.js';
import { startRedis, type TestRedis } from '../../support/redis-server.js';
import { type RedisShelves, redisShelves } from '../../support/redis-shelves.js';

type Server = DocumentsBench<RedisShelves>;

const QUEUE = 'blockstitch:{jobs}:ingestions';
let redis: TestRedis;
let client: Redis;
const servers: Server[] = [];

beforeAll(async () => {
  redis = await startRedis();
  client = new Redis(redis.url);
});
beforeEach(() => client.flushall());
afterEach(async () => {
  for (const server of servers.splice(0)) {
    await server.documents.jobs.drain(0);
    server.shelves.disconnect();
  }
});
afterAll(async () => {
  client.disconnect();
  await redis.stop();
});

/** All keep blocks in one store. A job that fails is tried again soon. */
function server(url = redis.url): Server {
  const opened = new DocumentsBench(redisShelves(url, 1), { maxQueue: 64 });
  Object.assign(opened, { store: servers[0]?.store ?? opened.store });
  servers.push(opened);
  return opened;
}

async function working(url?: string): Promise<Server> {
  const opened = server(url);
  await opened.documents.jobs.resume();
  return opened;
}

const start = (on: Server, id: string, text = `Text of ${id}.`) => on.documents.start(COMMON_SCOPE, { id, text });

async function seen(on: Server, id: string): Promise<string[]> {
  const states: string[] = [];
  for await (const { status, blocksDone, blocksTotal } of on.documents.jobs.watch(
    '',
    id,
    new AbortController().signal,
  )) {
    states.push(`${status} ${blocksDone}/${blocksTotal}`);
  }
  return states;
}

async function ended(on: Server, { id }: Pick<JobState, 'id'>): Promise<string | undefined> {
  return (await seen(on, id)).at(-1)?.split(' ')[0];
}

/** Holds each block of a server. @returns resolves when so many wait, and lets them go */
function held(on: Server, count: number) {
  const { wait, open } = gate();
  const all = gate();
  let begun = 0;
  on.beforeBlock = () => {
    begun += 1;
    if (begun === count) all.open();
    return wait;
  };
  return { all: all.wait, open };
}

const ids = async (on: Server) => (await on.documents.list(COMMON_SCOPE, { limit: 100 })).records.map(({ id }) => id);

test('jobs that one server accepts are shared out over all that have hands free', async () => {
  const all = [await working(), await working(), await working()];
  const gates = all.map((each) => held(each, 4));
  const jobs: JobState[] = [];
  for (let index = 0; index < 12; index++) jobs.push(await start(all[0] as Server, `d${index}`));
  await Promise.all(gates.map((each) => each.all));
  jobs.push(await start(all[0] as Server, 'd12'));
  for (const { documents } of all)
    expect(await documents.jobs.counts()).toEqual({ waiting: 1, active: 12, delayed: 0 });
  expect(all.map(({ begun }) => begun.length)).toEqual([4, 4, 4]);
  for (const each of gates) each.open();
  for (const job of jobs) expect(await ended(all[2] as Server, job)).toBe('done');
  expect(all.flatMap(({ begun }) => begun).sort()).toEqual(
    jobs.map(({ documentId }) => `Text of ${documentId}.`).sort(),
  );
});

test('progress and the end are told by a server that does not run the job', async () => {
  const [one, two] = [server(), await working()];
  const second = gate();
  two.beforeBlock = (text) => (text === 'Two.' ? second.wait : Promise.resolve());
  const { id } = await start(one, 'd', 'One.\n\nTwo.');
  const states: string[] = [];
  for await (const state of one.documents.jobs.watch('', id, new AbortController().signal)) {
    states.push(`${state.status} ${state.blocksDone}/${state.blocksTotal}`);
    if (state.blocksDone === 1) {
      expect(await one.documents.jobs.get('', id)).toMatchObject({ status: 'running', blocksDone: 1, blocksTotal: 2 });
      second.open();
    }
  }
  expect(states).toContain('running 1/2');
  expect(states.at(-1)).toBe('done 2/2');
  expect(one.begun).toEqual([]);
});

describe('a job that fails', () => {
  const passing = new BlockstitchError('store_failed', { reason: 'for a moment' });

  test('for a reason that may pass is tried again, and ends well', async () => {
    const one = await working();
    one.failAt = { index: 0, error: passing };
    one.beforeBlock = async () => {
      if (one.begun.length === 3) one.failAt = undefined;
    };
    expect(await ended(one, await start(one, 'd'))).toBe('done');
    expect(one.begun).toHaveLength(3);
  });

  test('each time is given up after four tries, and says why on each server', async () => {
    const [one, two] = [await working(), server()];
    one.failAt = { index: 0, error: passing };
    const job = await start(one, 'd');
    expect(await ended(one, job)).toBe('failed');
    expect(one.begun).toHaveLength(4);
    const error = { code: 'store_failed', message: "The store failed; the server's log says why." };
    for (const each of [one, two])
      expect(await each.documents.jobs.get('', job.id)).toMatchObject({ status: 'failed', error });
  });

  test('is tried again after 1, 2 and 4 seconds', async () => {
    const shelves = redisShelves(redis.url);
    const one = new DocumentsBench(shelves);
    servers.push(one);
    const { id } = await start(one, 'd');
    const options = JSON.parse((await client.hget(`${QUEUE}:${id}`, 'opts')) ?? '');
    expect(options).toMatchObject({ attempts: 4, backoff: { type: 'exponential', delay: 1000 } });
  });

  test('for a reason that stays is not tried again', async () => {
    const one = await working();
    one.failAt = { index: 0, error: new BlockstitchError('empty_input', { what: 'it' }) };
    expect(await ended(one, await start(one, 'd'))).toBe('failed');
    expect(one.begun).toHaveLength(1);
  });

  test('leaves nothing of its document in the queue’s keys, and they do not pile up', async () => {
    const one = await working();
    one.failAt = { index: 0, error: passing };
    const told: string[] = [];
    one.beforeBlock = async () => {
      for (const key of await client.keys(`${QUEUE}:job-*`)) {
        if ((await client.type(key)) === 'hash') told.push(JSON.stringify(await client.hgetall(key)));
      }
    };
    await ended(one, await start(one, 'a secret id', 'A secret text.'));
    expect(told.length).toBe(4);
    expect(told.join()).not.toContain('secret');
    await expect.poll(() => client.keys(`${QUEUE}:job-*`), { timeout: 60_000 }).toEqual([]);
    expect(JSON.stringify(await client.xrange(`${QUEUE}:events`, '-', '+'))).not.toContain('secret');
  });
});

describe('cancelling', () => {
  test('reaches the server that runs the job, which stops at once', async () => {
    const [one, two] = [server(), await working()];
    const { all } = held(two, 1);
    const { id } = await start(one, 'd');
    await all;
    expect(await one.documents.jobs.cancel('', id)).toMatchObject({ status: 'cancelled' });
    // Nobody opens the gate: the run ends because it is told.
    await expect.poll(() => two.documents.jobs.open, { timeout: 60_000 }).toBe(0);
    expect([await ended(two, { id }), await ids(one), one.store.size]).toEqual(['cancelled', [], 0]);
  });

  test('of a job that waits takes it out of the queue', async () => {
    const [one, two] = [server(), server()];
    const { id } = await start(one, 'd');
    expect(await two.documents.jobs.cancel('', id)).toMatchObject({ status: 'cancelled' });
    expect(await client.lrange(`${QUEUE}:wait`, 0, -1)).toEqual([]);
    await expect.poll(() => one.documents.jobs.open, { timeout: 60_000 }).toBe(0);
  });
});

test('a drain hands what runs over at once, and what waits was never its own', async () => {
  const one = await working();
  const { all } = held(one, 4);
  const jobs: JobState[] = [];
  for (let index = 0; index < 6; index++) jobs.push(await start(one, `d${index}`));
  await all;
  expect(await one.documents.jobs.drain(0)).toEqual({ finished: 0, kept: 6 });
  const two = await working();
  for (const job of jobs) expect(await ended(two, job)).toBe('done');
  expect(two.begun).toHaveLength(6);
});

describe('a job whose server is gone', () => {
  test('is run again by who has hands when its lock has ended, and its first run ends', async () => {
    const one = await working();
    const { all } = held(one, 1);
    const job = await start(one, 'd');
    await all;
    one.beforeBlock = async () => {};
    const two = await working();
    await client.del(`${QUEUE}:${job.id}:lock`);
    expect(await ended(two, job)).toBe('done');
    await expect.poll(() => one.documents.jobs.open, { timeout: 60_000 }).toBe(0);
    expect([...one.begun, ...two.begun]).toEqual(['Text of d.', 'Text of d.']);
  });

  test('is given up when five servers have ended with it', async () => {
    const one = server();
    const job = await start(one, 'd');
    await client.hset(`${QUEUE}:${job.id}`, 'stc', 5);
    await one.documents.jobs.resume();
    expect(await ended(one, job)).toBe('failed');
    expect(await one.documents.jobs.get('', job.id)).toMatchObject({ error: { code: 'engine_failed' } });
    expect([one.begun, one.logged]).toEqual([[], [expect.stringContaining('given up')]]);
  });
});

describe('a queue that Redis has lost', () => {
  test.each([
    ['all of it', async () => client.keys(`${QUEUE}*`)],
    ['its list of waiting jobs', async () => [`${QUEUE}:wait`]],
    ['its jobs', async () => client.keys(`${QUEUE}:job-*`)],
  ])('%s: a server puts the open jobs back', async (_, lost) => {
    const one = server();
    const jobs = [await start(one, 'a'), await start(one, 'b')];
    await client.unlink(...(await lost()));
    const two = await working();
    for (const job of jobs) expect(await ended(two, job)).toBe('done');
    expect((await ids(two)).sort()).toEqual(['a', 'b']);
  });

  test('does not run a job again that has ended', async () => {
    const one = await working();
    const job = await start(one, 'd');
    expect(await ended(one, job)).toBe('done');
    await one.shelves.queue.add(job.id);
    await expect.poll(() => client.keys(`${QUEUE}:job-*`), { timeout: 60_000 }).toEqual([]);
    expect(one.begun).toEqual(['Text of d.']);
  });
});

test('a delete waits for the job before it, though another server runs that', async () => {
  const [one, two] = [server(), await working()];
  const { all, open } = held(two, 1);
  const job = await start(one, 'd');
  await all;
  let deleted = false;
  const deleting = one.documents.forget(COMMON_SCOPE, 'd').then(() => {
    deleted = true;
  });
  for (let turn = 0; turn < 8; turn++) await new Promise(setImmediate);
  expect(deleted).toBe(false);
  open();
  await deleting;
  expect([await ended(one, job), await ids(one), one.store.size]).toEqual(['done', [], 0]);
});

test('jobs of one document are begun in the order in which one server accepts them', async () => {
  const [one, two] = [server(), await working()];
  const texts = ['First.', 'Second.', 'Third.'];
  const jobs: JobState[] = [];
  for (const text of texts) jobs.push(await start(one, 'd', text));
  for (const job of jobs) expect(await ended(two, job)).toBe('done');
  expect(two.begun).toEqual(texts);
  expect((await two.documents.get(COMMON_SCOPE, 'd')).text).toBe('Third.');
});
