/** Jobs: durable before they are acknowledged, cancelled, drained, taken over, and each tenant's own. */
import { beforeEach, describe, expect, test } from 'vitest';
import { COMMON_SCOPE } from '../../../src/cache/tiers.js';
import type { JobState } from '../../../src/documents/job-record.js';
import { BlockstitchError } from '../../../src/errors.js';
import { DocumentsBench, gate } from '../../support/documents-bench.js';
import { MemoryJobShelf, memoryShelves } from '../../support/memory-shelves.js';

const SHORT = { maxQueue: 2 };
const SALTED = { tenant: 'alice', salt: 'digest' };
let bench: DocumentsBench;

beforeEach(() => {
  bench = DocumentsBench.inMemory();
});

const start = (id: string, text = `Text of ${id}.`, scope = COMMON_SCOPE, on = bench) =>
  on.documents.start(scope, { id, text });

/** The state in which a job ends. */
async function ended({ id }: JobState, tenant = '', on = bench): Promise<JobState | undefined> {
  let last: JobState | undefined;
  for await (const state of on.documents.jobs.watch(tenant, id, new AbortController().signal)) last = state;
  return last;
}

/** Another server on the same shelves. */
function otherServer(): DocumentsBench {
  return new DocumentsBench(memoryShelves(bench.shelves));
}

const ids = async (on = bench) =>
  (await on.documents.list(COMMON_SCOPE, { limit: 100 })).records.map(({ id }) => id).sort();

