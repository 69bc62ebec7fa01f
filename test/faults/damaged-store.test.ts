/**
 * The files of an embedded store were damaged between two starts. At the first start `serve` and `doctor` name the
 * store's directory and a remedy, and no signal ends the process. After a kill nothing acknowledged is lost.
 */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  cpSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { LmdbStore } from '../../src/cache/lmdb-store.js';
import { type CliResult, runCli } from '../support/cli-process.js';
import { endProcesses, type ServedProcess, serveProcess } from '../support/served-process.js';

const PAGE_BYTES = 4096;
/** Places in a page of LMDB's that says where the trees begin: u64 each. */
const META = { transaction: 24 + 128, mainRoot: 24 + 24 + 48 + 40 };
const home = mkdtempSync(join(tmpdir(), 'blockstitch-damaged-store-'));
const healthy = join(home, 'healthy');
const DOCUMENTS = 4;
const idOf = (index: number) => `document-${index}`;
const textOf = (index: number) =>
  Array.from({ length: 12 }, (_, at) => `Zokego ${index * 100 + at} is held in Limoga. Sobako hosts it.`).join('\n\n');

afterEach(endProcesses);
afterAll(() => rmSync(home, { recursive: true, force: true }));

const serve = (storeDir: string, ...argv: string[]) => serveProcess(home, ['--store-dir', storeDir, ...argv]);

async function answers(server: ServedProcess): Promise<unknown[]> {
  const all: unknown[] = [];
  for (let index = 0; index < DOCUMENTS; index++) {
    const { status, json } = await server.ask<{ choices: { logprobs: unknown }[] }>('POST', '/v1/chat/completions', {
      messages: [{ role: 'user', content: 'Who hosts Zokego?' }],
      documents: [{ id: idOf(index) }],
      temperature: 0,
      max_tokens: 4,
      logprobs: true,
      ignore_eos: true,
    });
    expect(status).toBe(200);
    all.push(json.choices[0]?.logprobs);
  }
  return all;
}

let expected: unknown[];

beforeAll(async () => {
  const server = await serve(healthy);
  for (let index = 0; index < DOCUMENTS; index++) {
    const posted = await server.ask('POST', '/v1/documents', { id: idOf(index), text: textOf(index) });
    expect(posted.status).toBe(200);
  }
  expected = await answers(server);
  expect((await server.end('SIGTERM')).code).toBe(0);
});

/** The root of the tree that names all others, by the newer of the two heads. */
function mainRoot(file: string): number {
  const bytes = readFileSync(file);
  const [first, second] = [bytes.subarray(0, PAGE_BYTES), bytes.subarray(PAGE_BYTES, 2 * PAGE_BYTES)];
  const at = (page: Buffer, place: number) => page.readBigUInt64LE(place);
  const newer = at(second, META.transaction) > at(first, META.transaction) ? second : first;
  return Number(at(newer, META.mainRoot));
}

function overwrite(file: string, page: number): void {
  const handle = openSync(file, 'r+');
  writeSync(handle, randomBytes(PAGE_BYTES), 0, PAGE_BYTES, page * PAGE_BYTES);
  closeSync(handle);
}

const DAMAGES: Record<string, { damage: (file: string) => void; reason: RegExp }> = {
  'cut short by half': {
    damage: (file) => truncateSync(file, statSync(file).size >> 1),
    reason: /data\.mdb was cut short: pages behind its \d+ bytes are missing/,
  },
  'of 0 bytes': { damage: (file) => truncateSync(file, 0), reason: /data\.mdb is empty \(0 bytes\)/ },
  'with its first page overwritten': {
    damage: (file) => overwrite(file, 0),
    reason: /page 0 of data\.mdb is damaged/,
  },
  'with a page of a tree overwritten': {
    damage: (file) => overwrite(file, mainRoot(file)),
    reason: /page \d+ of data\.mdb is damaged/,
  },
  'that is no store at all': {
    damage: (file) => writeFileSync(file, 'x'.repeat(statSync(file).size)),
    reason: /page 0 of data\.mdb is damaged/,
  },
};

