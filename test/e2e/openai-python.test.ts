/** Runs test_openai_client.py, the official Python client's tests, against the served demo model. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type DemoServer, pythonWithRequirements, startDemoServer } from '../support/demo-server.js';

const python = pythonWithRequirements();
let demo: DemoServer;

beforeAll(async () => {
  demo = await startDemoServer();
});
afterAll(async () => {
  await demo.close();
});

test.skipIf(python === undefined)(
  'the official openai package for Python chats, streams and raises its own exceptions',
  async () => {
    const file = join(import.meta.dirname, 'test_openai_client.py');
    const argv = ['-m', 'pytest', '-q', '-p', 'no:cacheprovider', file];
    const env = { ...process.env, BLOCKSTITCH_URL: demo.url, PYTHONDONTWRITEBYTECODE: '1' };
    const { stdout } = await promisify(execFile)(python ?? '', argv, { env }).catch((error: { stdout: string }) => {
      throw new Error(error.stdout);
    });
    expect(stdout).toMatch(/\d+ passed/);
    expect(stdout).not.toMatch(/failed|error|skipped/);
    await demo.idle();
  },
);
