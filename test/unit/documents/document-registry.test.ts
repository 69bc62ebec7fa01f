/** Records under checksums: a damaged one is named and skipped, and can be replaced and deleted. */
import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import { tenantTag } from '../../../src/cache/block-key.js';
import { StoreMacs } from '../../../src/cache/store-macs.js';
import { COMMON_SCOPE } from '../../../src/cache/tiers.js';
import { DocumentRegistry } from '../../../src/documents/document-registry.js';
import { idKey, shelfName } from '../../../src/documents/document-shelf.js';
import { JsonSeal } from '../../../src/documents/sealed-json.js';
import { documentRecord, putRecord, textOf } from '../../support/document-records.js';
import { MemoryShelf } from '../../support/memory-shelves.js';

let shelf: MemoryShelf;
let registry: DocumentRegistry;
let told: string[];
const key = (id: string) => `${shelfName(COMMON_SCOPE)}/${idKey(id)}`;

beforeEach(() => {
  shelf = new MemoryShelf();
  told = [];
  registry = new DocumentRegistry(shelf, (id, reason) => told.push(`${id}: ${reason}`));
});

const [OLD, YOUNG] = ['aa', 'bb'].map((byte) => Buffer.from(byte.repeat(32), 'hex')) as [Buffer, Buffer];
const macs = (...keys: Buffer[]) => new StoreMacs(keys);
const SEALS = { 'without keys': new JsonSeal(), signed: new JsonSeal(macs(OLD)) };

test.each(['without keys', 'signed'] as const)(
  'a flipped bit, a cut, or another place is seen at every position, %s',
  (kind) => {
    const value = { id: 'a', text: 'Zokego is held in Limoga. ZokegÖ.' };
    const seal = SEALS[kind];
    const sealed = seal.seal('here', value);
    expect(seal.unseal('here', sealed)).toEqual({ ok: true, value, sealed: true });
    expect(seal.unseal('there', sealed).ok).toBe(false);
    for (let bit = 0; bit < sealed.length * 8; bit++) {
      const damaged = Buffer.from(sealed);
      damaged[bit >> 3] = (damaged[bit >> 3] as number) ^ (1 << (bit & 7));
      expect(seal.unseal('here', damaged).ok).toBe(false);
    }
    for (let bytes = 0; bytes < sealed.length; bytes++)
      expect(seal.unseal('here', sealed.subarray(0, bytes)).ok).toBe(false);
  },
);

describe('a damaged record', () => {
  const hash = tenantTag('') + 'ab'.repeat(24);

  beforeEach(async () => {
    for (const id of ['a', 'b', 'c']) {
      await putRecord(registry, documentRecord(id, { blocks: [{ hash, tokens: 1, start: 0, end: 1 }] }));
    }
    const bytes = shelf.values.get(key('b')) as Buffer;
    bytes[bytes.indexOf('Text of b')] = 'X'.charCodeAt(0);
  });

  test('is told once, by name, and says which blocks it named', async () => {
    for (let look = 0; look < 3; look++) {
      expect(await registry.find(COMMON_SCOPE, 'b')).toMatchObject({ state: 'damaged', keys: [hash] });
    }
    expect(told).toEqual(['b: its checksum does not hold']);
  });

  test('is skipped in lists, which name it', async () => {
    const page = await registry.list(COMMON_SCOPE, { limit: 10 });
    expect(page).toMatchObject({ damaged: ['b'], lastId: 'c', hasMore: false });
    expect(page.records.map(({ id }) => id)).toEqual(['a', 'c']);
    expect(await registry.list(COMMON_SCOPE, { limit: 2 })).toMatchObject({ lastId: 'b', hasMore: true });
  });

  test('can be replaced, and can be removed', async () => {
    await putRecord(registry, documentRecord('b', { text: 'Whole again.' }));
    expect(await textOf(registry, 'b')).toBe('Whole again.');
    (shelf.values.get(key('b')) as Buffer)[0] = 0;
    const found = await registry.find(COMMON_SCOPE, 'b');
    expect(await registry.remove(COMMON_SCOPE, 'b', found)).toBe(true);
    expect(await registry.find(COMMON_SCOPE, 'b')).toEqual({ state: 'absent', head: undefined });
  });

  test('is one that stands under the id of another', async () => {
    shelf.values.set(key('a'), shelf.values.get(key('c')) as Buffer);
    expect(await registry.find(COMMON_SCOPE, 'a')).toMatchObject({ state: 'damaged' });
  });
});

