/**
 * The shape of the tree: which rooms may import which, no circle of imports, no file that is too long, no dependency
 * that nothing imports. The lint rules are tried on files of a directory of their own.
 */
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PACKAGE_DIR } from '../../src/config.js';

const MOST_LINES = 400;
/** Rules that a wrong import breaks. */
const RULES = ['lint/style/noRestrictedImports', 'lint/suspicious/noImportCycles'];

/** File, what it imports, whether it may. */
const IMPORTS: readonly (readonly [string, string, boolean])[] = [
  ['src/engine/host/a.ts', '../worker/engine-core.js', false],
  ['src/engine/host/b.ts', '../schedule/scheduler.js', false],
  ['src/engine/host/c.ts', '../wire/messages.js', true],
  ['src/engine/host/d.ts', '../../cache/block-cache.js', true],
  ['src/engine/host/e.ts', '../../cache/lmdb-store.js', false],
  ['src/engine/worker/a.ts', '../host/engine-host.js', false],
  ['src/engine/worker/b.ts', '../wire/messages.js', true],
  ['src/engine/worker/c.ts', '../schedule/scheduler.js', true],
  ['src/engine/wire/a.ts', '../host/engine-host.js', false],
  ['src/engine/wire/b.ts', '../worker/engine-core.js', false],
  ['src/engine/a.ts', '../cache/lmdb-store.js', false],
  ['src/engine/b.ts', '../cache/redis-store.js', false],
  ['src/engine/c.ts', '../cache/connect-redis.js', false],
  ['src/engine/d.ts', 'ioredis', false],
  ['src/engine/e.ts', 'lmdb', false],
  ['src/engine/f.ts', '../cache/tiers.js', true],
  ['src/engine/g.ts', '../server/app.js', false],
  ['src/engine/host/f.ts', 'ioredis', false],
  ['src/engine/worker/d.ts', 'lmdb', false],
  ['src/engine/worker/e.ts', 'onnxruntime-node', true],
  ['src/engine/wire/c.ts', 'ioredis', false],
  ...(['schedule', 'repair', 'sampling'] as const).flatMap(
    (room) =>
      [
        [`src/engine/${room}/a.ts`, 'node:fs', false],
        [`src/engine/${room}/b.ts`, 'node:worker_threads', false],
        [`src/engine/${room}/c.ts`, '../host/engine-host.js', false],
        [`src/engine/${room}/d.ts`, '../worker/engine-core.js', false],
        [`src/engine/${room}/e.ts`, 'ioredis', false],
        [`src/engine/${room}/f.ts`, '../../cache/tiers.js', true],
        [`src/engine/${room}/g.ts`, '../engine.js', true],
      ] as const,
  ),
  ['src/cache/a.ts', '../engine/engine.js', false],
  ['src/engine/i.ts', 'bullmq', false],
  ['src/cache/b.ts', 'ioredis', true],
  ['src/documents/c.ts', 'bullmq', true],
  ['src/documents/a.ts', '../server/services.js', false],
  ['src/documents/b.ts', '../engine/engine.js', true],
  ['src/text/a.ts', '../segment/segmenter.js', false],
  ['src/text/b.ts', '../gguf/gguf-file.js', true],
  ['src/model/a.ts', '../gguf/gguf-file.js', true],
  ['src/gguf/a.ts', '../text/tokenizer.js', false],
  ['src/gguf/b.ts', '../model/checkpoint.js', false],
  ['src/prompt/a.ts', '../gguf/gguf-file.js', false],
  ['src/prompt/b.ts', '../tools/call-notation.js', true],
  ['src/tools/a.ts', '../prompt/chat-messages.js', false],
  ['src/tools/b.ts', 'node:fs', false],
  ['src/grammar/a.ts', '../tools/call-notation.js', false],
  ['src/engine/h.ts', '../tools/call-notation.js', false],
  ['src/server/a.ts', '../cli/terminal.js', false],
  ['src/server/b.ts', '../documents/document-record.js', true],
  ['src/server/playground/page/a.ts', '../../services.js', false],
  ['src/server/playground/page/b.ts', 'node:fs', false],
  ['src/server/playground/page/c.ts', './words.js', true],
  // A circle, of types only.
  ['src/server/circle-one.ts', './circle-two.js', false],
  ['src/server/circle-two.ts', './circle-one.js', false],
];

const directory = mkdtempSync(join(tmpdir(), 'blockstitch-layout-'));
const broken = new Set<string>();

beforeAll(() => {
  copyFileSync(join(PACKAGE_DIR, 'biome.json'), join(directory, 'biome.json'));
  for (const [file, from] of IMPORTS) {
    mkdirSync(dirname(join(directory, file)), { recursive: true });
    writeFileSync(join(directory, file), `import type { A } from '${from}';\n\nexport type B = A;\n`);
  }
  const biome = join(PACKAGE_DIR, 'node_modules', '.bin', 'biome');
  const argv = ['lint', '--vcs-enabled=false', '--max-diagnostics=none', '--reporter=json', '.'];
  const { stdout } = spawnSync(biome, argv, { cwd: directory, encoding: 'utf8' });
  const { diagnostics } = JSON.parse(stdout) as {
    diagnostics: { category: string; location: { path: string | { file: string } } }[];
  };
  for (const { category, location } of diagnostics) {
    const path = typeof location.path === 'string' ? location.path : location.path.file;
    if (RULES.includes(category)) broken.add(path.replace(/^\.\//, ''));
  }
});
afterAll(() => {
  rmSync(directory, { recursive: true, force: true });
});

describe('the lint rules', () => {
  test.each(IMPORTS.filter(([, , may]) => may))('%s may import %s', (file) => {
    expect(broken).not.toContain(file);
  });

  test.each(IMPORTS.filter(([, , may]) => !may))('%s may not import %s', (file) => {
    expect(broken).toContain(file);
  });
});

const sources = (readdirSync(join(PACKAGE_DIR, 'src'), { recursive: true }) as string[]).filter((name) =>
  name.endsWith('.ts'),
);
const read = (name: string) => readFileSync(join(PACKAGE_DIR, name), 'utf8');

test(`no file of src has more than ${MOST_LINES} lines`, () => {
  const styles = (readdirSync(join(PACKAGE_DIR, 'src'), { recursive: true }) as string[]).filter((name) =>
    name.endsWith('.css'),
  );
  const long = [...sources, ...styles].filter((name) => read(join('src', name)).split('\n').length - 1 > MOST_LINES);
  expect(long).toEqual([]);
});

test('every dependency is used, and docs/dependencies.md says why it is there', () => {
  const { dependencies } = JSON.parse(read('package.json')) as { dependencies: Record<string, string> };
  const text = sources.map((name) => read(join('src', name))).join('\n') + read('kernels/build.mjs');
  const why = read('docs/dependencies.md');
  const names = Object.keys(dependencies);
  expect(names.filter((name) => !text.includes(`'${name}'`) && !text.includes(`'${name}/`))).toEqual([]);
  expect(names.filter((name) => !why.includes(name))).toEqual([]);
});
