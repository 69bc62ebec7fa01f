/** The queue of the text threads: it has an end, clients that leave go at once, threads are never ended in their work. */
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { raise } from '../../../src/text/pace.js';
import { QueuePlace, TextThreads } from '../../../src/text/text-threads.js';

const WORKER = new URL('../../support/stoppable-worker.mjs', import.meta.url).href;
const open: TextThreads[] = [];

function threadsOf(threads: number, maxQueue: number): TextThreads {
  const made = new TextThreads({ threads, maxQueue });
  open.push(made);
  return made;
}

afterEach(async () => {
  for (const threads of open.splice(0)) await threads.close();
});

const shared = (length: number) => new Int32Array(new SharedArrayBuffer(4 * length));

/** Waits for a change that another thread makes. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await turn();
}

/** A task that keeps its thread until `opened`. */
function held(threads: TextThreads, value: number, options = {}) {
  const gate = shared(1);
  const answer = threads.run<number>(WORKER, 'untilOpened', { gate, value }, options);
  answer.catch(() => undefined);
  return { answer, opened: () => raise(gate) };
}

describe('the queue for text threads', () => {
  it('is served in order and refuses one request more than it has places', async () => {
    const threads = threadsOf(1, 2);
    const first = held(threads, 1);
    const order: number[] = [];
    const waiting = [2, 3].map((value) =>
      threads.run<number>(WORKER, 'give', { value }).then((answer) => order.push(answer)),
    );
    await expect(threads.run(WORKER, 'give', { value: 4 })).rejects.toMatchObject({
      code: 'queue_full',
      status: 429,
      details: { waiting: 2, limit: 2 },
    });
    first.opened();
    expect(await first.answer).toBe(1);
    await Promise.all(waiting);
    expect(order).toEqual([2, 3]);
    expect(await threads.run(WORKER, 'give', { value: 5 })).toBe(5);
  });

  it('gives the place of a client that goes to the next one at once', async () => {
    const threads = threadsOf(1, 1);
    const first = held(threads, 1);
    const client = new AbortController();
    const gone = threads.run(WORKER, 'give', { value: 2 }, { signal: client.signal });
    const refused = threads.run(WORKER, 'give', { value: 3 });
    await expect(refused).rejects.toMatchObject({ code: 'queue_full' });
    client.abort(new Error('the client went'));
    await expect(gone).rejects.toThrow('the client went');
    expect(threads.waiting).toBe(0);
    const taken = threads.run(WORKER, 'give', { value: 4 });
    first.opened();
    expect(await taken).toBe(4);
    const late = threads.run(WORKER, 'give', { value: 5 }, { signal: client.signal });
    await expect(late).rejects.toThrow('the client went');
  });

  it('answers a client that goes at once, and keeps the thread until the work has stopped', async () => {
    const threads = threadsOf(1, 1);
    const counters = shared(2);
    const client = new AbortController();
    const running = threads.run(WORKER, 'untilStopped', { counters }, { signal: client.signal });
    await until(() => Atomics.load(counters, 0) === 1);
    const next = threads.run<number>(WORKER, 'give', { value: 2 });
    client.abort(new Error('the client went'));
    await expect(running).rejects.toThrow('the client went');
    expect(await next).toBe(2);
    expect(Atomics.load(counters, 1)).toBe(1);
  });

  it('counts a request with several tasks once, and refuses none of them midway', async () => {
    const threads = threadsOf(1, 1);
    const place = new QueuePlace();
    const first = held(threads, 1, { place });
    const more = [2, 3, 4].map((value) => threads.run<number>(WORKER, 'give', { value }, { place }));
    const other = threads.run<number>(WORKER, 'give', { value: 9 });
    await expect(threads.run(WORKER, 'give', { value: 10 })).rejects.toMatchObject({ code: 'queue_full' });
    first.opened();
    expect(await Promise.all(more)).toEqual([2, 3, 4]);
    expect(await other).toBe(9);
    // Between its tasks the request keeps its place.
    const blocker = held(threads, 0);
    await expect(threads.run(WORKER, 'give', { value: 11 })).rejects.toMatchObject({ code: 'queue_full' });
    place.leave();
    const last = threads.run<number>(WORKER, 'give', { value: 12 });
    blocker.opened();
    expect(await last).toBe(12);
  });

  it('does not give a place back to a request that has left', async () => {
    const threads = threadsOf(1, 0);
    const place = new QueuePlace();
    place.leave();
    expect(await threads.run(WORKER, 'give', { value: 1 }, { place })).toBe(1);
    expect(await threads.run(WORKER, 'give', { value: 2 })).toBe(2);
  });

  it('hands on what a task throws, and goes on', async () => {
    const threads = threadsOf(1, 1);
    await expect(threads.run(WORKER, 'fail', { message: 'wrong' })).rejects.toThrow('wrong');
    expect(await threads.run(WORKER, 'give', { value: 1 })).toBe(1);
  });

  it('ends what waits and what runs at close, and waits until it has ended', async () => {
    const threads = threadsOf(2, 8);
    const counters = shared(2);
    const running = [0, 1].map(() => threads.run(WORKER, 'untilStopped', { counters }));
    const waiting = threads.run(WORKER, 'give', { value: 1 });
    const outcomes = Promise.allSettled([...running, waiting]);
    await until(() => Atomics.load(counters, 0) === 2);
    await threads.close();
    expect(Atomics.load(counters, 1)).toBe(2);
    for (const outcome of await outcomes) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'shutting_down' } });
    }
    await expect(threads.run(WORKER, 'give', { value: 1 })).rejects.toMatchObject({ code: 'shutting_down' });
  });
});