describe('a job', () => {
  test('is on the shelf before it is acknowledged, and tells its progress to whoever watches', async () => {
    const job = await start('d', 'One.\n\nTwo.');
    expect(bench.shelves.jobs.shared.open).toEqual(new Set([job.id]));
    const seen: string[] = [];
    for await (const state of bench.documents.jobs.watch('', job.id, new AbortController().signal)) {
      seen.push(`${state.status} ${state.blocksDone}/${state.blocksTotal}`);
    }
    expect(seen[0]).toBe('running 0/0');
    expect(seen.at(-1)).toBe('done 2/2');
    expect(bench.shelves.jobs.shared.open.size).toBe(0);
    expect(bench.shelves.jobs.shared.values.get(job.id)?.toString()).not.toContain('One.');
  });

  test('that the shelf does not take is not acknowledged, and not counted', async () => {
    bench.shelves.jobs.open = async () => {
      throw new Error('the disk is full');
    };
    await expect(start('d')).rejects.toMatchObject({ code: 'store_failed' });
    expect([bench.documents.jobs.open, bench.begun]).toEqual([0, []]);
  });

  test.each([
    [
      new BlockstitchError('store_failed', { reason: 'ECONNREFUSED 10.0.0.7' }),
      'store_failed',
      "The store failed; the server's log says why.",
    ],
    [new TypeError('x is no function'), 'internal_error', 'Internal error.'],
  ])('that fails by our fault (%s) says so, and so does its record; the log says why', async (cause, code, message) => {
    bench.failAt = { index: 0, error: cause };
    const job = await start('d');
    const error = { code, message };
    expect(await ended(job)).toMatchObject({ status: 'failed', error });
    expect(await otherServer().documents.jobs.get('', job.id)).toMatchObject({ status: 'failed', error });
    const told = `a background ingestion failed ${JSON.stringify({ job: job.id, code, err: cause })}`;
    expect(bench.logged).toContain(told);
  });

  test('is not failed by a queue that is full, or by an engine that is starting again', async () => {
    for (const error of [
      new BlockstitchError('queue_full', { waiting: 1, limit: 1 }),
      new BlockstitchError('not_ready', { reason: 'restarting' }),
    ]) {
      bench.failAt = { index: 0, error };
      const job = await start('d');
      while (bench.begun.length === 0) await new Promise(setImmediate);
      bench.failAt = undefined;
      expect(await ended(job)).toMatchObject({ status: 'done' });
      bench.begun.length = 0;
    }
  });

  const passing = new BlockstitchError('store_failed', { reason: 'for a moment' });

  test('that fails for a reason that may pass is tried again until it succeeds, and four times at most', async () => {
    bench.failAt = { index: 0, error: passing };
    bench.beforeBlock = async () => {
      if (bench.begun.length === 3) bench.failAt = undefined;
    };
    expect(await ended(await start('d'))).toMatchObject({ status: 'done' });
    expect(bench.begun).toHaveLength(3);
    bench.beforeBlock = async () => {};
    bench.failAt = { index: 0, error: passing };
    expect(await ended(await start('e'))).toMatchObject({ status: 'failed' });
    expect(bench.begun).toHaveLength(3 + 4);
  });

  test('that would fail again is not tried again, nor is one that is cancelled between two tries', async () => {
    bench.failAt = { index: 0, error: new BlockstitchError('empty_input', { what: 'it' }) };
    expect(await ended(await start('d'))).toMatchObject({ status: 'failed', error: { code: 'empty_input' } });
    expect(bench.begun).toHaveLength(1);
    bench.failAt = { index: 0, error: passing };
    const job = await start('e');
    while (bench.begun.length < 2) await new Promise(setImmediate);
    expect(await bench.documents.jobs.cancel('', job.id)).toMatchObject({ status: 'cancelled' });
    const begun = bench.begun.length;
    for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
    expect([bench.begun.length, bench.documents.jobs.open]).toEqual([begun, 0]);
  });

  test('is counted by what it does', async () => {
    const { wait, open } = gate();
    bench.beforeBlock = () => wait;
    const jobs = [];
    for (let index = 0; index < 6; index++) jobs.push(await start(`d${index}`));
    while (bench.begun.length < 4) await new Promise(setImmediate);
    expect(await bench.documents.jobs.counts()).toEqual({ waiting: 2, active: 4, delayed: 0 });
    open();
    for (const job of jobs) await ended(job);
    expect(await bench.documents.jobs.counts()).toEqual({ waiting: 0, active: 0, delayed: 0 });
  });

  test('of one more than may be open is refused', async () => {
    const small = new DocumentsBench(memoryShelves(), SHORT);
    const { wait, open } = gate();
    small.beforeBlock = () => wait;
    const jobs = [];
    for (const id of ['a', 'b']) jobs.push(await small.documents.start(COMMON_SCOPE, { id, text: 'x' }));
    const refused = small.documents.start(COMMON_SCOPE, { id: 'd', text: 'x' });
    await expect(refused).rejects.toMatchObject({
      code: 'queue_full',
      status: 429,
      message: expect.stringContaining('2 requests are waiting, the limit is 2.'),
    });
    open();
    for (const job of jobs) await ended(job, '', small);
    await small.documents.start(COMMON_SCOPE, { id: 'd', text: 'x' });
  });

  test('is another tenant’s to nobody else, and to its own whatever the salt', async () => {
    const job = await start('d', 'Text.', SALTED);
    await ended(job, 'alice');
    for (const server of [bench, otherServer()]) {
      for (const tenant of ['', 'bob']) {
        expect(await server.documents.jobs.get(tenant, job.id)).toBeUndefined();
        expect(await server.documents.jobs.cancel(tenant, job.id)).toBeUndefined();
      }
      expect(await server.documents.jobs.get('alice', job.id)).toMatchObject({ status: 'done' });
    }
  });

  test('writes in the order in which it was accepted', async () => {
    const { wait, open } = gate();
    bench.beforeBlock = (text) => (text === 'First.' ? wait : Promise.resolve());
    const first = await start('d', 'First.');
    const second = await start('d', 'Second.');
    const third = bench.ingest('d', 'Third.');
    for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate);
    expect(bench.begun).toEqual(['First.']);
    open();
    await Promise.all([ended(first), ended(second), third]);
    expect(bench.begun).toEqual(['First.', 'Second.', 'Third.']);
    expect((await bench.documents.get(COMMON_SCOPE, 'd')).text).toBe('Third.');
  });
});

