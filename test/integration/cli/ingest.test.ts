/** `blockstitch ingest` against a served process: files, folders and rows, what is skipped, what fails, exit codes. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runCli, startCli } from '../../support/cli-process.js';
import { endProcesses, type ServedProcess, serveProcess } from '../../support/served-process.js';

const KEY = 'the-key-of-this-test';
const home = mkdtempSync(join(tmpdir(), 'blockstitch-ingest-'));
let server: ServedProcess;

beforeAll(async () => {
  server = await serveProcess(home, ['--store-dir', join(home, 'store')], { BLOCKSTITCH_API_KEYS: KEY });
  const files: Record<string, string | Buffer> = {
    'docs/fair.md': '# Fairs\n\nZokego is held in Limoga. Its host is Sobako.\n',
    'docs/page.html':
      '<html><head><title>People &amp; homes</title><style>p { color: red }</style></head>' +
      '<body><h1>Homes</h1><p>The home of <b>Tolefi</b> is <a href="http://x/">Rasu</a>.</p><script>no()</script></body></html>',
    'docs/code/run.py': 'def run():\n    return 7\n',
    'docs/picture.png': Buffer.from([0x89, 0x50, 0, 1]),
    'docs/.hidden.txt': 'not this one',
    'docs/node_modules/a.js': 'nor this',
    'rows.ndjson':
      '{"id": "first", "title": "First", "text": "Sonako is held in Kemira.", "metadata": {"year": "2026"}}\n\n' +
      '{"text": "A row without an id."}\n',
    'bad.ndjson': 'no JSON\n{"title": "no text"}\n{"text": " "}\n{"text": "This one is sound."}\n',
    'broken.txt': Buffer.from([0x61, 0xff, 0xfe]),
  };
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(join(home, name, '..'), { recursive: true });
    writeFileSync(join(home, name), content);
  }
});
afterAll(async () => {
  await endProcesses();
  rmSync(home, { recursive: true, force: true });
});

const ingest = (...argv: string[]) =>
  runCli(['ingest', '--url', server.url, ...argv], home, { env: { BLOCKSTITCH_API_KEYS: KEY } });
const authorized = { authorization: `Bearer ${KEY}` };

interface Line {
  name?: string;
  status: string;
  id?: string;
  reason?: string;
  tokens?: number;
  computed?: number;
}

async function lines(...argv: string[]) {
  const { code, stdout, stderr } = await ingest('--json', ...argv);
  const all = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Line);
  const summary = all.pop() as Line & Record<'ingested' | 'skipped' | 'failed', number>;
  const results = all.sort((one, other) => String(one.name).localeCompare(String(other.name)));
  return { code, stderr, results, summary };
}

describe('a folder and rows', () => {
  test('become documents under their paths, as text', async () => {
    const { code, results, summary } = await lines('docs', 'rows.ndjson', '--parallel', '3');
    expect([code, summary]).toMatchObject([0, { status: 'summary', ingested: 5, skipped: 0, failed: 0 }]);
    expect(results.map(({ name, status }) => [name, status])).toEqual([
      ['docs/code/run.py', 'ingested'],
      ['docs/fair.md', 'ingested'],
      ['docs/page.html', 'ingested'],
      ['rows.ndjson:1', 'ingested'],
      ['rows.ndjson:3', 'ingested'],
    ]);
    expect(results.map(({ id }) => id)).toEqual([
      ...['docs:code:run.py', 'docs:fair.md', 'docs:page.html', 'first'],
      expect.stringMatching(/^row-[0-9a-f]{32}$/),
    ]);
    const page = await server.ask('GET', '/v1/documents/docs:page.html', undefined, authorized);
    expect(page.json).toMatchObject({ title: 'People & homes', text: 'Homes\n\nThe home of Tolefi is Rasu.' });
    const row = await server.ask('GET', '/v1/documents/first?include_text=false', undefined, authorized);
    expect(row.json).toMatchObject({ title: 'First', metadata: { year: '2026' } });
    expect(row.json).not.toHaveProperty('text');
  });

  test('are skipped when they are there already; one that has changed replaces its document', async () => {
    expect(await lines('docs', 'rows.ndjson')).toMatchObject({ code: 0, summary: { ingested: 0, skipped: 5 } });
    writeFileSync(join(home, 'docs/fair.md'), '# Fairs\n\nZokego is held in Kemira now.\n');
    const { results, summary } = await lines('docs');
    expect(summary).toMatchObject({ ingested: 1, skipped: 2 });
    expect(results.find(({ status }) => status === 'ingested')).toMatchObject({ id: 'docs:fair.md' });
    const { json } = await server.ask('GET', '/v1/documents/docs:fair.md', undefined, authorized);
    expect(json.text).toContain('in Kemira now');
    expect(await lines('docs', '--force')).toMatchObject({
      summary: { ingested: 3, skipped: 0, tokens: expect.any(Number), computed: 0 },
    });
  });

  test('a row whose metadata alone has changed replaces its document', async () => {
    const row = (year: string) =>
      `{"id": "first", "title": "First", "text": "Sonako is held in Kemira.", "metadata": {"year": "${year}"}}`;
    writeFileSync(join(home, 'row.ndjson'), row('2026'));
    expect((await lines('row.ndjson')).summary).toMatchObject({ skipped: 1 });
    writeFileSync(join(home, 'row.ndjson'), row('2027'));
    expect((await lines('row.ndjson')).summary).toMatchObject({ ingested: 1, computed: 0 });
    const { json } = await server.ask('GET', '/v1/documents/first?include_text=false', undefined, authorized);
    expect(json.metadata).toMatchObject({ year: '2027' });
  });

  test('are read from standard input, too', async () => {
    const cli = startCli(['ingest', '--url', server.url, '--api-key', KEY, '-'], home);
    cli.child.stdin?.end('{"id": "piped", "text": "Dovala is held in Penuto."}\n');
    const { code, stdout } = await cli.ended;
    expect([code, stdout]).toEqual([
      0,
      expect.stringMatching(/^1 ingested \(\d+ tokens, \d+ of them prefilled\), 0 there already, 0 failed\n$/),
    ]);
  });

  test('under a salt are other documents', async () => {
    expect(await lines('docs', '--salt', 'mine')).toMatchObject({ code: 0, summary: { ingested: 3, skipped: 0 } });
  });
});

describe('what cannot be ingested', () => {
  test('is named, and ends nothing else: exit code 1', async () => {
    const { code, results, summary } = await lines('bad.ndjson', 'broken.txt');
    expect([code, summary]).toMatchObject([1, { ingested: 1, failed: 4 }]);
    expect(results.map(({ name, reason }) => [name, reason])).toEqual([
      ['bad.ndjson:1', 'it is not JSON'],
      ['bad.ndjson:2', 'it has no `text`'],
      ['bad.ndjson:3', expect.stringContaining('empty')],
      ['bad.ndjson:4', undefined],
      ['broken.txt', 'it is not UTF-8 text'],
    ]);
    const { stderr, stdout } = await ingest('broken.txt');
    expect([stderr, stdout]).toEqual([
      'broken.txt: it is not UTF-8 text\n',
      '0 ingested (0 tokens, 0 of them prefilled), 0 there already, 1 failed\n',
    ]);
  });

  test('what a folder holds beside texts is named, and fails nothing', async () => {
    mkdirSync(join(home, 'papers'));
    for (const name of ['one.pdf', 'two.pdf', 'notes.md']) writeFileSync(join(home, 'papers', name), 'Sobako.');
    const { code, stderr } = await ingest('papers');
    expect([code, stderr]).toEqual([0, 'papers: passed over 2 .pdf; a file that is named is read\n']);
  });

  test('a row whose id may name no document, or a name that is no UTF-8, fails alone; a byte order mark is no fault', async () => {
    const ids = ['"\\ud800"', '7', '".."', '""', '"sound"'];
    const rows = ids.map((id) => `{"id": ${id}, "text": "Sobako is in Limoga."}`).join('\n');
    mkdirSync(join(home, 'odd'));
    writeFileSync(join(home, 'odd/rows.ndjson'), `\ufeff${rows}\n`);
    writeFileSync(Buffer.concat([Buffer.from(join(home, 'odd/')), Buffer.from([0xff]), Buffer.from('.txt')]), 'text');
    const { code, results } = await lines('odd');
    expect(code).toBe(1);
    expect(results.map(({ name, status }) => [name, status])).toEqual([
      ...[1, 2, 3, 4].map((line) => [`odd/rows.ndjson:${line}`, 'failed']),
      ['odd/rows.ndjson:5', 'ingested'],
      ['odd/\ufffd.txt', 'failed'],
    ]);
  });

  test('a wrong key ends the run, and is not printed', async () => {
    const wrong = await ingest('docs', '--api-key', 'a-wrong-key', '--force');
    expect([wrong.code, wrong.stderr]).toEqual([1, expect.stringContaining('API key')]);
    expect(wrong.stderr + wrong.stdout).not.toContain('a-wrong-key');
  });

  test.each([
    [[], /missing required argument/],
    [['nowhere'], /nowhere: no such file or directory \(ENOENT\)/],
    [['docs', '--parallel', '0'], /--parallel/],
    [['docs', '--parallel', '1.5'], /--parallel is invalid: 1\.5 is not a whole number/],
    [['docs', '--url', 'ftp://x'], /--url/],
  ])('wrong usage is exit code 2: %j', async (argv, words) => {
    const { code, stderr } = await runCli(['ingest', ...argv], home);
    expect([code, stderr]).toEqual([2, expect.stringMatching(words)]);
  });
});
