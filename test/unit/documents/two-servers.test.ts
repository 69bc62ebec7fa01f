/** Two servers on one store: what was accepted last stays, and a job ends in one way. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { COMMON_SCOPE } from '../../../src/cache/tiers.js';
import { DocumentsBench, gate } from '../../support/documents-bench.js';
import { MemoryJobShelf, memoryShelves } from '../../support/memory-shelves.js';

const OLD = 'Old.\n\nShared.';
const NEW = 'New.\n\nShared.';
let one: DocumentsBench;
let two: DocumentsBench;

beforeEach(() => {
  const shelves = memoryShelves();
  one = new DocumentsBench(shelves);
  two = new DocumentsBench({ documents: shelves.documents, jobs: new MemoryJobShelf(shelves.jobs.shared) });
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
