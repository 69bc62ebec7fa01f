/** Sentinel, Cluster and TLS as the settings reach them, against real servers. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Cluster, Redis } from 'ioredis';
import { afterAll, describe, expect, onTestFinished, test } from 'vitest';
import { connectRedis } from '../../../src/cache/connect-redis.js';
import { RedisStore } from '../../../src/cache/redis-store.js';
import { COMMON_SCOPE } from '../../../src/cache/tiers.js';
import { loadConfig } from '../../../src/config.js';
import { DocumentRegistry } from '../../../src/documents/document-registry.js';
import { RedisShelf } from '../../../src/documents/redis-shelf.js';
import { documentRecord, putRecord } from '../../support/document-records.js';
import { freePort, startCluster, startRedis, startSentinel } from '../../support/redis-server.js';

const directory = mkdtempSync(join(tmpdir(), 'blockstitch-redis-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** Connects as `blockstitch serve` would with these environment names. */
function connect(env: Record<string, string>): Redis | Cluster {
  const client = connectRedis(loadConfig({}, env));
  onTestFinished(() => client.disconnect());
  return client;
}

const value = (seed: number, length = 100) => new Uint8Array(length).map((_, index) => index * seed);

/** What every way of connecting must be able to do. */
async function keepsBlocksAndDocuments(client: Redis | Cluster): Promise<void> {
  const store = new RedisStore({ client, ttlSeconds: 0 });
  const large = value(5, 20 * 1024 * 1024);
  const entries = Array.from({ length: 50 }, (_, index) => ({ key: `k${index}`, value: value(index) }));
  await store.put([...entries, { key: 'large', value: large }]);
  const back = await store.get([...entries.map(({ key }) => key), 'missing', 'large']);
  for (const [index, entry] of entries.entries()) {
    expect(Buffer.compare(back[index] as Uint8Array, entry.value)).toBe(0);
  }
  expect(back[50]).toBeUndefined();
  expect(Buffer.compare(back[51] as Uint8Array, large)).toBe(0);
  expect(await store.statistics()).toEqual({ entries: 51, bytes: 5_000 + large.byteLength });
  const lock = await store.lock('k1', 10_000);
  expect(await store.lock('k1', 10_000)).toBeUndefined();
  await lock?.release();
  const registry = new DocumentRegistry(new RedisShelf(client));
  for (const id of ['b', 'a']) await putRecord(registry, documentRecord(id));
  const page = await registry.list(COMMON_SCOPE, { limit: 5 });
  expect(page).toMatchObject({ records: [{ id: 'a' }, { id: 'b' }], hasMore: false });
  expect(await store.delete(['k0', 'missing'])).toBe(1);
  expect(await store.clear()).toBe(50);
}

describe('a cluster of three nodes', () => {
  test('keeps blocks on all nodes, each value whole on one', async () => {
    const cluster = await startCluster(3);
    onTestFinished(() => cluster.stop());
    const client = connect({ REDIS_URL: cluster.urls });
    expect(client).toBeInstanceOf(Cluster);
    await keepsBlocksAndDocuments(client);
    const store = new RedisStore({ client, ttlSeconds: 0 });
    await store.put(Array.from({ length: 60 }, (_, index) => ({ key: `k${index}`, value: value(index) })));
    const sizes = await Promise.all((client as Cluster).nodes('master').map((node) => node.dbsize()));
    expect(sizes).toHaveLength(3);
    expect(Math.min(...sizes)).toBeGreaterThan(5);
  });
});

describe('Sentinel', () => {
  test('finds the master, and after it died the replica that took over', async () => {
    const master = await startRedis();
    onTestFinished(() => master.stop());
    const replica = await startRedis(undefined, ['--replicaof', `127.0.0.1 ${master.port}`]);
    onTestFinished(() => replica.stop());
    const sentinel = await startSentinel(master.port);
    onTestFinished(() => sentinel.stop());
    const client = connect({
      REDIS_URL: sentinel.url,
      BLOCKSTITCH_REDIS_MODE: 'sentinel',
      BLOCKSTITCH_REDIS_MASTER: sentinel.master,
    });
    await keepsBlocksAndDocuments(client);
    const store = new RedisStore({ client, ttlSeconds: 0 });
    await store.put([{ key: 'kept', value: value(3) }]);
    expect(await (client as Redis).wait(1, 10_000)).toBe(1);
    // The Sentinel learns of the replica from the master, and must know it before the master dies.
    const watcher = new Redis(sentinel.url);
    await expect
      .poll(() => watcher.call('SENTINEL', 'replicas', sentinel.master), { timeout: 120_000 })
      .toHaveLength(1);
    watcher.disconnect();
    await master.stop();
    const found = async () => (await store.get(['kept']).catch(() => []))[0]?.byteLength;
    await expect.poll(found, { timeout: 60_000, interval: 200 }).toBe(100);
    await expect
      .poll(
        () =>
          store.put([{ key: 'new', value: value(4) }]).then(
            () => true,
            () => false,
          ),
        {
          timeout: 60_000,
          interval: 200,
        },
      )
      .toBe(true);
  });
});

