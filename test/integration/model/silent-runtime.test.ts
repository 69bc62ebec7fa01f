/** ONNX Runtime tells nobody about this machine: it is loaded at one place, which forbids it. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { PACKAGE_DIR } from '../../../src/config.js';

const root = mkdtempSync(join(tmpdir(), 'blockstitch-silent-'));
const [home, temporary, work] = ['home', 'temporary', 'work'].map((name) => join(root, name)) as [
  string,
  string,
  string,
];
for (const directory of [home, temporary, work]) mkdirSync(directory);
afterAll(() => rmSync(root, { recursive: true, force: true }));

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
  runSilently(['--input-type=module', '-e', program]);
});

/** Commands that load it in threads of their own, whose variables the library does not read. */
test.each([
  ['segment', 'text.txt'],
  ['ask', 'Where is Ada?', 'text.txt', '--new-tokens', '2'],
])('`blockstitch %s` does neither', (...argv) => {
  writeFileSync(join(work, 'text.txt'), 'Ada is in Rome. She likes it there.');
  runSilently([join(PACKAGE_DIR, 'dist', 'src', 'cli', 'main.js'), ...argv]);
});

/** @throws where the process fails, or leaves the runtime's files */
function runSilently(argv: readonly string[]): void {
  const { PATH = '' } = process.env;
  // Neither CI nor a test runner is named: both would silence the runtime by themselves.
  execFileSync(process.execPath, [...argv], { cwd: work, env: { PATH, HOME: home, TMPDIR: temporary } });
  expect(readdirSync(temporary)).toEqual([]);
  expect(readdirSync(home, { recursive: true }).filter((file) => /onnxruntime|Microsoft/.test(String(file)))).toEqual(
    [],
  );
}
