/** The door: one order per document, and a delete removes what the record names. */
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { COMMON_SCOPE } from '../../../src/cache/tiers.js';
import { idKey, shelfName } from '../../../src/documents/document-shelf.js';
import { BlockstitchError } from '../../../src/errors.js';
import { DocumentsBench, gate } from '../../support/documents-bench.js';

let bench: DocumentsBench;
const TWO = 'First.\n\nSecond.';
const OTHER = 'Third.\n\nFourth.';
const keys = (...texts: string[]) => texts.map((text) => bench.keyOf(text)).sort();
const stored = () => [...bench.store].sort();

beforeEach(() => {
  bench = DocumentsBench.inMemory();
});

describe('two writes of one document', () => {
  test('never overlap: the second begins when the first has registered', async () => {
    const { wait, open } = gate();
    bench.beforeBlock = (text) => (text === 'First.\n\n' ? wait : Promise.resolve());
    const first = bench.ingest('d', TWO);
    const second = bench.ingest('d', OTHER);
    await new Promise(setImmediate);
    expect(bench.begun).toEqual(['First.\n\n']);
    open();
    await Promise.all([first, second]);
    expect((await bench.documents.get(COMMON_SCOPE, 'd')).text).toBe(OTHER);
    expect(stored()).toEqual(keys('Third.\n\n', 'Fourth.'));
  });

  test('a delete waits for the ingestion before it, and leaves nothing', async () => {
    const { wait, open } = gate();
    bench.beforeBlock = () => wait;
    const first = bench.ingest('d', TWO);
    const deleted = bench.documents.forget(COMMON_SCOPE, 'd');
    open();
    await Promise.all([first, deleted]);
    expect(stored()).toEqual([]);
    await expect(bench.documents.get(COMMON_SCOPE, 'd')).rejects.toMatchObject({ code: 'document_not_found' });
  });

  test('a client that goes while it waits takes its place along', async () => {
    const { wait, open } = gate();
    bench.beforeBlock = () => wait;
    const first = bench.ingest('d', TWO);
    const client = new AbortController();
    const left = bench.documents.ingest(COMMON_SCOPE, { id: 'd', text: OTHER }, { signal: client.signal });
    client.abort(new BlockstitchError('client_closed'));
    await expect(left).rejects.toMatchObject({ code: 'client_closed' });
    open();
    await first;
    expect(bench.begun).toEqual(['First.\n\n']);
  });

  test('of other documents and of other scopes do not wait for one another', async () => {
    const { wait, open } = gate();
    bench.beforeBlock = (text) => (text === 'First.\n\n' ? wait : Promise.resolve());
    const held = bench.ingest('d', TWO);
    await bench.ingest('e', OTHER);
    await bench.ingest('d', OTHER, { tenant: 't', salt: '' });
    open();
    await held;
  });

  test('by two servers leave no block that nobody names', async () => {
    const other = new DocumentsBench({ ...bench.shelves, jobs: bench.shelves.jobs });
    let interfere = true;
    bench.shelves.documents.beforeChange = async () => {
      if (!interfere) return;
      interfere = false;
      await other.ingest('d', OTHER);
      for (const key of other.store) bench.store.add(key);
    };
    vi.useFakeTimers({ now: 1000, toFake: ['Date'] });
    await bench.ingest('d', TWO);
    vi.useRealTimers();
    expect((await bench.documents.get(COMMON_SCOPE, 'd')).text).toBe(TWO);
    expect(stored()).toEqual(keys('First.\n\n', 'Second.'));

    interfere = true;
    await bench.documents.forget(COMMON_SCOPE, 'd');
    expect(stored()).toEqual([]);
    await expect(bench.documents.get(COMMON_SCOPE, 'd')).rejects.toMatchObject({ code: 'document_not_found' });
  });
});

