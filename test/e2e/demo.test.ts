/** `blockstitch demo` as a newcomer runs it: with SmolLM2, without it, and over documents of one's own. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { runCli } from '../support/cli-process.js';
import { fetchSmolLM2, MODEL_CACHE } from '../support/smollm2.js';

const home = mkdtempSync(join(tmpdir(), 'blockstitch-demo-test-'));
const smollm2 = await fetchSmolLM2();
afterAll(() => rmSync(home, { recursive: true, force: true }));

const TIMEOUT_MS = 600_000;

/** A PATH whose python3 has a pip that reaches no index. */
function pathWithoutIndex(): string {
  const bin = join(home, 'bin');
  mkdirSync(bin, { recursive: true });
  const python = join(bin, 'python3');
  const version = 'echo "pip 24.2 from /x (python 3.11)"';
  writeFileSync(
    python,
    `#!/bin/sh\n[ "$3" = --version ] && ${version} && exit 0\necho "ERROR: no route to the index" >&2\nexit 1\n`,
  );
  chmodSync(python, 0o755);
  return `${bin}:${process.env['PATH']}`;
}

/** The table says that all blocks were hit in either order, and how many tokens that saved. */
function expectReuse(stdout: string): void {
  expect(stdout).toMatch(/Every block was reused, in any order, and the answer is the same/);
  const blocks = /^cold +0 of (\d+) /m.exec(stdout)?.[1];
  for (const name of ['cached', 'cached, another order']) {
    expect(stdout).toMatch(new RegExp(`^${name} +${blocks} of ${blocks} +\\d+ of \\d+ +\\d`, 'm'));
  }
  expect(stdout).toMatch(new RegExp(`^cold, that other order +0 of ${blocks} `, 'm'));
}

describe('blockstitch demo', () => {
  test(
    'takes the shipped model where SmolLM2 cannot be had, and says why in one line',
    async () => {
      const { code, stdout } = await runCli(['demo'], home, { env: { PATH: pathWithoutIndex() } });
      expect(code, stdout).toBe(0);
      const [line] = stdout.split('\n');
      expect(line).toMatch(/no route to the index.*The demo takes the shipped model instead/);
      expectReuse(stdout);
      // What the documents say is what the model answers.
      const asked = [...stdout.matchAll(/\(the documents say: (.*)\)\nA (.*)\n/g)];
      expect(asked).toHaveLength(3);
      for (const [, said, answered] of asked) expect(answered).toBe(said);
    },
    TIMEOUT_MS,
  );

  test.skipIf(smollm2 === undefined)(
    'answers in English with SmolLM2',
    async () => {
      const { code, stdout, stderr } = await runCli(['demo', '--model-cache', MODEL_CACHE], home);
      expect([code, stderr]).toEqual([0, expect.not.stringContaining('fetching')]);
      expectReuse(stdout);
      for (const answer of [/^A .*Aarhus/m, /^A .*7\.2 kilograms/m, /^A .*goggles/m]) expect(stdout).toMatch(answer);
    },
    TIMEOUT_MS,
  );

  test(
    "takes documents and questions of one's own, and refuses what it cannot read by name",
    async () => {
      const samples = join(home, 'own');
      mkdirSync(samples);
      const demo = (documents: unknown, questions = 3) => {
        const row = { question: 'Who?', answer: 'Kal.', documents };
        writeFileSync(join(samples, 'questions.json'), JSON.stringify(Array.from({ length: questions }, () => row)));
        return runCli(['demo', '--model', join(process.cwd(), 'models', 'demo'), '--samples', samples], home);
      };
      writeFileSync(join(samples, 'one.txt'), 'Kal lives in Lima.');
      expect(await demo(['one.txt'], 2)).toMatchObject({
        code: 2,
        stderr: expect.stringMatching(/questions\.json: it must be a list of three/),
      });
      expect(await demo(['two.txt'])).toMatchObject({
        code: 2,
        stderr: expect.stringMatching(/the document two\.txt cannot be read/),
      });
      expect(await demo('one.txt')).toMatchObject({ code: 2 });
      const { code, stdout } = await demo(['one.txt']);
      expect([code, stdout]).toEqual([0, expect.stringContaining('1 document, served at')]);
    },
    TIMEOUT_MS,
  );
});