describe('TLS', () => {
  test('is spoken with rediss://, and a certificate of nobody known is refused', async () => {
    const { ca, cert, key } = makeCertificates();
    const files = ['--tls-cert-file', cert, '--tls-key-file', key, '--tls-ca-cert-file', ca];
    const port = await freePort();
    const server = await startRedis(port, ['--tls-port', String(port), ...files, '--requirepass', 'secret']);
    onTestFinished(() => server.stop());
    const url = `rediss://:secret@localhost:${port}`;
    const tls = { REDIS_URL: url, BLOCKSTITCH_REDIS_CA: ca, BLOCKSTITCH_REDIS_CERT: cert, BLOCKSTITCH_REDIS_KEY: key };
    const client = connect(tls);
    await keepsBlocksAndDocuments(client);
    const stranger = connect({ ...tls, BLOCKSTITCH_REDIS_CA: '' });
    await expect(new RedisStore({ client: stranger, ttlSeconds: 0 }).get(['k'])).rejects.toThrow();
  });
});

test('a Redis that is not there is named, to blocks and to documents', async () => {
  const port = await freePort();
  const client = connect({ REDIS_URL: `redis://127.0.0.1:${port}` });
  const reason = `Redis cannot be reached: connect ECONNREFUSED 127.0.0.1:${port}`;
  await expect(new RedisStore({ client, ttlSeconds: 0 }).get(['k'])).rejects.toThrow(reason);
  await expect(new DocumentRegistry(new RedisShelf(client)).find(COMMON_SCOPE, 'a')).rejects.toMatchObject({
    code: 'store_failed',
    message: expect.stringContaining(reason),
  });
});

describe('settings that cannot be used', () => {
  test.each([
    [{ REDIS_URL: 'localhost:6379' }, '--redis-url'],
    [{ REDIS_URL: 'http://localhost' }, 'redis://'],
    [{ REDIS_URL: 'redis://a,rediss://b' }, 'mixes'],
    [{ REDIS_URL: 'redis://a,redis://b', BLOCKSTITCH_REDIS_MODE: 'single' }, 'several URLs'],
    [{ REDIS_URL: 'redis://a/2,redis://b' }, 'no numbered databases'],
    [{ REDIS_URL: 'redis://a/x' }, 'not a number'],
    [{ REDIS_URL: 'rediss://a', BLOCKSTITCH_REDIS_CA: '/nowhere/ca.pem' }, '--redis-ca'],
    [{ REDIS_URL: 'rediss://a', BLOCKSTITCH_REDIS_CERT: '/nowhere/cert.pem' }, 'together'],
    [{ REDIS_URL: ':secret@host' }, 'redis://'],
    [{ REDIS_URL: 'secret://host' }, 'redis://'],
    [{ REDIS_URL: 'redis://:a@secret:s%/w@host' }, 'encodeURIComponent'],
    [{ REDIS_URL: 'redis://:a/secret@host' }, 'encodeURIComponent'],
    [{ REDIS_URL: 'redis://u/secret@host' }, 'encodeURIComponent'],
    [{ REDIS_URL: 'redis://u#secret@host' }, 'encodeURIComponent'],
    [{ REDIS_URL: 'redis://u?secret@host' }, 'encodeURIComponent'],
    [{ REDIS_URL: 'redis://:secret%@host' }, 'encodeURIComponent'],
    [{ REDIS_URL: 'redis://host,redis://:a/secret@host' }, 'encodeURIComponent'],
    [{ REDIS_URL: 'redis://:secret@' }, 'encodeURIComponent'],
  ])('%j are refused by name', (env, word) => {
    expect(() => connect(env as Record<string, string>)).toThrow(word);
    try {
      connect(env as Record<string, string>);
    } catch (error) {
      expect(error).toMatchObject({ code: 'config_invalid' });
      expect(String(error)).not.toContain('secret');
    }
  });
});

/** An authority of our own and a certificate for localhost, made by openssl. */
function makeCertificates(): { ca: string; cert: string; key: string } {
  const at = (name: string) => join(directory, name);
  const openssl = (...args: string[]) => {
    const { status, stderr } = spawnSync('openssl', args, { encoding: 'utf8' });
    if (status !== 0) throw new Error(`openssl ${args[0]}: ${stderr}`);
  };
  writeFileSync(at('names'), 'subjectAltName=DNS:localhost,IP:127.0.0.1\n');
  const fresh = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  openssl('req', '-x509', ...fresh, '-keyout', at('ca.key'), '-out', at('ca.pem'), '-subj', '/CN=test', '-days', '2');
  openssl('req', ...fresh, '-keyout', at('server.key'), '-out', at('server.csr'), '-subj', '/CN=localhost');
  openssl(
    ...['x509', '-req', '-in', at('server.csr'), '-CA', at('ca.pem'), '-CAkey', at('ca.key'), '-CAcreateserial'],
    ...['-out', at('server.pem'), '-days', '2', '-extfile', at('names')],
  );
  return { ca: at('ca.pem'), cert: at('server.pem'), key: at('server.key') };
}