describe('a delete', () => {
  test('that the store refuses answers 503, keeps the record, and is finished by the same call', async () => {
    await bench.ingest('d', TWO);
    bench.forgetFailure = 'the disk is full';
    const refused = bench.documents.forget(COMMON_SCOPE, 'd');
    await expect(refused).rejects.toMatchObject({
      code: 'store_failed',
      status: 503,
      message: expect.stringContaining('the disk is full'),
    });
    expect((await bench.documents.get(COMMON_SCOPE, 'd')).text).toBe(TWO);
    bench.forgetFailure = undefined;
    await bench.documents.forget(COMMON_SCOPE, 'd');
    expect(stored()).toEqual([]);
    await expect(bench.documents.forget(COMMON_SCOPE, 'd')).rejects.toMatchObject({ code: 'document_not_found' });
  });

  test('whose record cannot be removed is finished by the same call', async () => {
    await bench.ingest('d', TWO);
    bench.shelves.documents.beforeChange = async () => {
      throw new Error('the disk is full');
    };
    await expect(bench.documents.forget(COMMON_SCOPE, 'd')).rejects.toMatchObject({ code: 'store_failed' });
    bench.shelves.documents.beforeChange = async () => {};
    await bench.documents.forget(COMMON_SCOPE, 'd');
    expect([stored(), bench.shelves.documents.values.size]).toEqual([[], 0]);
  });

  test('of a damaged record removes the blocks that can still be read in it', async () => {
    await bench.ingest('d', TWO);
    const bytes = bench.shelves.documents.values.get(`${shelfName(COMMON_SCOPE)}/${idKey('d')}`) as Buffer;
    bytes[bytes.indexOf('First')] = 'X'.charCodeAt(0);
    await expect(bench.documents.get(COMMON_SCOPE, 'd')).rejects.toMatchObject({ code: 'document_damaged' });
    expect(bench.logged).toEqual([expect.stringContaining('is damaged: POST it again, or DELETE it {"id":"d"')]);
    await bench.documents.forget(COMMON_SCOPE, 'd');
    expect([stored(), bench.shelves.documents.values.size]).toEqual([[], 0]);
  });
});

describe('a replacement', () => {
  test('drops what only the old document had, after the new one is durable', async () => {
    await bench.ingest('d', `${TWO}\n\nShared.`);
    await bench.ingest('d', 'Shared.');
    expect(stored()).toEqual(keys('Shared.'));
  });

  test('that cannot drop them still names them, for a delete or for the next one', async () => {
    await bench.ingest('d', TWO);
    bench.forgetFailure = 'no';
    await bench.ingest('d', OTHER);
    expect(stored()).toHaveLength(4);
    bench.forgetFailure = undefined;
    await bench.ingest('d', 'Fifth.');
    expect(stored()).toEqual(keys('Fifth.'));
  });

  test('of a damaged record drops its blocks', async () => {
    await bench.ingest('d', TWO);
    const bytes = bench.shelves.documents.values.get(`${shelfName(COMMON_SCOPE)}/${idKey('d')}`) as Buffer;
    bytes[bytes.indexOf('First')] = 'X'.charCodeAt(0);
    await bench.ingest('d', OTHER);
    expect(stored()).toEqual(keys('Third.\n\n', 'Fourth.'));
    expect((await bench.documents.get(COMMON_SCOPE, 'd')).text).toBe(OTHER);
  });
});

