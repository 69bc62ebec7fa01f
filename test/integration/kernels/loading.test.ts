/** Messages for a user if the native kernels cannot be loaded or built. */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { PACKAGE_DIR } from '../../../src/config.js';

const LOADER = JSON.stringify(join(PACKAGE_DIR, 'dist/src/kernels/load-addon.js'));

/** @returns what a process of its own prints when it loads the addon after `before` ran */
function load(before: string): string {
  const script = `${before}
    const { loadAddon } = await import(${LOADER});
    try { loadAddon(); console.log('loaded'); } catch (error) { console.log(error.code + ': ' + error.message); }`;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    cwd: PACKAGE_DIR,
    encoding: 'utf8',
  });
  expect(stderr).toBe('');
  return stdout.trim();
}

/** Builds a copy of kernels/ that nobody has configured yet. */
function build(env: NodeJS.ProcessEnv) {
  const directory = mkdtempSync(join(tmpdir(), 'blockstitch-build-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const filter = (path: string) => !/kernels\/build(-|$)/.test(path);
  cpSync(join(PACKAGE_DIR, 'kernels'), join(directory, 'kernels'), { recursive: true, filter });
  symlinkSync(join(PACKAGE_DIR, 'node_modules'), join(directory, 'node_modules'));
  const script = join(directory, 'kernels', 'build.mjs');
  return spawnSync(process.execPath, [script], { env, encoding: 'utf8' });
}

test('the addon loads in a process of its own', () => {
  expect(load('')).toBe('loaded');
});

test('an addon that comes after onnxruntime-node is refused, with a remedy', () => {
  expect(load("await import('onnxruntime-node');")).toMatch(
    /^native_unavailable: .*onnxruntime-node was loaded before the addon; call loadAddon\(\) first/,
  );
});

test('a machine without CMake is told what to install', () => {
  const empty = mkdtempSync(join(tmpdir(), 'blockstitch-path-'));
  onTestFinished(() => rmSync(empty, { recursive: true, force: true }));
  mkdirSync(join(empty, 'bin'));
  const { status, stderr } = build({ PATH: join(empty, 'bin') });
  expect(status).toBe(1);
  expect(stderr).toMatch(/cmake is needed to build the native kernels/);
  expect(stderr).toMatch(/apt-get install cmake g\+\+ make/);
});

test('a machine without a compiler is told what to install', () => {
  const { PATH } = process.env;
  const { status, stderr } = build({ PATH, CC: '/nowhere/cc', CXX: '/nowhere/c++' });
  expect(status).toBe(1);
  expect(stderr).toMatch(/\/nowhere\/c\+\+/);
  expect(stderr).toMatch(/apt-get install cmake g\+\+ make/);
});
