/** Two servers on one store: what was accepted last stays, and a job ends in one way. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { COMMON_SCOPE } from '../../../src/cache/tiers.js';
import { DocumentsBench, gate } from '../../support/documents-bench.js';
import { memoryShelves } from '../../support/memory-shelves.js';

const OLD = 'Old.\n\nShared.';
const NEW = 'New.\n\nShared.';
let one: DocumentsBench;
let two: DocumentsBench;

beforeEach(() => {
  const shelves = memoryShelves();
  one = new DocumentsBench(shelves);
  two = new DocumentsBench(memoryShelves(shelves));
  // Both keep blocks in one store.
  Object.assign(two, { store: one.store });
  vi.useFakeTimers({ now: 1_000_000, toFake: ['Date'] });
});
afterEach(() => {
  vi.useRealTimers();
});

const keys = (...texts: string[]) => texts.map((text) => one.keyOf(text)).sort();
const text = async () => (await one.documents.get(COMMON_SCOPE, 'd')).text;
const turns = async () => {
  for (let turn = 0; turn < 8; turn++) await new Promise(setImmediate);
};
/** The first server takes a document, and is held before it stores anything. */
async function slow<T>(work: () => Promise<T>) {
  const { wait, open } = gate();
  one.beforeBlock = () => wait;
  const begun = work();
  await turns();
  return { begun, open };
}
const ended = async (id: string, on = one) => {
  let last: string | undefined;
  for await (const { status } of on.documents.jobs.watch('', id, new AbortController().signal)) last = status;
  return last;
};

describe('a document that is accepted later by the other server', () => {
  test('is not replaced by a job that is ready after it, and keeps its blocks', async () => {
    const { begun, open } = await slow(() => one.documents.start(COMMON_SCOPE, { id: 'd', text: OLD }));
    const job = await begun;
    vi.setSystemTime(1_000_010);
    await two.ingest('d', NEW);
    open();
    expect(await ended(job.id)).toBe('done');
    expect([await text(), [...one.store].sort()]).toEqual([NEW, keys('New.\n\n', 'Shared.')]);
  });

  test('is not replaced by a POST that is ready after it, which answers with it', async () => {
    const { begun, open } = await slow(() => one.ingest('d', OLD));
    vi.setSystemTime(1_000_010);
    await two.ingest('d', NEW);
    open();
    expect(await begun).toMatchObject({ record: { text: NEW }, reports: [] });
    expect([await text(), [...one.store].sort()]).toEqual([NEW, keys('New.\n\n', 'Shared.')]);
  });

  test('wins also where its server comes between the look and the write', async () => {
    one.shelves.documents.beforeChange = async () => {
      one.shelves.documents.beforeChange = async () => {};
      vi.setSystemTime(1_000_010);
      await two.ingest('d', NEW);
    };
    await one.ingest('d', OLD);
    expect([await text(), [...one.store].sort()]).toEqual([NEW, keys('New.\n\n', 'Shared.')]);
  });

  test('replaces what was registered before it, also where its clock is behind', async () => {
    await one.ingest('d', OLD);
    vi.setSystemTime(900_000);
    await two.ingest('d', NEW);
    expect(await text()).toBe(NEW);
    const job = await one.documents.start(COMMON_SCOPE, { id: 'd', text: OLD });
    expect([await ended(job.id), await text()]).toEqual(['done', OLD]);
  });
});

test('a clock that goes back changes no order within a server', async () => {
  const { begun, open } = await slow(() => one.ingest('d', OLD));
  vi.setSystemTime(900_000);
  const next = one.ingest('d', NEW);
  open();
  await Promise.all([begun, next]);
  expect([await text(), [...one.store].sort()]).toEqual([NEW, keys('New.\n\n', 'Shared.')]);
});

describe('a job that the other server cancels', () => {
  const start = () => one.documents.start(COMMON_SCOPE, { id: 'd', text: OLD });
  const documents = async () => (await one.documents.list(COMMON_SCOPE, { limit: 9 })).records.length;

  test('registers nothing, though its server has not noticed', async () => {
    const { begun, open } = await slow(start);
    const { id } = await begun;
    expect(await two.documents.jobs.cancel('', id)).toMatchObject({ status: 'cancelled' });
    open();
    expect(await ended(id)).toBe('cancelled');
    expect(await ended(id, two)).toBe('cancelled');
    expect([await documents(), one.store.size]).toEqual([0, 0]);
  });

  test('and that fails then stays cancelled', async () => {
    const { begun, open } = await slow(start);
    const { id } = await begun;
    one.failAt = { index: 0, error: new Error('broken') };
    expect(await two.documents.jobs.cancel('', id)).toMatchObject({ status: 'cancelled' });
    open();
    expect([await ended(id), await ended(id, two)]).toEqual(['cancelled', 'cancelled']);
  });

  test('while its document is written is done, and says so', async () => {
    const { wait, open } = gate();
    const writing = gate();
    one.shelves.documents.beforeChange = async () => {
      writing.open();
      await wait;
    };
    const { id } = await start();
    await writing.wait;
    const cancelled = two.documents.jobs.cancel('', id);
    await turns();
    open();
    expect(await cancelled).toMatchObject({ status: 'done' });
    expect([await ended(id), await text()]).toEqual(['done', OLD]);
  });

  test('or that its old server cancels, is done where the one that took it over is writing', async () => {
    const { begun } = await slow(start);
    const { id } = await begun;
    one.shelves.jobs.shared.leases.clear();
    const { wait, open } = gate();
    const writing = gate();
    one.shelves.documents.beforeChange = async () => {
      writing.open();
      await wait;
    };
    await two.documents.jobs.resume();
    await writing.wait;
    const cancelled = one.documents.jobs.cancel('', id);
    await turns();
    open();
    expect(await cancelled).toMatchObject({ status: 'done' });
    expect([await ended(id, two), await text()]).toEqual(['done', OLD]);
  });

  test.each([1, 2])(
    'after look %i of a third one that takes it over, and before its begin, is not begun',
    async (last) => {
      const { begun } = await slow(start);
      const { id } = await begun;
      one.shelves.jobs.shared.leases.clear();
      const third = memoryShelves(one.shelves);
      const get = third.jobs.get.bind(third.jobs);
      let looks = 0;
      third.jobs.get = async (job) => {
        const bytes = await get(job);
        looks += 1;
        if (looks === last) await two.documents.jobs.cancel('', id);
        return bytes;
      };
      const taking = new DocumentsBench(third);
      await taking.documents.jobs.resume();
      await taking.documents.jobs.drain(60_000);
      expect([await ended(id, two), taking.begun, looks >= last]).toEqual(['cancelled', [], true]);
    },
  );
});