describe('blocks that requests make of a registered document', () => {
  test('under another segmentation leave with it', async () => {
    await bench.ingest('d', TWO);
    const compute = await bench.use('d', 1);
    compute();
    await bench.documents.settle();
    expect(stored()).toEqual(keys('First.\n\n', 'Second.', TWO));
    await bench.documents.forget(COMMON_SCOPE, 'd');
    expect(stored()).toEqual([]);
  });

  test('leave with it also where the delete follows at once', async () => {
    await bench.ingest('d', TWO);
    (await bench.use('d', 1))();
    await bench.documents.forget(COMMON_SCOPE, 'd');
    await bench.documents.settle();
    expect(stored()).toEqual([]);
  });

  test('under another model or KV type leave with it, ingested again or not', async () => {
    await bench.ingest('d', TWO);
    await bench.ingest('e', OTHER);
    bench.form = 'the same model with int8 KV';
    (await bench.use('d'))();
    await bench.ingest('e', OTHER);
    await bench.documents.settle();
    expect(stored()).toHaveLength(8);
    await bench.documents.forget(COMMON_SCOPE, 'd');
    await bench.documents.forget(COMMON_SCOPE, 'e');
    expect(stored()).toEqual([]);
  });

  test('leave with the text that is replaced', async () => {
    await bench.ingest('d', TWO);
    (await bench.use('d', 1))();
    await bench.documents.settle();
    await bench.ingest('d', OTHER);
    expect(stored()).toEqual(keys('Third.\n\n', 'Fourth.'));
  });

  test('leave when the request ends that was running while it was deleted', async () => {
    await bench.ingest('d', TWO);
    const { wait, open } = gate();
    const compute = await bench.use('d', 1, wait);
    await bench.documents.forget(COMMON_SCOPE, 'd');
    for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate);
    compute();
    expect(stored()).toEqual(keys(TWO));
    open();
    await bench.documents.settle();
    expect(stored()).toEqual([]);
  });

  test('stay when the document came back while that request ran', async () => {
    await bench.ingest('d', TWO);
    const { wait, open } = gate();
    await bench.use('d', undefined, wait);
    await bench.documents.forget(COMMON_SCOPE, 'd');
    await bench.ingest('d', TWO);
    open();
    await bench.documents.settle();
    expect(stored()).toEqual(keys('First.\n\n', 'Second.'));
  });

  test('are remembered where the record cannot be written, until a delete', async () => {
    await bench.ingest('d', TWO);
    bench.shelves.documents.beforeChange = async () => {
      throw new Error('read only');
    };
    (await bench.use('d', 1))();
    await bench.documents.settle();
    bench.shelves.documents.beforeChange = async () => {};
    await bench.documents.forget(COMMON_SCOPE, 'd');
    expect(stored()).toEqual([]);
  });

  test('cost one look when they come again', async () => {
    await bench.ingest('d', TWO);
    let writes = 0;
    bench.shelves.documents.beforeChange = async () => {
      writes += 1;
    };
    for (let time = 0; time < 5; time++) {
      (await bench.use('d', 1))();
      (await bench.use('d'))();
      await bench.documents.settle();
    }
    expect(writes).toBe(1);
  });
});

test('scopes do not see one another', async () => {
  const scopes = [COMMON_SCOPE, { tenant: 'a', salt: '' }, { tenant: 'a', salt: 's' }, { tenant: 'b', salt: '' }];
  for (const [index, scope] of scopes.entries()) await bench.ingest('d', `Text ${index}.`, scope);
  for (const [index, scope] of scopes.entries()) {
    const page = await bench.documents.list(scope, { limit: 9 });
    expect(page.records.map(({ text }) => text)).toEqual([`Text ${index}.`]);
  }
  await bench.documents.forget({ tenant: 'a', salt: 's' }, 'd');
  for (const scope of scopes.filter(({ salt }) => salt === '')) await bench.documents.get(scope, 'd');
  for (const bytes of bench.shelves.documents.values.values()) expect(bytes.toString()).not.toContain('"salt"');
});

test.each([
  ['x'.repeat(769), '`id` has 769 bytes of UTF-8; the limit is 768.'],
  ['\u{1f600}'.repeat(193), '`id` has 772 bytes of UTF-8; the limit is 768.'],
  ['.', '`id` may not be "."'],
  ['..', '`id` may not be ".."'],
])('an id that could not be read back is refused by name: %j', async (id, reason) => {
  const refused = bench.ingest(id, TWO);
  await expect(refused).rejects.toMatchObject({
    code: 'invalid_request',
    param: 'id',
    message: expect.stringContaining(reason),
  });
  await expect(bench.documents.start(COMMON_SCOPE, { id, text: TWO })).rejects.toMatchObject({ param: 'id' });
});

test('a cut whose blocks could not be made at first is named by the next request that uses it', async () => {
  await bench.ingest('d', TWO);
  bench.promptsFailWith = new BlockstitchError('queue_full', { waiting: 1, limit: 1 });
  await bench.use('d', 1);
  await bench.documents.settle();
  bench.promptsFailWith = undefined;
  (await bench.use('d', 1))();
  await bench.documents.settle();
  await bench.documents.forget(COMMON_SCOPE, 'd');
  expect(stored()).toEqual([]);
});
