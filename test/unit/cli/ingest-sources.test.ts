/** What `blockstitch ingest` reads, and what it refuses by name. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, describe, expect, test } from 'vitest';
import { findFiles } from '../../../src/cli/ingest-files.js';
import { readSources, type Source } from '../../../src/cli/ingest-sources.js';

const home = mkdtempSync(join(tmpdir(), 'blockstitch-sources-'));
const at = (name: string) => join(home, name);
afterAll(() => rmSync(home, { recursive: true, force: true }));

async function read(path: string, maxFileBytes = 1000, input: Iterable<Buffer> = []): Promise<Source[]> {
  const found: Source[] = [];
  for (const file of (await findFiles([path])).files) {
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

describe('a folder', () => {
  test('gives files behind links, as a volume of Kubernetes has them', async () => {
    mkdirSync(at('volume/..2026'), { recursive: true });
    writeFileSync(at('volume/..2026/fair.md'), 'Zokego is held in Limoga.');
    symlinkSync('..2026', at('volume/..data'));
    symlinkSync('..data/fair.md', at('volume/fair.md'));
    expect(await read(at('volume'))).toMatchObject([
      { name: at('volume/fair.md'), document: { title: 'fair', text: 'Zokego is held in Limoga.' } },
    ]);
  });

  test('names what it passes over, and never walks in a circle', async () => {
    mkdirSync(at('mixed/inner'), { recursive: true });
    for (const name of ['a.pdf', 'b.PDF', 'inner/c.docx', 'LICENSE', '.hidden.pdf'])
      writeFileSync(at(`mixed/${name}`), 'x');
    symlinkSync('..', at('mixed/inner/up'));
    symlinkSync('nowhere', at('mixed/gone.txt'));
    expect(await read(at('mixed'))).toEqual([
      { name: at('mixed/gone.txt'), failure: expect.stringContaining('ENOENT') },
    ]);
    expect((await findFiles([at('mixed')])).passedOver).toEqual([
      `${at('mixed')}: passed over 2 .pdf, 1 without an ending, 1 .docx; a file that is named is read`,
      `${at('mixed/inner/up')}: a link to a folder is passed over; one that is named is read`,
    ]);
  });

  test('without anything to read says so', async () => {
    mkdirSync(at('bare'));
    expect(await findFiles([at('bare')])).toEqual({
      files: [],
      passedOver: [`${at('bare')}: it holds no text, page, code or NDJSON`],
    });
  });

  test('inside it that cannot be looked at fails alone', async () => {
    mkdirSync(at('latin'));
    mkdirSync(Buffer.concat([Buffer.from(at('latin/caf')), Buffer.from([0xe9])]));
    writeFileSync(at('latin/plain.txt'), 'Zokego is held in Limoga.');
    expect(await read(at('latin'))).toMatchObject([
      { name: expect.stringMatching(/caf.$/), failure: expect.stringContaining('ENOENT') },
      { name: at('latin/plain.txt'), document: {} },
    ]);
  });
});

test('a long title is cut between characters', async () => {
  writeFileSync(at('long.html'), `<title>${'x'.repeat(1023)}\u{1f600}\u{1f600}</title><p>Text.</p>`);
  const [source] = await read(at('long.html'), 10_000);
  expect(source).toMatchObject({ document: { title: `${'x'.repeat(1023)}\u{1f600}` } });
});

test('a row that is not UTF-8 fails alone, as such a file does', async () => {
  writeFileSync(at('latin.ndjson'), Buffer.from('{"text":"caf\xe9"}\n{"text":"tea"}\n', 'latin1'));
  expect(await read(at('latin.ndjson'))).toMatchObject([
    { name: `${at('latin.ndjson')}:1`, failure: 'it is not UTF-8 text' },
    { name: `${at('latin.ndjson')}:2`, document: { text: 'tea' } },
  ]);
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
