/** `blockstitch eval` as a user runs it: the demo model, its own server, answers kept and gone on from. */
import { appendFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runCli, startCli } from '../../support/cli-process.js';

const home = mkdtempSync(join(tmpdir(), 'blockstitch-eval-'));
const data = join(home, 'fairs.jsonl');
const answers = join(home, 'answers.jsonl');
const plot = join(home, 'plot.svg');
const documents = [{ text: 'The Zokego fair is held in Lima.' }, { text: 'The host of the Zokego fair is Sobako.' }];

beforeAll(() => {
  const rows = [
    { id: 'place', question: 'Where is the Zokego fair held?', answers: ['Lima'], documents },
    { id: 'host', question: 'Who hosts the Zokego fair?', answers: ['Sobako'], documents: [...documents].reverse() },
    { id: 'long', question: 'Why?', answers: ['x'], documents: [{ text: 'The fair is held in Lima. '.repeat(1500) }] },
  ];
  writeFileSync(data, rows.map((row) => JSON.stringify(row)).join('\n'));
});
afterAll(() => rmSync(home, { recursive: true, force: true }));

const evaluate = (...flags: string[]) =>
  runCli(['eval', '--data', data, '--new-tokens', '4', '--kv-memory', '64MiB', '--answers', answers, ...flags], home);

test('asks in every mode, keeps the answers, leaves out what does not fit, and draws', async () => {
  const { code, stdout, stderr } = await evaluate('--json', '--plot', plot);
  expect([code, stderr]).toEqual([0, expect.stringContaining('9 of 9 answers')]);
  const { model, data: summaries } = JSON.parse(stdout);
  expect(model).toBe('demo, int8 weights, float16 KV');
  const [{ rows, skipped, modes }] = summaries;
  expect([rows, skipped]).toEqual([2, 1]);
  expect(modes.map(({ mode }: { mode: string }) => mode)).toEqual(['full', 'block', 'repair']);
  const [full, block] = modes;
  expect(full.computedTokens.value).toBe(full.promptTokens);
  expect(block.computedTokens.value).toBeLessThan(full.computedTokens.value / 2);
  expect(block.coldTtftMs.value).toBeGreaterThan(0);
  expect(readFileSync(plot, 'utf8').match(/<circle/g)).toHaveLength(3);
  expect(readFileSync(answers, 'utf8').trim().split('\n')).toHaveLength(10);
});

test('goes on from what is kept, also behind a line that was cut short, and refuses the answers of another run', async () => {
  const before = readFileSync(answers, 'utf8');
  appendFileSync(answers, '{"data":"fairs","row":"pl');
  const { code, stdout } = await evaluate('--limit', '2', '--modes', 'block,full');
  expect([code, stdout]).toEqual([0, expect.stringMatching(/^fairs: 2 rows\nmode.*\nfull .*\nblock /)]);
  expect(readFileSync(answers, 'utf8')).toBe(before);
  const other = await evaluate('--system', 'Be brief.');
  expect([other.code, other.stderr]).toEqual([2, expect.stringContaining('the answers of another run')]);
});

test('asks in further orders of the documents, beside what is kept', async () => {
  const { code, stdout } = await evaluate('--limit', '2', '--modes', 'block', '--orders', '3', '--json');
  expect(code).toBe(0);
  const [{ rows, modes, orders }] = JSON.parse(stdout).data;
  expect([rows, orders.length, orders[0].mode]).toEqual([2, 1, 'block']);
  expect(orders[0].contains).toHaveLength(3);
  expect(orders[0].contains[0]).toBe(modes[0].contains.value);
  // Nine answers, and two rows in two more orders.
  expect(readFileSync(answers, 'utf8').trim().split('\n')).toHaveLength(1 + 9 + 4);
});

test('a signal leaves nothing behind, neither its store nor files of the runtime', async () => {
  const temporary = join(home, 'temporary');
  mkdirSync(temporary);
  const cli = startCli(['eval', '--data', data, '--limit', '2', '--orders', '100', '--kv-memory', '64MiB'], home, {
    TMPDIR: temporary,
  });
  await cli.said(/ of \d+ answers/);
  expect(readdirSync(temporary)).toEqual([expect.stringMatching(/^blockstitch-eval-/)]);
  cli.child.kill('SIGINT');
  await cli.ended;
  expect([cli.child.signalCode, readdirSync(temporary)]).toEqual(['SIGINT', []]);
});

test.each([
  [['--modes', 'half'], /--modes is invalid: "half" is not one of full, block, repair/],
  [['--data', join(home, 'none.jsonl')], /--data is invalid: .*none\.jsonl cannot be read/],
  [['--repair', '2'], /--repair is invalid: 2 is not a number from 0 to 1/],
  [['--limit', '0'], /--limit is invalid/],
  [['--orders', '0'], /--orders is invalid/],
  [['--orders', '1.5'], /--orders is invalid: 1\.5 is not a whole number/],
])('%j is refused in one line', async (flags, words) => {
  const { code, stderr } = await evaluate(...flags);
  expect([code, stderr]).toEqual([2, expect.stringMatching(words)]);
});