describe.each(Object.entries(DAMAGES))('a data.mdb %s', (_, { damage, reason }) => {
  test.each([true, false])(
    'ends every start with 1 and a word, and doctor says the same (closed: %s)',
    async (closed) => {
      const directory = mkdtempSync(join(home, 'damaged-'));
      cpSync(healthy, directory, { recursive: true });
      damage(join(directory, 'data.mdb'));
      const ending = { closed, bytes: statSync(join(directory, 'data.mdb')).size };
      writeFileSync(join(directory, 'ending.json'), JSON.stringify(ending));
      const named = (words: string) => {
        expect(words).toContain(`store in ${directory} is damaged: `);
        expect(words).toMatch(reason);
        expect(words).toContain('Move the directory away, or delete it, and start again');
      };
      const start = () => runCli(['serve', '--port', '0', '--store-dir', directory], home);
      const told = (result: CliResult) => [result.code, result.stderr.includes('ready')];
      // The third start is the one that an operator tries after doctor.
      for (let time = 0; time < 2; time++) {
        const result = await start();
        expect(told(result)).toEqual([1, false]);
        named(result.stderr);
      }
      const doctor = await runCli(['doctor', '--store-dir', directory], home);
      expect(doctor.code).toBe(1);
      named(doctor.stdout);
      expect(told(await start())).toEqual([1, false]);
      // The remedy works.
      rmSync(directory, { recursive: true });
      const fresh = await serve(directory);
      expect((await fresh.ask('POST', '/v1/documents', { id: 'd', text: textOf(0) })).status).toBe(200);
    },
  );
});

test('a store that was not closed is checked at the next start, which says so, and nothing is lost', async () => {
  const directory = join(home, 'killed');
  const first = await serve(directory);
  for (let index = 0; index < DOCUMENTS; index++) {
    expect((await first.ask('POST', '/v1/documents', { id: idOf(index), text: textOf(index) })).status).toBe(200);
  }
  await first.end('SIGKILL');
  const second = await serve(directory);
  expect(await answers(second)).toEqual(expected);
  const { tiers } = (await second.ask<{ tiers: { tier: string; hits: number }[] }>('GET', '/v1/cache')).json;
  expect(tiers.find(({ tier }) => tier === 'lmdb')?.hits).toBeGreaterThanOrEqual(DOCUMENTS);
  expect((await second.end('SIGTERM')).stdout).toContain(
    `the store in ${directory} was not closed: its files are checked`,
  );
  const third = await serve(directory);
  expect(await answers(third)).toEqual(expected);
  expect((await third.end('SIGTERM')).stdout).not.toContain('was not closed');
});

test('a store that another server has open is served by both, and doctor finds it sound while they write', async () => {
  const directory = join(home, 'shared');
  const servers = [await serve(directory), await serve(directory)];
  const [first, second] = servers as [ServedProcess, ServedProcess];
  const writes = Array.from({ length: 12 }, (_, index) =>
    (servers[index % 2] as ServedProcess).ask('POST', '/v1/documents', { id: idOf(index), text: textOf(index) }),
  );
  const doctor = await runCli(['doctor', '--store-dir', directory], home);
  expect(doctor.stdout).toMatch(/^ok +store: LMDB in /m);
  for (const write of writes) expect((await write).status).toBe(200);
  expect(await answers(first)).toEqual(expected);
  expect(await answers(second)).toEqual(expected);
  await first.end('SIGTERM');
  expect(await answers(second)).toEqual(expected);
  await second.end('SIGKILL');
  const third = await serve(directory);
  expect(await answers(third)).toEqual(expected);
});

test.each([
  ['removed', (directory: string) => rmSync(directory, { recursive: true })],
  [
    'replaced by another',
    (directory: string) => {
      rmSync(directory, { recursive: true });
      cpSync(healthy, directory, { recursive: true });
    },
  ],
])('a store whose files were %s under a running server acknowledges nothing any more', async (_, lose) => {
  const directory = mkdtempSync(join(home, 'lost-'));
  const server = await serve(directory);
  const ingest = (index: number) => server.ask('POST', '/v1/documents', { id: idOf(index), text: textOf(index) });
  for (let index = 0; index < DOCUMENTS; index++) expect((await ingest(index)).status).toBe(200);
  lose(directory);
  for (let index = DOCUMENTS; index < 2 * DOCUMENTS; index++) {
    expect(await ingest(index)).toMatchObject({ status: 503, json: { error: { code: 'store_failed' } } });
  }
  // What was cached is answered, and orchestrators can read of it.
  expect(await answers(server)).toEqual(expected);
  expect((await server.ask<{ store: string }>('GET', '/ready')).json.store).toBe('failing');
  const { code, stdout, stderr } = await server.end('SIGTERM');
  expect([code, stdout + stderr]).toEqual([0, expect.stringMatching(/data\.mdb is gone, or another file/)]);
  const again = await serve(directory);
  expect((await again.ask('POST', '/v1/documents', { id: idOf(0), text: textOf(0) })).status).toBe(200);
});

test('a doctor of a store that is not there makes no file of it', async () => {
  const directory = join(home, 'none');
  expect((await runCli(['doctor', '--store-dir', directory], home)).stdout).toMatch(/^ok +store: /m);
  expect(existsSync(join(directory, 'data.mdb'))).toBe(false);
  const store = await LmdbStore.open(directory);
  await store.close();
});
