/** The commands as a user runs them, each in a process of its own: output, exit codes, faults named in one line. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PACKAGE_DIR, SETTINGS } from '../../../src/config.js';
import type { Setting } from '../../../src/setting-kinds.js';
import { type CliResult, runCli, startCli } from '../../support/cli-process.js';
import { startRedis } from '../../support/redis-server.js';

const COMMANDS = ['serve', 'ask', 'demo', 'eval', 'ingest', 'segment', 'import', 'pull', 'bench', 'doctor', 'openapi'];
const home = mkdtempSync(join(tmpdir(), 'blockstitch-cli-'));
const fair = join(home, 'fair.txt');
const people = join(home, 'people.txt');
const broken = join(home, 'broken.txt');

const run = (...argv: string[]) => runCli(argv, home);

beforeAll(() => {
  writeFileSync(fair, 'The Zokego fair is held in Lima. The host of the Zokego fair is Sobako.\n');
  writeFileSync(people, 'Tolefi works as a baker.\n\nThe home of Tolefi is Rasu.\n');
  writeFileSync(broken, Buffer.from([0x61, 0xff, 0xfe]));
});
afterAll(() => {
  rmSync(home, { recursive: true, force: true });
});

/** Exit code 2, one line that says what is wrong, and no stack. */
function expectUsageError({ code, stderr }: CliResult, words: RegExp): void {
  expect([code, stderr]).toEqual([2, expect.stringMatching(words)]);
  expect(stderr).not.toMatch(/\bat .*\.js:\d+/);
}

describe('blockstitch', () => {
  test('lists its commands and exit codes', async () => {
    const { code, stdout } = await run('--help');
    expect(code).toBe(0);
    for (const command of COMMANDS) expect(stdout).toMatch(new RegExp(`^ {2}${command}\\b`, 'm'));
    expect(stdout).toContain('Exit codes: 0 done, 1 failed, 2 wrong usage or settings.');
  });

  test.each(COMMANDS)('%s --help explains itself', async (command) => {
    const { code, stdout } = await run(command, '--help');
    expect([code, stdout]).toEqual([0, expect.stringContaining(`Usage: blockstitch ${command}`)]);
  });

  test('ends without a word when nobody reads its output any more, as `| head` does', async () => {
    const { child, ended } = startCli(['eval', '--help'], home);
    child.stdout?.destroy();
    expect(await ended).toEqual({ code: 141, stdout: '', stderr: '' });
  });

  test('serve --help has every setting with its environment name', async () => {
    const { stdout } = await run('serve', '--help');
    const text = stdout.replace(/\s+/g, ' ');
    for (const { flag, env } of Object.values<Setting>(SETTINGS)) {
      if (flag === null || env.startsWith('HF_')) continue;
      expect(text).toContain(`${flag} <`);
      expect(text).toContain(`env ${env}`);
    }
  });

  test('takes neither unknown commands nor unknown flags nor wrong settings', async () => {
    expectUsageError(await run('frobnicate'), /unknown command 'frobnicate'/);
    expectUsageError(await run('serve', '--frobnicate'), /unknown option '--frobnicate'/);
    expectUsageError(await run('ask'), /missing required argument 'question'/);
    expectUsageError(await run('serve', '--kv-memory', 'much'), /--kv-memory is invalid: "much" is not a size/);
    expectUsageError(await run('serve', '--port', '70000'), /--port is invalid: 70000 is not between 0 and 65535/);
    expectUsageError(await run('serve', '--weights', 'int3'), /Allowed choices are fp32, int8, int4/);
    expectUsageError(await run('ask', 'Why?', '--new-tokens', 'many'), /--new-tokens is invalid: many is not a number/);
    expectUsageError(await run('segment', fair, '--granularity', '2'), /--granularity is invalid: 2 is not a number/);
    const fromEnv = await runCli(['serve'], home, { env: { BLOCKSTITCH_PORT: 'x' } });
    expectUsageError(fromEnv, /--port is invalid/);
  });
});

describe('blockstitch ask', () => {
  test('prints the answer, its blocks with hit or miss, and the TTFT; the next one finds them in the store', async () => {
    const cold = await run('ask', 'Who hosts the Zokego fair?', fair, people, '--new-tokens', '8');
    expect([cold.code, cold.stderr]).toEqual([0, '']);
    expect(cold.stdout).toMatch(/^miss +computed +document +\d+ +[0-9a-f]{12}$/m);
    expect(cold.stdout).toMatch(/TTFT [\d.]+ m?s, 0 of \d+ document blocks hit, 0 of \d+ prompt tokens cached/);
    const warm = await run('ask', 'Who hosts the Zokego fair?', people, fair, '--new-tokens', '8');
    expect([warm.code, warm.stderr]).toEqual([0, '']);
    expect(warm.stdout).toMatch(/^hit +lmdb +document/m);
    expect(warm.stdout).not.toMatch(/^miss +computed +document/m);
  });

  test('prints JSON that says the same', async () => {
    const { code, stdout } = await run('ask', 'Where?', fair, '--json', '--new-tokens', '4');
    const answer = JSON.parse(stdout);
    expect(code).toBe(0);
    expect(answer).toMatchObject({ answer: expect.any(String), attention: 'block' });
    expect(answer.blocks.map(({ kind }: { kind: string }) => kind)).toContain('document');
    expect(answer.usage.total_tokens).toBe(answer.usage.prompt_tokens + answer.usage.completion_tokens);
  });

  test('repairs a share of the cached tokens, and attends as it is told', async () => {
    const ask = async (...flags: string[]) => {
      const { stdout } = await run('ask', 'Where?', fair, people, '--json', '--new-tokens', '2', ...flags);
      return JSON.parse(stdout) as { attention: string; blocks: { repaired_tokens: number }[] };
    };
    const repairedBy = ({ blocks }: Awaited<ReturnType<typeof ask>>) => blocks.map((each) => each.repaired_tokens > 0);
    const repaired = await ask('--repair', '0.2', '--repair-by', 'deviation');
    expect([repaired.attention, repairedBy(repaired)]).toEqual(['block', [false, true]]);
    expect((await ask('--attention', 'full')).attention).toBe('full');
    expectUsageError(
      await run('ask', 'Where?', fair, '--repair', '2'),
      /--repair is invalid: "2" is neither auto nor a number from 0 to 1/,
    );
  });

  test('says which file or server is wrong', async () => {
    const missing = await run('ask', 'Why?', join(home, 'none.txt'));
    expect([missing.code, missing.stderr]).toEqual([1, expect.stringMatching(/none\.txt.*ENOENT/)]);
    const bytes = await run('ask', 'Why?', broken);
    expect([bytes.code, bytes.stderr]).toEqual([1, expect.stringMatching(/broken\.txt.*not valid/)]);
    const nobody = await run('ask', 'Why?', '--url', 'http://127.0.0.1:9');
    expect([nobody.code, nobody.stderr]).toEqual([1, expect.stringMatching(/127\.0\.0\.1:9: .*ECONNREFUSED|bad port/)]);
  });
});

