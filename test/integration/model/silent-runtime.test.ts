/** ONNX Runtime tells nobody about this machine: it is loaded at one place, which forbids it. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { PACKAGE_DIR } from '../../../src/config.js';

const home = mkdtempSync(join(tmpdir(), 'blockstitch-silent-'));
afterAll(() => rmSync(home, { recursive: true, force: true }));

test('only one file of ours loads it', () => {
  const files = readdirSync(join(PACKAGE_DIR, 'src'), { recursive: true, encoding: 'utf8' });
  const loading = files.filter(
    (file) =>
      file.endsWith('.ts') &&
      /import\('onnxruntime-node'\);/.test(readFileSync(join(PACKAGE_DIR, 'src', file), 'utf8')),
  );
  expect(loading).toEqual(['onnx-runtime.ts']);
});

test('a session of the segmenter writes no file and keeps no device id', () => {
  const door = join(PACKAGE_DIR, 'dist', 'src', 'onnx-runtime.js');
  const model = join(PACKAGE_DIR, 'models', 'segmenter', 'segmenter.onnx');
  const program = `
    const { loadRuntime } = await import(${JSON.stringify(door)});
    const { InferenceSession } = await loadRuntime();
    await InferenceSession.create(${JSON.stringify(model)});
    process.exit(0);`;
  const { PATH = '' } = process.env;
  // Neither CI nor a test runner is named: both would silence the runtime by themselves.
  execFileSync(process.execPath, ['--input-type=module', '-e', program], { env: { PATH, HOME: home, TMPDIR: home } });
  expect(readdirSync(home)).toEqual([]);
});