describe('cancelling', () => {
  test('ends a job that runs and leaves nothing of it', async () => {
    bench.beforeBlock = (text) => (text === 'Two.' ? gate().wait : Promise.resolve());
    const job = await start('d', 'One.\n\nTwo.');
    while (bench.store.size === 0) await new Promise(setImmediate);
    expect(await bench.documents.jobs.cancel('', job.id)).toMatchObject({ status: 'cancelled' });
    expect(await bench.documents.jobs.cancel('', job.id)).toMatchObject({ status: 'cancelled' });
    expect([bench.store.size, await ids()]).toEqual([0, []]);
    expect(await ended(job)).toMatchObject({ status: 'cancelled' });
  });

  test('ends a job that waits', async () => {
    const { wait, open } = gate();
    bench.beforeBlock = () => wait;
    const jobs = [];
    for (let index = 0; index < 6; index++) jobs.push(await start(`d${index}`));
    const last = jobs[5] as JobState;
    expect(await bench.documents.jobs.cancel('', last.id)).toMatchObject({ status: 'cancelled' });
    open();
    for (const job of jobs.slice(0, 5)) expect(await ended(job)).toMatchObject({ status: 'done' });
    expect(await ids()).toEqual(['d0', 'd1', 'd2', 'd3', 'd4']);
  });

  test('answers with the state of a job that had ended', async () => {
    const job = await start('d');
    await ended(job);
    expect(await bench.documents.jobs.cancel('', job.id)).toMatchObject({ status: 'done' });
    expect(await bench.documents.jobs.cancel('', 'job-none')).toBeUndefined();
  });

  test('reaches a job that another server runs', async () => {
    const { wait, open } = gate();
    bench.beforeBlock = () => wait;
    const job = await start('d');
    expect(await otherServer().documents.jobs.cancel('', job.id)).toMatchObject({ status: 'cancelled' });
    await bench.shelves.queue.tick();
    open();
    expect(await ended(job)).toMatchObject({ status: 'cancelled' });
    expect(await ids()).toEqual([]);
  });
});

describe('a drain', () => {
  test('lets jobs finish that can, running or waiting', async () => {
    const { wait, open } = gate();
    bench.beforeBlock = () => wait;
    for (let index = 0; index < 6; index++) await start(`d${index}`);
    const drained = bench.documents.jobs.drain(60_000);
    open();
    expect(await drained).toEqual({ finished: 6, kept: 0 });
    expect(await ids()).toHaveLength(6);
    await expect(start('late')).rejects.toMatchObject({ code: 'shutting_down' });
  });

  test('keeps the others, says how many, and the next process goes on with them and their blocks', async () => {
    bench.beforeBlock = (text) => (text === 'Held.' ? gate().wait : Promise.resolve());
    for (const id of ['a', 'b', 'c', 'd', 'e', 'f']) await start(id, `Of ${id}.\n\nHeld.`, SALTED);
    expect(await bench.documents.jobs.drain(0)).toEqual({ finished: 0, kept: 6 });
    expect(bench.logged).toEqual([
      'background ingestions are kept in the store and go on after the next start {"finished":0,"kept":6}',
    ]);
    const next = otherServer();
    for (const key of bench.store) next.store.add(key);
    expect(await next.documents.jobs.resume()).toBe(6);
    expect(next.logged).toEqual(['background ingestions go on that were not finished {"jobs":6}']);
    await next.documents.jobs.drain(60_000);
    const { records } = await next.documents.list(SALTED, { limit: 9 });
    expect(records.map(({ id }) => id)).toEqual(['a', 'b', 'c', 'd', 'e', 'f']);
    expect(bench.shelves.jobs.shared.open.size).toBe(0);
  });

  test('tells whoever watches that the job goes on elsewhere', async () => {
    bench.beforeBlock = () => gate().wait;
    const job = await start('d');
    const watched = expect(ended(job)).rejects.toMatchObject({ code: 'shutting_down' });
    await bench.documents.jobs.drain(0);
    await watched;
  });
});

