/** A document that is deleted or replaced while requests use it: what they compute afterwards leaves when they end. */
import { beforeEach, describe, expect, test } from 'vitest';
import { COMMON_SCOPE } from '../../../src/cache/tiers.js';
import { BlockstitchError } from '../../../src/errors.js';
import { DocumentsBench, gate } from '../../support/documents-bench.js';

const TEXT = 'First.\n\nSecond.';
const OTHER_CUT = 1;
let bench: DocumentsBench;
const stored = () => [...bench.store].sort();
const keys = (...texts: string[]) => texts.map((text) => bench.keyOf(text)).sort();
const turns = async () => {
  for (let turn = 0; turn < 8; turn++) await new Promise(setImmediate);
};

beforeEach(async () => {
  bench = DocumentsBench.inMemory();
  await bench.ingest('d', TEXT);
});

/** A request whose segmentation waits: it has looked the record up. */
async function lookedUp(granularity: number | undefined, ended: Promise<void>) {
  const cut = gate();
  bench.beforeCut = granularity === undefined ? async () => {} : () => cut.wait;
  bench.shelves.documents.afterGet = granularity === undefined ? () => cut.wait : async () => {};
  const compute = bench.use('d', granularity, ended);
  await turns();
  bench.shelves.documents.afterGet = async () => {};
  bench.beforeCut = async () => {};
  return { cut: cut.open, compute };
}

describe.each([
  ['under another segmentation', OTHER_CUT],
  ['as it was ingested', undefined],
])('a request %s', (_, granularity) => {
  test('that looked a document up, then lost it to a delete, leaves nothing when it ends', async () => {
    const end = gate();
    const { cut, compute } = await lookedUp(granularity, end.wait);
    await bench.documents.forget(COMMON_SCOPE, 'd');
    expect(stored()).toEqual([]);
    cut();
    const add = await compute;
    await turns();
    add();
    expect(stored()).not.toEqual([]);
    end.open();
    await bench.documents.settle();
    expect(stored()).toEqual([]);
  });

  test('that has cut a document, then lost it to a delete, leaves nothing when it ends', async () => {
    const end = gate();
    const add = await bench.use('d', granularity, end.wait);
    await bench.documents.forget(COMMON_SCOPE, 'd');
    await turns();
    add();
    end.open();
    await bench.documents.settle();
    expect(stored()).toEqual([]);
  });

  test('that computes and ends between the drop of the blocks and of the record leaves nothing', async () => {
    const end = gate();
    bench.shelves.documents.beforeChange = async () => {
      bench.shelves.documents.beforeChange = async () => {};
      (await bench.use('d', granularity, end.wait))();
      end.open();
      await end.wait;
    };
    await bench.documents.forget(COMMON_SCOPE, 'd');
    await bench.documents.settle();
    expect(stored()).toEqual([]);
  });

  test('that looked a document up before it was replaced leaves only what the new one has', async () => {
    const end = gate();
    const { cut, compute } = await lookedUp(granularity, end.wait);
    await bench.ingest('d', `${TEXT}\n\nThird.`);
    cut();
    (await compute)();
    await turns();
    end.open();
    await bench.documents.settle();
    expect(stored()).toEqual(keys('First.\n\n', 'Second.\n\n', 'Third.'));
  });

  test('leaves nothing also where there was no room to make its keys at first', async () => {
    const end = gate();
    const { cut, compute } = await lookedUp(granularity, end.wait);
    await bench.documents.forget(COMMON_SCOPE, 'd');
    bench.promptsFailWith = new BlockstitchError('queue_full', { waiting: 1, limit: 1 });
    cut();
    (await compute)();
    end.open();
    await turns();
    bench.promptsFailWith = undefined;
    await bench.documents.settle();
    expect(stored()).toEqual([]);
  });

  test('leaves its blocks for a later drop where the store refuses', async () => {
    const end = gate();
    const { cut, compute } = await lookedUp(granularity, end.wait);
    await bench.documents.forget(COMMON_SCOPE, 'd');
    cut();
    (await compute)();
    bench.forgetFailure = 'no';
    end.open();
    await bench.documents.settle();
    bench.forgetFailure = undefined;
    await bench.ingest('e', 'Another.');
    expect(stored()).toEqual(keys('Another.'));
  });
});

test('a request that nobody disturbs keeps its blocks, named by the record', async () => {
  const end = gate();
  (await bench.use('d', OTHER_CUT, end.wait))();
  end.open();
  await bench.documents.settle();
  expect(stored()).toEqual(keys('First.\n\n', 'Second.', TEXT));
});

test('a delete of another document, or in another scope, takes nothing of it', async () => {
  const end = gate();
  await bench.ingest('e', 'Else.');
  await bench.ingest('d', TEXT, { tenant: 't', salt: '' });
  const { cut, compute } = await lookedUp(OTHER_CUT, end.wait);
  await bench.documents.forget(COMMON_SCOPE, 'e');
  await bench.documents.forget({ tenant: 't', salt: '' }, 'd');
  cut();
  (await compute)();
  end.open();
  await bench.documents.settle();
  expect(stored()).toEqual(keys('First.\n\n', 'Second.', TEXT));
});
