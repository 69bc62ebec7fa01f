/**
 * An environment may end at any moment: the server's process on SIGTERM, a text worker when its pool is closed. Native
 * work in flight must then end with it. It must never end the process by a signal.
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';

/** Ninety processes or workers, also on a machine that has other work. */
const BUSY_MS = 600_000;

const CHILD = join(import.meta.dirname, 'teardown-child.mjs');

/** How a process of its own ends, and what it prints. */
function run(mode: string): Promise<{ code: number | null; signal: string | null; output: string }> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [CHILD, mode]);
    let output = '';
    child.stdout.on('data', (data) => {
      output += data;
    });
    child.stderr.on('data', (data) => {
      output += data;
    });
    child.on('close', (code, signal) => resolve({ code, signal, output: output.trim() }));
  });
}

test.each([
  ['is terminated with page copies in flight', 'terminate'],
  ['is terminated in the middle of a call', 'terminate-in-call'],
  ['is terminated while it starts copies', 'terminate-while-starting'],
  ['exits with page copies in flight', 'exit-in-worker'],
  ['fails with page copies in flight', 'throw-in-worker'],
  ['comes to its end with page copies in flight', 'natural-end-of-worker'],
])(
  'thirty times a worker %s, and the process goes on',
  async (_, mode) => {
    expect(await run(mode)).toEqual({ code: 0, signal: null, output: '30 workers ended' });
  },
  BUSY_MS,
);

test.each([
  ['exits with page copies in flight', 'exit'],
  ['comes to its end with page copies in flight', 'natural-end'],
  ['exits while its workers call the addon', 'exit-with-workers'],
])(
  'thirty times a process %s, and its exit code is 0',
  async (_, mode) => {
    for (let round = 0; round < 30; round++) expect(await run(mode)).toEqual({ code: 0, signal: null, output: '' });
  },
  BUSY_MS,
);