describe('a process that ends without a word', () => {
  /** Jobs that were accepted and never done: their process is gone, and so are its leases. */
  async function left(count: number): Promise<JobState[]> {
    bench.beforeBlock = () => new Promise(() => undefined);
    const jobs = [];
    for (let index = 0; index < count; index++) jobs.push(await start(`d${index}`));
    // Four are at work when the process ends.
    while (bench.begun.length < Math.min(count, 4)) await new Promise(setImmediate);
    bench.shelves.jobs.shared.leases.clear();
    return jobs;
  }

  test('loses no job: the next one takes them over, and answers for them', async () => {
    const jobs = await left(6);
    const next = otherServer();
    expect(await next.documents.jobs.resume()).toBe(6);
    for (const job of jobs) expect(await ended(job, '', next)).toMatchObject({ status: 'done', id: job.id });
    expect(await ids(next)).toHaveLength(6);
  });

  test('has its jobs taken over up to the limit, and at least one', async () => {
    await left(4);
    for (const [maxQueue, taken] of [
      [2, 2],
      [0, 1],
    ] as const) {
      const next = new DocumentsBench(memoryShelves(bench.shelves, maxQueue), { maxQueue });
      next.beforeBlock = () => new Promise(() => undefined);
      expect(await next.documents.jobs.resume()).toBe(taken);
    }
  });

  test('has each of its jobs taken over once, also where the shelf is slow and is asked twice', async () => {
    const [job] = await left(1);
    const next = otherServer();
    const { wait, open } = gate();
    const { lease, listOpen } = MemoryJobShelf.prototype;
    let lists = 0;
    next.shelves.jobs.listOpen = async () => {
      lists += 1;
      return listOpen.call(next.shelves.jobs);
    };
    next.shelves.jobs.lease = async (id) => {
      await wait;
      return lease.call(next.shelves.jobs, id);
    };
    const resumed = next.documents.jobs.resume();
    const ticks = [next.shelves.queue.tick(), next.shelves.queue.tick()];
    for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate);
    open();
    expect(await resumed).toBe(1);
    await Promise.all(ticks);
    expect(await ended(job as JobState, '', next)).toMatchObject({ status: 'done' });
    expect(next.begun).toHaveLength(1);
    // One look for all.
    expect(lists).toBe(1);
  });

  test('of several servers one takes each job', async () => {
    await left(8);
    const [one, two] = [otherServer(), otherServer()];
    const [first, second] = await Promise.all([one.documents.jobs.resume(), two.documents.jobs.resume()]);
    expect(first + second).toBe(8);
    await Promise.all([one.documents.jobs.drain(60_000), two.documents.jobs.drain(60_000)]);
    expect([...one.begun, ...two.begun].sort()).toEqual([...new Set([...one.begun, ...two.begun])].sort());
  });

  test('does not have its old text win over what was accepted later', async () => {
    const [job] = await left(1);
    const next = otherServer();
    await new Promise((resolve) => setTimeout(resolve, 2));
    await next.ingest('d0', 'Newer.');
    await next.documents.jobs.resume();
    expect(await ended(job as JobState, '', next)).toMatchObject({ status: 'done' });
    expect((await next.documents.get(COMMON_SCOPE, 'd0')).text).toBe('Newer.');
  });

  test('again and again is not begun for ever', async () => {
    const [job] = await left(1);
    for (let life = 1; life < 5; life++) {
      const server = otherServer();
      server.beforeBlock = () => new Promise(() => undefined);
      expect(await server.documents.jobs.resume()).toBe(1);
      while (server.begun.length === 0) await new Promise(setImmediate);
      bench.shelves.jobs.shared.leases.clear();
    }
    const last = otherServer();
    expect(await last.documents.jobs.resume()).toBe(0);
    expect(await last.documents.jobs.get('', (job as JobState).id)).toMatchObject({
      status: 'failed',
      error: { code: 'engine_failed' },
    });
    expect(last.logged).toEqual([expect.stringContaining('given up')]);
  });

  test('that gets further in each life goes on, however many processes end with it', async () => {
    const text = Array.from({ length: 12 }, (_, index) => `Block ${index}.`).join('\n\n');
    const first = otherServer();
    first.beforeBlock = () => new Promise(() => undefined);
    const { id } = await first.documents.start(COMMON_SCOPE, { id: 'long', text });
    while (first.begun.length === 0) await new Promise(setImmediate);
    for (let life = 1; life < 10; life++) {
      bench.shelves.jobs.shared.leases.clear();
      const server = await cutOffAfter(life);
      expect((await server.documents.jobs.get('', id))?.status).toBe('running');
    }
    bench.shelves.jobs.shared.leases.clear();
    const last = otherServer();
    expect(await last.documents.jobs.resume()).toBe(1);
    expect((await last.documents.jobs.get('', id))?.status).toBe('running');
    await last.documents.jobs.drain(60_000);
    expect((await last.documents.jobs.get('', id))?.status).toBe('done');
  });

  test('that always ends its process at the same block is given up', async () => {
    const text = Array.from({ length: 12 }, (_, index) => `Block ${index}.`).join('\n\n');
    const first = otherServer();
    first.beforeBlock = () => new Promise(() => undefined);
    const { id } = await first.documents.start(COMMON_SCOPE, { id: 'long', text });
    while (first.begun.length === 0) await new Promise(setImmediate);
    let lives = 1;
    for (; lives < 20; lives++) {
      bench.shelves.jobs.shared.leases.clear();
      const server = await cutOffAfter(3);
      if ((await server.documents.jobs.get('', id))?.status === 'failed') break;
    }
    expect(lives).toBeLessThan(10);
  });

  /** A server that takes up the job, does so many blocks, and hangs before the next one. */
  async function cutOffAfter(blocks: number): Promise<DocumentsBench> {
    const server = otherServer();
    let done = 0;
    const hangs = gate();
    server.beforeBlock = async () => {
      if (done++ < blocks) return;
      hangs.open();
      await new Promise(() => undefined);
    };
    if ((await server.documents.jobs.resume()) === 1) await hangs.wait;
    for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
    return server;
  }

  test('that only waited for its turn goes on, however many processes end meanwhile', async () => {
    const jobs = await left(8);
    for (let life = 0; life < 7; life++) {
      const server = otherServer();
      server.beforeBlock = () => new Promise(() => undefined);
      await server.documents.jobs.resume();
      bench.shelves.jobs.shared.leases.clear();
    }
    const last = otherServer();
    await last.documents.jobs.resume();
    const states = await Promise.all(jobs.map((job) => ended(job, '', last)));
    // At most four at a time were begun in each life: those are given up in the end, nobody else is.
    expect(states.filter((state) => state?.status === 'done').length).toBeGreaterThanOrEqual(4);
  });

  test('leaves a damaged job that is given up by name', async () => {
    const [job] = await left(1);
    const { id } = job as JobState;
    bench.shelves.jobs.shared.values.set(id, Buffer.from('{"half'));
    const next = otherServer();
    expect(await next.documents.jobs.resume()).toBe(0);
    expect(next.logged).toEqual([`a damaged job is given up {"job":"${id}"}`]);
    expect(await next.documents.jobs.resume()).toBe(0);
    expect(next.logged).toHaveLength(1);
  });
});

describe('a server whose lease another one has taken', () => {
  test.each(['runs', 'has done'])('lets go of a job that the other one %s', async (state) => {
    bench.beforeBlock = () => gate().wait;
    const job = await start('d');
    bench.shelves.jobs.shared.leases.clear();
    const other = otherServer();
    const { wait, open } = gate();
    other.beforeBlock = () => wait;
    await other.documents.jobs.resume();
    if (state === 'has done') {
      open();
      await ended(job, '', other);
    }
    await bench.shelves.queue.tick();
    while (bench.documents.jobs.open > 0) await new Promise(setImmediate);
    open();
    expect(await ended(job, '', other)).toMatchObject({ status: 'done' });
    expect(await bench.documents.jobs.get('', job.id)).toMatchObject({ status: 'done' });
    expect([bench.store.size, other.store.size]).toEqual([0, 1]);
  });
});
