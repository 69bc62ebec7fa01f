/**
 * The clients in clients/: made anew they are what is committed; they type-check under strict settings; they ask a served
 * model through every route, streams and job events among them; the quick starts of their READMEs run as they are written.
 */
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PACKAGE_DIR } from '../../src/config.js';
import { type DemoServer, pythonWithRequirements, startDemoServer } from '../support/demo-server.js';

const KEY = 'a-key-for-clients';
const TYPESCRIPT = join(PACKAGE_DIR, 'clients', 'typescript');
const PYTHON = join(PACKAGE_DIR, 'clients', 'python');
const GENERATED = {
  typescript: join(TYPESCRIPT, 'src/generated'),
  python: join(PYTHON, 'src/blockstitch_client/generated'),
};
const python = pythonWithRequirements() ?? '';
const hasTypeScript = existsSync(join(TYPESCRIPT, 'node_modules/.bin/openapi-typescript'));
const hasPython = existsSync(join(dirname(python), 'openapi-python-client'));
const work = mkdtempSync(join(tmpdir(), 'blockstitch-clients-'));
let withKey: DemoServer;
let open: DemoServer;

beforeAll(async () => {
  withKey = await startDemoServer({ apiKeys: KEY });
  open = await startDemoServer();
});
afterAll(async () => {
  await Promise.all([withKey.close(), open.close()]);
  rmSync(work, { recursive: true, force: true });
});

async function run(cwd: string, command: string, argv: readonly string[], env: Record<string, string> = {}) {
  const variables = { ...process.env, PYTHONDONTWRITEBYTECODE: '1', BLOCKSTITCH_PYTHON: python, ...env };
  // A test of this run is not a test of the run that it starts.
  const { NODE_OPTIONS: _options, NODE_TEST_CONTEXT: _context, ...inherited } = variables as Record<string, string>;
  const ended = promisify(execFile)(command, argv, { cwd, env: inherited });
  const { stdout } = await ended.catch((failed: { stdout: string; stderr: string }) => {
    throw new Error(`${failed.stdout}${failed.stderr}`);
  });
  return stdout;
}

/** Paths of the files in a folder, with their text. */
function filesIn(folder: string): Record<string, string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter(
    (entry) => entry.isFile() && !/\.pyc$/.test(entry.name),
  );
  const paths = files.map(({ parentPath, name }) => join(parentPath, name)).sort();
  return Object.fromEntries(paths.map((path) => [relative(folder, path), readFileSync(path, 'utf8')]));
}

/** The first snippet of a README in a language, asking the server at `url`. */
function quickStart(folder: string, language: string, url: string): string {
  const snippet = new RegExp(`\`\`\`${language}\n([\\s\\S]*?)\`\`\``).exec(
    readFileSync(join(folder, 'README.md'), 'utf8'),
  );
  return (snippet?.[1] ?? '').replace('http://127.0.0.1:8080', url);
}

const live = () => ({ BLOCKSTITCH_URL: withKey.url, BLOCKSTITCH_KEY: KEY });

describe('both clients', () => {
  test.skipIf(!hasTypeScript || !hasPython)('are what their generators give (needs make clients)', async () => {
    await run(PACKAGE_DIR, 'node', ['clients/generate.mjs', '--out', work]);
    for (const [language, folder] of Object.entries(GENERATED)) {
      const made = filesIn(join(work, language));
      expect(Object.keys(made).length).toBeGreaterThan(0);
      expect(filesIn(folder), 'run make clients').toEqual(made);
    }
  });

  test('have no type with a name of 50 characters or more', () => {
    const sources = Object.values({ ...filesIn(GENERATED.typescript), ...filesIn(GENERATED.python) }).join('\n');
    const names = [...sources.matchAll(/^(?:class|export type|export interface) (\w+)/gm)].map(
      ([, name]) => name ?? '',
    );
    expect(names.length).toBeGreaterThan(100);
    expect(names.filter(({ length }) => length >= 50)).toEqual([]);
  });
});

describe.skipIf(!hasTypeScript)('the TypeScript client (needs make clients)', () => {
  test('type-checks under strict settings, and asks every route of a served model', async () => {
    const output = await run(TYPESCRIPT, 'npm', ['test'], live());
    expect(output).toMatch(/^# pass \d+$/m);
    expect(output).toMatch(/^# fail 0$/m);
  });

  beforeAll(async () => {
    await run(TYPESCRIPT, 'npm', ['run', 'build']);
  });

  test('is packed with its built files and their types, and nothing else', async () => {
    const packed = JSON.parse(await run(TYPESCRIPT, 'npm', ['pack', '--dry-run', '--json', '--ignore-scripts']));
    const paths: string[] = packed[0].files.map(({ path }: { path: string }) => path);
    expect(paths).toEqual(expect.arrayContaining(['README.md', 'dist/index.js', 'dist/index.d.ts', 'package.json']));
    expect(paths.filter((path) => !/^(dist\/[\w/-]+(\.d\.ts|\.js)|README\.md|package\.json)$/.test(path))).toEqual([]);
  });

  test('does what its README begins with', async () => {
    const folder = join(TYPESCRIPT, 'build', 'quick-start');
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'quick-start.ts'), quickStart(TYPESCRIPT, 'ts', open.url));
    const config = { extends: '../../tsconfig.json', compilerOptions: { noEmit: false }, include: ['.'] };
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config));
    await run(TYPESCRIPT, 'npx', ['tsc', '-p', folder]);
    const output = await run(TYPESCRIPT, 'node', [join(folder, 'quick-start.js')]);
    expect(output).toMatch(/done 1 of 1\nZokego is held in Limoga\.\n\d+ tokens from pool/);
  });
});

describe.skipIf(!hasPython)('the Python client (needs training/requirements.txt)', () => {
  const path = { PYTHONPATH: join(PYTHON, 'src') };

  test('type-checks under strict settings, with its tests and its README', async () => {
    const file = join(work, 'quick_start.py');
    writeFileSync(file, quickStart(PYTHON, 'python', open.url));
    const argv = ['-m', 'mypy', '--strict', '--cache-dir', join(work, 'mypy'), 'src', 'tests', file];
    expect(await run(PYTHON, python, argv)).toMatch(/Success: no issues found in \d+ source files/);
    expect(await run(PYTHON, python, [file], path)).toMatch(
      /done 1 of 1\nZokego is held in Limoga\.\n\d+ tokens from pool/,
    );
  });

  test('asks every route of a served model', async () => {
    const argv = ['-m', 'pytest', '-q', '-p', 'no:cacheprovider', 'tests'];
    const output = await run(PYTHON, python, argv, { ...path, ...live() });
    expect(output).toMatch(/\d+ passed/);
    expect(output).not.toMatch(/failed|error|skipped/);
  });
});
