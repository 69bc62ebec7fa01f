/** A file that a command writes: whole under its name, or not there; pipes and devices stay what they are. */
import { execFileSync } from 'node:child_process';
import { existsSync, lstatSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { withOutputFile } from '../../../../src/cli/stores/output-file.js';
import { emptyDisk, mayMount } from '../../../support/small-disk.js';

const home = mkdtempSync(join(tmpdir(), 'blockstitch-output-'));
afterAll(() => rmSync(home, { recursive: true, force: true }));

/** Writes so many pieces of 64 KiB. */
const write = (file: string, pieces: number) =>
  withOutputFile(file, async ({ write }) => {
    for (let piece = 0; piece < pieces; piece++) await write(Buffer.alloc(65_536, piece));
    return pieces;
  });

test('a file has its name once it is whole, and only its owner may read it', async () => {
  const file = join(home, 'whole');
  await withOutputFile(file, async ({ write }) => {
    await write(Buffer.from('one '));
    expect(existsSync(file)).toBe(false);
    await write(Buffer.from('two'));
  });
  expect([readFileSync(file, 'utf8'), statSync(file).mode & 0o777]).toEqual(['one two', 0o600]);
  expect(existsSync(`${file}.part`)).toBe(false);
});

test('what had the name before stays when the work fails', async () => {
  const file = join(home, 'before');
  writeFileSync(file, 'the old backup');
  const failing = withOutputFile(file, async ({ write }) => {
    await write(Buffer.from('half'));
    throw new Error('the store went');
  });
  await expect(failing).rejects.toThrow('the store went');
  expect([readFileSync(file, 'utf8'), existsSync(`${file}.part`)]).toEqual(['the old backup', false]);
});

test('a folder that is not there is named', async () => {
  const file = join(home, 'nowhere', 'file');
  await expect(write(file, 1)).rejects.toMatchObject({
    code: 'config_invalid',
    message: expect.stringMatching(/nowhere\/file.*ENOENT/),
  });
});

// The last piece is the hard one: a stream tells of it when it has ended.
test.skipIf(!mayMount).each([17, 16.5, 40])(
  '%d pieces on a disk for 16 leave no file, and the disk is named',
  async (pieces) => {
    const disk = emptyDisk(1);
    const file = join(disk, 'backup');
    await expect(write(file, pieces)).rejects.toMatchObject({
      code: 'config_invalid',
      message: expect.stringMatching(/backup.*ENOSPC/),
    });
    expect([existsSync(file), existsSync(`${file}.part`)]).toEqual([false, false]);
  },
);

test('a pipe gets the bytes, and stays a pipe', async () => {
  const pipe = join(home, 'pipe');
  execFileSync('mkfifo', [pipe]);
  const [read] = await Promise.all([readFile(pipe), write(pipe, 3)]);
  expect(read.length).toBe(3 * 65_536);
  expect(lstatSync(pipe).isFIFO()).toBe(true);
});

test('a device that is full is named, and stays a device', async () => {
  await expect(write('/dev/full', 1)).rejects.toMatchObject({ message: expect.stringContaining('ENOSPC') });
  expect(lstatSync('/dev/full').isCharacterDevice()).toBe(true);
});
