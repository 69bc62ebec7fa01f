/** What `blockstitch ingest` reads, and what it refuses by name. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, describe, expect, test } from 'vitest';
import { findFiles, readSources, type Source } from '../../../src/cli/ingest-sources.js';

const home = mkdtempSync(join(tmpdir(), 'blockstitch-sources-'));
const at = (name: string) => join(home, name);
afterAll(() => rmSync(home, { recursive: true, force: true }));

async function read(path: string, maxFileBytes = 1000, input: Iterable<Buffer> = []): Promise<Source[]> {
  const found: Source[] = [];
  for (const file of await findFiles([path])) {
    for await (const source of readSources(file, Readable.from(input), { maxFileBytes })) found.push(source);
  }
  return found;
}

describe('what is no file and no folder', () => {
  symlinkSync('/dev/zero', at('endless.txt'));

  test.each(['/dev/zero', '/dev/null', at('endless.txt')])('%s is refused before anything is read', async (path) => {
    await expect(read(path)).rejects.toMatchObject({
      code: 'config_invalid',
      message: expect.stringMatching(new RegExp(`${path}.*it is a device, a pipe or a socket, not a file or a folder`)),
    });
  });

  test('is passed over in a folder', async () => {
    mkdirSync(at('folder'));
    symlinkSync('/dev/zero', at('folder/endless.txt'));
    writeFileSync(at('folder/whole.txt'), 'Zokego is held in Limoga.');
    expect((await read(at('folder'))).map(({ name }) => name)).toEqual([at('folder/whole.txt')]);
  });
});

test('a file beyond the limit fails by name, one at the limit is read', async () => {
  writeFileSync(at('large.txt'), 'x'.repeat(1001));
  writeFileSync(at('full.txt'), 'x'.repeat(1000));
  expect(await read(at('large.txt'))).toEqual([
    { name: at('large.txt'), failure: 'it has more than 1000 B (--max-file)' },
  ]);
  expect(await read(at('full.txt'))).toMatchObject([{ document: { text: 'x'.repeat(1000) } }]);
});

test('a row beyond the limit fails alone', async () => {
  const rows = [{ text: 'one' }, { text: 'x'.repeat(1000) }, { text: 'two' }];
  writeFileSync(at('rows.ndjson'), `\ufeff${rows.map((row) => JSON.stringify(row)).join('\r\n')}\n`);
  const sources = await read(at('rows.ndjson'));
  expect(sources).toMatchObject([
    { name: `${at('rows.ndjson')}:1`, document: { text: 'one' } },
    { name: `${at('rows.ndjson')}:2`, failure: 'it has more than 1000 B (--max-file)' },
    { name: `${at('rows.ndjson')}:3`, document: { text: 'two' } },
  ]);
});

test('standard input that never ends a row is given up', async () => {
  const zeros = Buffer.alloc(64 * 1024 * 1024);
  let taken = 0;
  function* endless() {
    for (; ; taken++) yield zeros;
  }
  expect(await read('-', 1000, endless())).toEqual([
    { name: 'standard input', failure: 'it holds a row that does not end within 1 GiB' },
  ]);
  expect(taken).toBeLessThan(20);
});
