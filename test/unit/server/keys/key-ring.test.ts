import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { tenantTag } from '../../../../src/cache/block-key.js';
import { makeKey, type NewKey, readKeyFile, writeKeyFile } from '../../../../src/server/keys/key-file.js';
import { KeyRing, tenantId } from '../../../../src/server/keys/key-ring.js';

const directory = mkdtempSync(join(tmpdir(), 'blockstitch-keys-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

let files = 0;
async function ringOf(news: NewKey[], { plainKeys = [] as string[], now = () => Date.now() } = {}) {
  const made = news.map((each) => makeKey(each));
  const file = join(directory, `keys-${files++}.json`);
  const entries = made.map(({ entry }) => entry);
  await writeKeyFile(file, entries);
  const ring = await KeyRing.open({ plainKeys, file, now });
  return { ring, file, entries, keys: made.map(({ key }) => key) };
}

describe('the key file', () => {
  it('holds no key, and only its owner may read it', async () => {
    const { file, keys } = await ringOf([{ name: 'alice' }]);
    const secret = (keys[0] ?? '').split('_').slice(2).join('_');
    expect(secret.length).toBeGreaterThan(10);
    expect(readFileSync(file, 'utf8')).not.toContain(secret);
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  it('hashes each key under a salt of its own', async () => {
    const { entries } = await ringOf([{ name: 'a' }, { name: 'b' }]);
    expect(new Set(entries.map(({ salt }) => salt)).size).toBe(2);
    expect(new Set(entries.map(({ hash }) => hash)).size).toBe(2);
  });

  it.each([
    ['not JSON', '{'],
    ['another version', '{"version": 2, "keys": []}'],
    [
      'a limit of nothing',
      JSON.stringify({ version: 1, keys: [{ ...makeKey({ name: 'a' }).entry, limits: { concurrent: 0 } }] }),
    ],
    ['an unknown field', JSON.stringify({ version: 1, keys: [{ ...makeKey({ name: 'a' }).entry, limit: {} }] })],
    [
      'a wrong date',
      JSON.stringify({ version: 1, keys: [{ ...makeKey({ name: 'a' }).entry, expires: '2026-99-99T' }] }),
    ],
  ])('is refused with %s, and no hash is shown', async (_what, text) => {
    const file = join(directory, `wrong-${files++}.json`);
    writeFileSync(file, text);
    const error = await readKeyFile(file).catch((thrown: Error) => thrown);
    expect(error).toBeInstanceOf(Error);
    expect(String(error)).toContain(file);
    expect(String(error)).not.toMatch(/[0-9a-f]{32}/);
    await expect(KeyRing.open({ plainKeys: [], file })).rejects.toMatchObject({ code: 'config_invalid' });
  });
});

describe('a key', () => {
  it('is found by its whole secret, and by nothing else', async () => {
    const { ring, keys } = await ringOf([{ name: 'alice' }, { name: 'bob' }]);
    const [alice = '', bob = ''] = keys;
    expect(ring.find(alice)?.client).not.toBe(ring.find(bob)?.client);
    const swapped = `${alice.slice(0, 16)}_${bob.slice(17)}`;
    for (const wrong of ['', 'bsk_', alice.slice(0, -1), `${alice}x`, swapped, bob.replace('bsk_', 'bsk')]) {
      expect(ring.find(wrong)).toBeUndefined();
    }
  });

  it('has a tenant of its own, unless it names a shared one or adopts that of a plain key', async () => {
    const news = [{ name: 'a' }, { name: 'b' }, { name: 'c', tenant: 'x' }, { name: 'd', tenant: 'x' }];
    const { ring, keys } = await ringOf([...news, { name: 'e', tenantId: tenantId('plain') }], {
      plainKeys: ['plain'],
    });
    const tenants = [...keys, 'plain'].map((key) => ring.find(key)?.tenant);
    expect(new Set(tenants.slice(0, 3)).size).toBe(3);
    expect(tenants[3]).toBe(tenants[2]);
    expect(tenants[4]).toBe(tenants[5]);
    expect(tenants.join()).toMatch(/^([0-9a-f]{32},?){6}$/);
  });

  it('ends when its time is over or it is revoked, without a restart', async () => {
    let nowMs = Date.parse('2030-01-01T00:00:00Z');
    const expires = new Date(nowMs + 1000);
    const { ring, keys, entries, file } = await ringOf([{ name: 'a', expires }, { name: 'b' }], { now: () => nowMs });
    const seen = () => keys.map((key) => ring.find(key) !== undefined);
    expect(seen()).toEqual([true, true]);
    nowMs += 1000;
    expect(seen()).toEqual([false, true]);
    await writeKeyFile(
      file,
      entries.map((entry) => ({ ...entry, revoked: new Date(nowMs).toISOString() })),
    );
    expect(seen()).toEqual([false, true]);
    await ring.reload();
    expect(seen()).toEqual([false, false]);
    expect(ring.asksForKeys).toBe(true);
  });

  it('stays when the file cannot be used any more', async () => {
    const { ring, keys, file } = await ringOf([{ name: 'a' }]);
    writeFileSync(file, '{');
    await expect(ring.reload()).rejects.toThrow('is not JSON');
    expect(ring.find(keys[0] ?? '')).toBeDefined();
  });

  it('is taken as soon as the file has it, by a watch that tells of damage once', async () => {
    const { ring, file } = await ringOf([]);
    const told: (string | undefined)[] = [];
    let next: () => void = () => undefined;
    const stop = ring.watch((error) => {
      told.push(error && 'damaged');
      next();
    });
    const toldOf = async (change: () => unknown) => {
      const seen = new Promise<void>((resolve) => {
        next = resolve;
      });
      await change();
      await seen;
    };
    const { entry, key } = makeKey({ name: 'late' });
    await toldOf(() => writeFileSync(file, '{"broken'));
    await toldOf(() => writeKeyFile(file, [entry]));
    stop();
    expect(told).toEqual(['damaged', undefined]);
    expect(ring.find(key)).toBeDefined();
  });
});

describe('stored bytes', () => {
  it("are a tenant's: the largest limit of its keys counts, and one key without a limit lifts it", async () => {
    const limits = (storedBytes: number) => ({ limits: { storedBytes } });
    const { ring, entries } = await ringOf([
      { name: 'a', tenant: 'one', ...limits(10) },
      { name: 'b', tenant: 'one', ...limits(30) },
      { name: 'c', tenant: 'two', ...limits(10) },
      { name: 'd', tenant: 'two' },
    ]);
    const most = entries.map(({ tenantId: tenant }) => ring.storedBytesOf(tenantTag(tenant)));
    expect(most).toEqual([30, 30, undefined, undefined]);
  });
});