test('a record of before there were checksums is read, and kept under one, without its salt', async () => {
  const old = { ...documentRecord('old'), cacheSalt: 'a secret' };
  shelf.values.set(key('old'), Buffer.from(JSON.stringify(old)));
  shelf.values.set(key('cut'), Buffer.from(JSON.stringify(old).slice(0, 40)));
  expect(await registry.find(COMMON_SCOPE, 'old')).toMatchObject({ state: 'found', record: documentRecord('old') });
  const now = shelf.values.get(key('old'))?.toString() ?? '';
  expect(now).toMatch(/^blockstitch-json\/1 [0-9a-f]{64}\n\{/);
  expect(now).not.toContain('secret');
  expect(await registry.find(COMMON_SCOPE, 'cut')).toMatchObject({ state: 'damaged' });
});

describe('the name of a scope on a shelf', () => {
  test('is what it was before there were tenants, hashed salt or not', () => {
    const hashed = '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08';
    expect(shelfName(COMMON_SCOPE)).toBe('e3b0c44298fc1c149afbf4c8996fb924');
    expect(shelfName({ tenant: '', salt: 'test' })).toBe(hashed.slice(0, 32));
    expect(shelfName({ tenant: '', salt: hashed })).toBe(hashed.slice(0, 32));
  });

  test('is another for every tenant and salt, and says neither', () => {
    const part = fc.oneof(fc.string({ maxLength: 4 }), fc.constantFrom('', 'a', '1:a', '0:'));
    fc.assert(
      fc.property(part, part, part, part, (tenant, salt, otherTenant, otherSalt) => {
        const same = tenant === otherTenant && salt === otherSalt;
        const one = shelfName({ tenant, salt });
        expect(one === shelfName({ tenant: otherTenant, salt: otherSalt })).toBe(same);
        expect(one).toMatch(/^(t[0-9a-f]{31}|[0-9a-f]{32})$/);
      }),
    );
  });
});

describe('signed records', () => {
  const registryOf = (...keys: Buffer[]) =>
    new DocumentRegistry(shelf, (id, reason) => told.push(`${id}: ${reason}`), new JsonSeal(macs(...keys)));
  const found = async (of: DocumentRegistry, id = 'a') => {
    const there = await of.find(COMMON_SCOPE, id);
    return there.state === 'damaged' ? there.reason : there.state;
  };

  test('are believed under each of the keys, written under the first, and read where there is no key', async () => {
    await putRecord(registryOf(OLD), documentRecord('a'));
    expect(await found(registryOf(OLD))).toBe('found');
    expect(await found(registryOf(YOUNG, OLD))).toBe('found');
    expect(await found(registryOf(YOUNG))).toBe('it is signed with another key');
    expect(await found(registry)).toBe('found');
    await putRecord(registryOf(YOUNG, OLD), documentRecord('a', { text: 'Now by the young key.' }));
    expect(await found(registryOf(YOUNG))).toBe('found');
    expect(await found(registryOf(OLD))).toBe('it is signed with another key');
  });

  test('are refused where somebody without a key wrote them with a right checksum, and can be replaced', async () => {
    const signed = registryOf(OLD);
    await putRecord(signed, documentRecord('a'));
    await putRecord(registry, documentRecord('a', { text: 'Forged.' }));
    expect(await found(signed)).toBe('it is not signed');
    expect((await signed.list(COMMON_SCOPE, { limit: 10 })).damaged).toEqual(['a']);
    await putRecord(signed, documentRecord('a', { text: 'Honest.' }));
    expect(await textOf(signed, 'a')).toBe('Honest.');
  });

  test('do not count under another id or tenant, nor does their text in front of another signature', async () => {
    const signed = registryOf(OLD);
    await putRecord(signed, documentRecord('a'));
    await putRecord(signed, documentRecord('b'));
    const [a, b] = [shelf.values.get(key('a')) as Buffer, shelf.values.get(key('b')) as Buffer];
    shelf.values.set(key('b'), a);
    expect(await found(signed, 'b')).toBe('its checksum does not hold');
    const headBytes = a.indexOf(10) + 1;
    shelf.values.set(key('b'), Buffer.concat([a.subarray(0, headBytes), b.subarray(headBytes)]));
    expect(await found(signed, 'b')).toBe('its checksum does not hold');
  });

  test('of before there were checksums are not believed under a key', async () => {
    shelf.values.set(key('a'), Buffer.from(JSON.stringify(documentRecord('a'))));
    expect(await found(registryOf(OLD))).toBe('it is not signed');
    expect(await found(registry)).toBe('found');
  });
});