describe('blockstitch import', () => {
  test('converts once and then finds it there', async () => {
    const first = await run('import', '--weights', 'int4', '--json');
    expect([first.code, JSON.parse(first.stdout).cached]).toEqual([0, false]);
    const second = await run('import', '--weights', 'int4', '--json');
    expect(JSON.parse(second.stdout)).toEqual({ ...JSON.parse(first.stdout), cached: true });
    const { stdout } = await run('import', '--weights', 'int4');
    expect(stdout).toMatch(/^demo: llama, \d+ layers, int4, was there already/);
  });

  test('says why a directory is not a checkpoint', async () => {
    const { code, stderr } = await run('import', join(home, 'nowhere'));
    expect([code, stderr]).toEqual([1, expect.stringMatching(/checkpoint .*nowhere cannot be used: /)]);
    expect(stderr).toMatch(/Point --model at a complete Hugging Face directory/);
  });
});

describe('blockstitch segment', () => {
  test('prints spans that cover the text, from a file or from standard input', async () => {
    const text = readFileSync(people, 'utf8');
    const fromFile = await run('segment', people, '--json', '--target-tokens', '16');
    const spans = JSON.parse(fromFile.stdout) as { start: number; end: number }[];
    expect(spans.map(({ start, end }) => text.slice(start, end)).join('')).toBe(text);
    const piped = await runCli(['segment', '--json', '--target-tokens', '16'], home, { input: text });
    expect([piped.code, piped.stdout]).toEqual([0, fromFile.stdout]);
    const shown = await run('segment', people);
    expect(shown.stdout).toMatch(/--- block 1: \d+ tokens, boundary \d\.\d\d\n/);
    expect(shown.stdout).toMatch(/\d+ blocks?, \d+ tokens\n$/);
  });

  test('refuses a file that is not UTF-8', async () => {
    const { code, stderr } = await run('segment', broken);
    expect([code, stderr]).toEqual([1, expect.stringMatching(/broken\.txt/)]);
  });
});

describe('blockstitch doctor', () => {
  test('checks everything that the server needs', async () => {
    const { code, stdout } = await run('doctor');
    expect(code).toBe(0);
    for (const check of ['Node', 'native kernels', 'ONNX Runtime', 'model', 'store']) {
      expect(stdout).toMatch(new RegExp(`^ok +${check}: `, 'm'));
    }
  });

  test('fails and says what to do if something is missing', async () => {
    const { code, stdout } = await run('doctor', '--model', home, '--redis-url', 'redis://127.0.0.1:9');
    expect(code).toBe(1);
    expect(stdout).toMatch(/^FAIL model: .* it has no config\.json .*Point --model at/m);
    expect(stdout).toMatch(/^FAIL store: Redis (cannot be reached|does not answer).*: check REDIS_URL/m);
    expect(stdout).toMatch(/^ok +Node/m);
  });

  test('names a password that Redis refuses, and does not print it', async () => {
    const redis = await startRedis(undefined, ['--requirepass', 'right']);
    const { code, stdout, stderr } = await run('doctor', '--redis-url', redis.url.replace('//', '//:wrong-secret@'));
    await redis.stop();
    expect([code, stdout]).toEqual([1, expect.stringMatching(/^FAIL store: .*WRONGPASS.*: check REDIS_URL/m)]);
    expect(stdout + stderr).not.toContain('wrong-secret');
  });
});

describe('blockstitch openapi', () => {
  test('prints the document that the repository holds', async () => {
    const { code, stdout } = await run('openapi');
    expect(code).toBe(0);
    expect(stdout).toBe(readFileSync(join(PACKAGE_DIR, 'openapi', 'openapi.json'), 'utf8'));
    expect((await run('openapi', '--check')).code).toBe(0);
  });
});

describe('blockstitch bench', () => {
  test('lists the benches, and refuses one that does not exist', async () => {
    const { code, stdout } = await run('bench');
    expect(code).toBe(0);
    expect(stdout).not.toBe('');
    expect((await run('bench', 'frobnicate')).code).not.toBe(0);
  });
});
