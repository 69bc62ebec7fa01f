/** A record takes over the keys of the one before it: no key is ever lost. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type DocumentRecord,
  namedKeys,
  naming,
  succeeding,
  withoutOrphans,
} from '../../../src/documents/document-record.js';
import { documentRecord } from '../../support/document-records.js';

const block = (hash: string) => ({ hash, tokens: 1, start: 0, end: 1 });
const record = (text: string, hashes: string[], fields: Partial<DocumentRecord> = {}) =>
  documentRecord('d', { text, form: 'f', blocks: hashes.map(block), ...fields });

describe('a record that follows another', () => {
  test('makes orphans of the blocks that only the other text had', () => {
    const before = record('old', ['a', 'b'], { also: [['c']], orphans: ['o'] });
    const after = succeeding(record('new', ['b', 'x']), before, ['damaged']);
    expect(after.orphans?.sort()).toEqual(['a', 'c', 'damaged', 'o']);
    expect(after.also).toBeUndefined();
  });

  test('of an equal text keeps the cuts by requests and the blocks of other forms', () => {
    const before = record('same', ['a', 'b'], { form: 'int4', also: [['c', 'x']] });
    const after = succeeding(record('same', ['x', 'y']), before);
    expect(after.also).toEqual([['c'], ['a', 'b']]);
    expect(after.orphans).toBeUndefined();
  });

  test('of an equal text under another segmentation and the same form drops the blocks before', () => {
    expect(succeeding(record('same', ['x']), record('same', ['a', 'x'])).orphans).toEqual(['a']);
  });

  test('of another title keeps nothing: titles are part of the first block', () => {
    const before = record('same', ['a'], { title: 'A', form: 'int4', also: [['c']] });
    expect(succeeding(record('same', ['x'], { title: 'B' }), before).orphans?.sort()).toEqual(['a', 'c']);
  });

  test('never forgets a key and never calls one an orphan that it uses', () => {
    const key = fc.constantFrom(...'abcdefghij');
    const keys = fc.array(key, { maxLength: 5 });
    const any = fc
      .record({ text: fc.constantFrom('s', 't'), hashes: keys, form: fc.constantFrom('f', 'g'), also: fc.array(keys) })
      .map(({ text, hashes, form, also }) => record(text, hashes, { form, also }));
    fc.assert(
      fc.property(any, any, keys, keys, (before, fresh, others, cut) => {
        const after = succeeding(fresh, before, others);
        const kept = namedKeys(after);
        for (const name of [...namedKeys(before), ...others]) expect(kept.has(name)).toBe(true);
        const used = namedKeys(withoutOrphans(after));
        for (const orphan of after.orphans ?? []) expect(used.has(orphan)).toBe(false);
        const named = naming(after, cut);
        for (const name of [...kept, ...cut]) expect(namedKeys(named).has(name)).toBe(true);
        for (const name of cut) expect(named.orphans ?? []).not.toContain(name);
      }),
    );
  });
});

test('cuts are bounded: of too many the oldest become orphans', () => {
  let kept = record('t', []);
  for (let cut = 0; cut < 5; cut++) {
    kept = naming(
      kept,
      Array.from({ length: 5_000 }, (_, index) => `${cut}-${index}`),
    );
  }
  expect(kept.also?.map(([first]) => first)).toEqual(['2-0', '3-0', '4-0']);
  expect(kept.orphans).toHaveLength(10_000);
  expect(namedKeys(kept).size).toBe(25_000);
});
