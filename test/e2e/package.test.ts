/**
 * The package as a user installs it: packed, put into an empty prefix without install scripts, and served from there. Its
 * kernels come with it; where they do not fit the machine, the command that it names builds them.
 */
import { type ExecFileOptions, execFile } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PACKAGE_DIR } from '../../src/config.js';
import { startProgram } from '../support/cli-process.js';

const MIB = 2 ** 20;
const work = mkdtempSync(join(tmpdir(), 'blockstitch-package-'));
const prefix = join(work, 'prefix');
const installed = join(prefix, 'lib', 'node_modules', 'blockstitch');
const program = join(prefix, 'bin', 'blockstitch');

interface Packed {
  filename: string;
  files: { path: string; size: number }[];
}

/** @throws Error with what the command said */
async function run(command: string, argv: readonly string[], options: ExecFileOptions = {}): Promise<string> {
  // What npm tells its scripts of this checkout is not for the npm that is run here.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('npm_')));
  const ended = promisify(execFile)(command, argv, { cwd: work, maxBuffer: 64 * MIB, env, ...options });
  const { stdout } = await ended.catch((failed: { stdout: string; stderr: string; message: string }) => {
    throw new Error(`${failed.message}\n${failed.stdout}${failed.stderr}`);
  });
  return String(stdout);
}

let packed: Packed;
/** Why it could not be installed, if the index of packages cannot be reached. */
let offline: string | undefined;

beforeAll(async () => {
  // Built already, by make; the package's own prepack would build again beside running tests.
  const said = await run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', work], {
    cwd: PACKAGE_DIR,
  });
  [packed] = JSON.parse(said) as [Packed];
  const argv = ['install', '--global', '--prefix', prefix, '--ignore-scripts', '--prefer-offline', '--no-audit'];
  try {
    await run('npm', [...argv, join(work, packed.filename)]);
  } catch (error) {
    if (!/ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ENOTCACHED/.test((error as Error).message)) throw error;
    offline = 'the index of packages cannot be reached';
  }
});
afterAll(() => rmSync(work, { recursive: true, force: true }));

test('the package holds what serving needs and no leftovers of builds and tests', () => {
  const names = packed.files.map(({ path }) => path);
  for (const needed of ['dist/src/cli/main.js', 'kernels/build/blockstitch.node', 'models/demo/config.json']) {
    expect(names).toContain(needed);
  }
  const leftovers = /tsbuildinfo|\.map$|\.d\.ts$|CMakeCache|\.o$|_test|^test\/|^training\/|^clients\//;
  expect(names.filter((name) => leftovers.test(name))).toEqual([]);
  const bytes = packed.files.filter(({ path }) => !path.startsWith('models/'));
  // Unpacked; the file that is sent is smaller.
  expect(bytes.reduce((sum, { size }) => sum + size, 0)).toBeLessThan(7 * MIB);
});

describe('installed into an empty prefix', () => {
  test('it serves, and answers over documents', async (context) => {
    if (offline) return context.skip(offline);
    const server = startProgram(program, ['serve', '--port', '0'], work);
    try {
      const [, url] = await server.said(/ready: (http:\S+)\/docs/);
      const body = {
        messages: [{ role: 'user', content: 'Who are you?' }],
        documents: ['A text.'],
        max_tokens: 4,
      };
      const response = await fetch(`${url}/v1/chat/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
      expect(response.status).toBe(200);
      expect(await response.json()).toMatchObject({ blockstitch: { attention: 'block' } });
      expect((await fetch(`${url}/`)).headers.get('content-type')).toContain('text/html');
    } finally {
      server.child.kill('SIGTERM');
    }
    expect((await server.ended).code).toBe(0);
  });

  test('without usable kernels it names the command that builds them, and that command does', async (context) => {
    if (offline) return context.skip(offline);
    const addon = join(installed, 'kernels', 'build', 'blockstitch.node');
    writeFileSync(addon, 'of another machine');
    const broken = await startProgram(program, ['serve', '--port', '0'], work).ended;
    expect(broken.code).toBe(1);
    const [, script = ''] = /it is built for this machine by node (\S+build\.mjs)/.exec(broken.stderr) ?? [];
    expect(existsSync(script), broken.stderr).toBe(true);
    // Without optimization it takes two thirds of the time.
    await run(process.execPath, [script], { env: { ...process.env, CMAKE_BUILD_TYPE: 'Debug' } });
    const doctor = await startProgram(program, ['doctor'], work).ended;
    expect([doctor.code, doctor.stdout + doctor.stderr]).toEqual([0, expect.stringContaining('kernels')]);
  });
});
