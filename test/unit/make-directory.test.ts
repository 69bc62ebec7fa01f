import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { makeDirectory } from '../../src/make-directory.js';

const directory = mkdtempSync(join(tmpdir(), 'blockstitch-directory-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

test('a directory is made with those above it, also twice and by many at once', async () => {
  const deep = join(directory, 'a', 'b', 'c');
  await Promise.all([makeDirectory(deep), makeDirectory(deep), makeDirectory(join(directory, 'a', 'd'))]);
  await makeDirectory(deep);
  expect(existsSync(deep) && existsSync(join(directory, 'a', 'd'))).toBe(true);
});

test('a path below a file is refused by name', async () => {
  const file = join(directory, 'file');
  writeFileSync(file, '');
  await expect(makeDirectory(file)).rejects.toThrow(`${file} is not a directory`);
  await expect(makeDirectory(join(file, 'below'))).rejects.toThrow(`${file} is not a directory`);
});

test('a file system that takes no directories refuses at once', async () => {
  await expect(makeDirectory('/proc/blockstitch/store')).rejects.toMatchObject({ code: 'ENOENT' });
});
