/**
 * schemathesis draws requests from the OpenAPI document of the served demo model, sound ones and broken ones, one by one and
 * in sequences, and holds every answer to the document. schemathesis_rules.py has what JSON Schema cannot say.
 */
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type DemoServer, pythonWithRequirements, startDemoServer } from '../support/demo-server.js';

const KEY = 'a-key-for-schemathesis';
const schemathesis = join(dirname(pythonWithRequirements() ?? ''), 'schemathesis');
const work = mkdtempSync(join(tmpdir(), 'blockstitch-schemathesis-'));
let demo: DemoServer;

beforeAll(async () => {
  // With a key, so that the document's security holds. Made-up keys are many: they must not lock the address out.
  demo = await startDemoServer({ apiKeys: KEY, maxKeyFailures: 0, defaultTokens: 4 });
});
afterAll(async () => {
  await demo.close();
  rmSync(work, { recursive: true, force: true });
});

/** It asks more than a thousand requests one by one: two minutes, and several times that on a busy machine. */
const HANGS_MS = 1_200_000;

test.skipIf(!existsSync(schemathesis))(
  'the server and its OpenAPI document agree (needs schemathesis)',
  {
    timeout: HANGS_MS,
  },
  async () => {
    const argv = [
      ...['--config-file', join(import.meta.dirname, 'schemathesis.toml')],
      ...['run', `${demo.url}/openapi.json`, '--checks', 'all', '--seed', '1'],
      ...['--header', `Authorization: Bearer ${KEY}`, '--continue-on-failure'],
    ];
    const rules = join(import.meta.dirname, 'schemathesis_rules.py');
    const env = { ...process.env, SCHEMATHESIS_HOOKS: rules, PYTHONDONTWRITEBYTECODE: '1', NO_COLOR: '1' };
    const { stdout } = await promisify(execFile)(schemathesis, argv, { cwd: work, env }).catch(
      (failed: { stdout: string; stderr: string }) => {
        throw new Error(`${failed.stdout}${failed.stderr}`);
      },
    );
    expect(stdout).toMatch(/Test cases:\s+\d{4,} generated/);
    expect(stdout).not.toMatch(/❌|Failures:|Errors:/);
    await demo.idle();
  },
);
