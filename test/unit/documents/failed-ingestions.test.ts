/** An ingestion that fails leaves what was there before, and no block that only it stored. */
import { beforeEach, describe, expect, test } from 'vitest';
import { COMMON_SCOPE } from '../../../src/cache/tiers.js';
import { BlockstitchError } from '../../../src/errors.js';
import { DocumentsBench, gate } from '../../support/documents-bench.js';

let bench: DocumentsBench;
const TWO = 'First.\n\nSecond.';
const keys = (...texts: string[]) => texts.map((text) => bench.keyOf(text)).sort();
const stored = () => [...bench.store].sort();

beforeEach(() => {
  bench = DocumentsBench.inMemory();
});

describe('an ingestion that fails', () => {
  const error = new BlockstitchError('engine_failed', { reason: 'it fails' });

  test('leaves no block that only it stored', async () => {
    bench.failAt = { index: 1, error };
    await expect(bench.ingest('d', TWO)).rejects.toBe(error);
    expect(stored()).toEqual([]);
  });

  test('says so if others took the room of its tenant meanwhile', async () => {
    const refused = new BlockstitchError('store_failed', { reason: 'the tenant is at its limit' });
    bench.failAt = { index: 1, error: refused };
    bench.beforeBlock = async () => {
      bench.lack = { stored: 9, wanted: 2, limit: 10 };
    };
    await expect(bench.ingest('d', TWO)).rejects.toMatchObject({ code: 'stored_bytes_exceeded' });
    expect(stored()).toEqual([]);
    bench.lack = undefined;
    bench.beforeBlock = async () => {};
    await expect(bench.ingest('d', TWO)).rejects.toBe(refused);
  });

  test('leaves the document before it as it was', async () => {
    await bench.ingest('d', TWO);
    bench.failAt = { index: 2, error };
    await expect(bench.ingest('d', 'First.\n\nNew.\n\nLast.')).rejects.toBe(error);
    expect(stored()).toEqual(keys('First.\n\n', 'Second.'));
    expect((await bench.documents.get(COMMON_SCOPE, 'd')).text).toBe(TWO);
  });

  test('leaves blocks that another ingestion counts on', async () => {
    const { wait, open } = gate();
    bench.beforeBlock = (text) => (text === 'Held.' ? wait : Promise.resolve());
    const other = bench.ingest('e', 'Shared.\n\nHeld.');
    await new Promise(setImmediate);
    bench.failAt = { index: 1, error };
    await expect(bench.ingest('d', 'Shared.\n\nMine.')).rejects.toBe(error);
    bench.failAt = undefined;
    open();
    await other;
    expect(stored()).toEqual(keys('Shared.\n\n', 'Held.'));
  });

  test('leaves blocks that another one counts on, and the last of them to fail drops them', async () => {
    const gates = [gate(), gate()] as const;
    bench.beforeBlock = async (text) => {
      if (text === 'One.') await gates[0].wait;
      if (text === 'Two.') await gates[1].wait;
    };
    const first = bench.ingest('d', 'Shared.\n\nOne.');
    await new Promise(setImmediate);
    const second = bench.ingest('e', 'Shared.\n\nTwo.');
    await new Promise(setImmediate);
    bench.failAt = { index: 1, error };
    gates[0].open();
    await expect(first).rejects.toBe(error);
    expect(stored()).toEqual(keys('Shared.\n\n'));
    gates[1].open();
    await expect(second).rejects.toBe(error);
    expect(stored()).toEqual([]);
  });

  test('leaves blocks of an ingestion that ended well beside it', async () => {
    const { wait, open } = gate();
    bench.beforeBlock = (text) => (text === 'Held.' ? wait : Promise.resolve());
    const failing = bench.ingest('d', 'Shared.\n\nHeld.');
    await new Promise(setImmediate);
    await bench.ingest('e', 'Shared.\n\nMine.');
    bench.failAt = { index: 1, error };
    open();
    await expect(failing).rejects.toBe(error);
    expect(stored()).toEqual(keys('Shared.\n\n', 'Mine.'));
  });

  test('drops its blocks later if the store refuses now', async () => {
    bench.failAt = { index: 1, error };
    bench.forgetFailure = 'no';
    await expect(bench.ingest('d', TWO)).rejects.toBe(error);
    expect(stored()).toEqual(keys('First.\n\n'));
    Object.assign(bench, { failAt: undefined, forgetFailure: undefined });
    await bench.ingest('e', 'Another.');
    expect(stored()).toEqual(keys('Another.'));
  });

  test('says at once that the store of documents is down, and computes nothing', async () => {
    bench.shelves.documents.failWith = new Error('connection refused');
    await expect(bench.ingest('d', TWO)).rejects.toMatchObject({ code: 'store_failed' });
    expect(bench.begun).toEqual([]);
  });

  test('leaves blocks of other documents that the store could not be asked for', async () => {
    await bench.ingest('e', 'Shared.\n\nTheirs.');
    bench.findFails = true;
    bench.failAt = { index: 1, error };
    await expect(bench.ingest('d', 'Shared.\n\nMine.')).rejects.toBe(error);
    expect(stored()).toEqual(keys('Shared.\n\n', 'Theirs.'));
  });
});

describe('an ingestion of which a block is deleted meanwhile', () => {
  const deleted = new BlockstitchError('deleted_meanwhile');
  /** When `Mine.` is to be computed, the document `e` is deleted, and the engine says so. Before the second try: `then`. */
  async function meanwhile(then: () => void): Promise<void> {
    await bench.ingest('e', 'Shared.\n\nTheirs.');
    let begun = false;
    bench.beforeBlock = async (text) => {
      if (text !== 'Mine.') return;
      if (begun) return then();
      begun = true;
      await bench.documents.forget(COMMON_SCOPE, 'e');
      bench.failAt = { index: 1, error: deleted };
    };
  }

  test('computes it again', async () => {
    await meanwhile(() => {
      bench.failAt = undefined;
    });
    let blocks = 0;
    const progress = { signal: new AbortController().signal, blockDone: () => void blocks++ };
    await bench.documents.ingest(COMMON_SCOPE, { id: 'd', text: 'Shared.\n\nMine.' }, progress);
    expect(stored()).toEqual(keys('Shared.\n\n', 'Mine.'));
    expect(blocks).toBe(2);
  });

  test('leaves no block of its own if it fails after that, not even one that was there before', async () => {
    const error = new BlockstitchError('engine_failed', { reason: 'it fails' });
    await meanwhile(() => {
      bench.failAt = { index: 1, error };
    });
    await expect(bench.ingest('d', 'Shared.\n\nMine.')).rejects.toBe(error);
    expect(stored()).toEqual([]);
  });

  test('says so if that happens again and again, and leaves nothing', async () => {
    bench.failAt = { index: 1, error: deleted };
    await expect(bench.ingest('d', TWO)).rejects.toBe(deleted);
    expect(bench.begun.length).toBeGreaterThan(2);
    expect(stored()).toEqual([]);
  });
});
