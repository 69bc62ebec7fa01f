import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RandomShape, writeRandomCheckpoint } from '../../../bench/random-checkpoint.js';
import { acquireImportLock } from '../../../src/model/import-lock.js';
import { type ImportProgress, importModel } from '../../../src/model/import-model.js';
import type { WeightFormat } from '../../../src/model/imported-model.js';

const root = mkdtempSync(join(tmpdir(), 'blockstitch-import-'));
const tiny = join(root, 'tiny');
let caches = 0;
const freshCache = () => join(root, `cache-${++caches}`);

beforeAll(() => writeRandomCheckpoint(tiny, 'tiny'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

async function imported(checkpointDir: string, cacheDir: string, weights: WeightFormat = 'fp32') {
  const progress: ImportProgress[] = [];
  const model = await importModel({ checkpointDir, weights, cacheDir, onProgress: (each) => progress.push(each) });
  return { model, progress, last: progress.at(-1), directory: dirname(model.graphPath) };
}

describe('an import', () => {
  test('is found again by its fingerprint, and done anew for other weights or another format', async () => {
    const cache = freshCache();
    const first = await imported(tiny, cache);
    expect(first.last).toMatchObject({ phase: 'done', cached: false });
    const again = await imported(tiny, cache);
    expect(again.last).toMatchObject({ phase: 'done', cached: true });
    expect(again.model).toEqual(first.model);
    const int8 = await imported(tiny, cache, 'int8');
    expect(int8.model.fingerprint).not.toBe(first.model.fingerprint);
    const other = join(root, 'other');
    await writeRandomCheckpoint(other, { ...TINY, seed: 2 });
    expect((await imported(other, cache)).model.fingerprint).not.toBe(first.model.fingerprint);
    const renamed = join(root, 'renamed');
    await writeRandomCheckpoint(renamed, 'tiny');
    expect((await imported(renamed, cache)).model.fingerprint).toBe(first.model.fingerprint);
  });

  test('that was damaged in the cache is done again', async () => {
    const cache = freshCache();
    const { directory } = await imported(tiny, cache, 'int4');
    const whole = readFileSync(join(directory, 'weights.bin'));
    truncateSync(join(directory, 'weights.bin'), whole.byteLength >> 1);
    expect((await imported(tiny, cache, 'int4')).last).toMatchObject({ cached: false });
    expect(Buffer.compare(readFileSync(join(directory, 'weights.bin')), whole)).toBe(0);
  });

  test('is done once if two ask for it at the same time', async () => {
    const cache = freshCache();
    const both = await Promise.all([imported(tiny, cache), imported(tiny, cache)]);
    expect(both[0]?.model).toEqual(both[1]?.model);
    expect(both.filter(({ progress }) => progress.some(({ phase }) => phase === 'convert'))).toHaveLength(1);
    expect(readdirSync(cache).filter((name) => /lock|partial/.test(name))).toEqual([]);
  });

  test('ends with its reason when it is told to stop, and leaves nothing that looks finished', async () => {
    const cache = freshCache();
    const stop = new AbortController();
    const onProgress = ({ phase }: ImportProgress) => phase === 'convert' && stop.abort(new Error('enough'));
    await expect(
      importModel({ checkpointDir: tiny, weights: 'int8', cacheDir: cache, signal: stop.signal, onProgress }),
    ).rejects.toThrow('enough');
    expect((await imported(tiny, cache, 'int8')).last).toMatchObject({ cached: false });
  });

  test('goes on where it was killed', async () => {
    const checkpoint = join(root, 'larger');
    await writeRandomCheckpoint(checkpoint, LARGER);
    const cache = freshCache();
    await killedHalfway(checkpoint, cache);
    const [partial] = readdirSync(cache).filter((name) => name.endsWith('.partial'));
    const weights = join(cache, partial as string, 'weights.bin');
    const done = Number(
      readFileSync(join(cache, partial as string, 'journal'), 'utf8')
        .trim()
        .split('\n')
        .at(-1),
    );
    expect(done).toBeGreaterThan(0);
    // A byte of what was done is changed: it must still be so after, since what was done is not done again.
    const file = await open(weights, 'r+');
    await file.write(Uint8Array.of(0xa5), 0, 1, 5);
    await file.close();

    const resumed = await imported(checkpoint, cache);
    expect(resumed.last).toMatchObject({ phase: 'done', cached: false });
    const whole = readFileSync(join(resumed.directory, 'weights.bin'));
    expect(whole[5]).toBe(0xa5);
    const reference = await imported(checkpoint, freshCache());
    const expected = readFileSync(join(reference.directory, 'weights.bin'));
    whole[5] = expected[5] as number;
    expect(Buffer.compare(whole, expected)).toBe(0);
    expect(Buffer.compare(readFileSync(resumed.model.graphPath), readFileSync(reference.model.graphPath))).toBe(0);
  });
});

describe('the import lock', () => {
  test('is taken over from a holder that is gone, and waited for while it lives', async () => {
    const path = join(root, 'lock');
    const child = spawn(process.execPath, ['-e', '']);
    await once(child, 'exit');
    const { hostname } = await import('node:os');
    writeFileSync(path, JSON.stringify({ host: hostname(), pid: child.pid, id: 'x' }));
    const release = await acquireImportLock(path);
    const waiting = acquireImportLock(path);
    const early = await Promise.race([waiting.then(() => 'early'), new Promise((resolve) => setTimeout(resolve, 250))]);
    expect(early).toBeUndefined();
    await release();
    await (await waiting)();
    expect(existsSync(path)).toBe(false);
  });

  test('stops waiting when told to', async () => {
    const path = join(root, 'held');
    const release = await acquireImportLock(path);
    await expect(acquireImportLock(path, AbortSignal.timeout(50))).rejects.toThrow();
    await release();
  });
});

const TINY: RandomShape = {
  ...{
    family: 'llama' as const,
    vocabSize: 512,
    hiddenSize: 64,
    intermediateSize: 96,
    layers: 2,
    heads: 2,
    kvHeads: 1,
  },
  ...{ maxPositions: 4096, tiedEmbeddings: true, dtype: 'F32' as const },
};

/** About 60 MB as float32, of which the bfloat16 file is half. */
const LARGER: RandomShape = {
  ...{
    family: 'llama' as const,
    vocabSize: 4096,
    hiddenSize: 512,
    intermediateSize: 1536,
    layers: 4,
    heads: 8,
    kvHeads: 8,
  },
  ...{ maxPositions: 128, tiedEmbeddings: true, dtype: 'BF16' as const },
};

/** Imports in a process of its own that kills itself once more than half is converted. */
async function killedHalfway(checkpointDir: string, cacheDir: string): Promise<void> {
  const module = join(import.meta.dirname, '../../../dist/src/model/import-model.js');
  const script = `
    const { importModel } = await import(${JSON.stringify(module)});
    const onProgress = ({ phase, doneBytes, totalBytes }) => {
      if (phase === 'convert' && doneBytes > totalBytes * 0.6) process.kill(process.pid, 'SIGKILL');
    };
    await importModel({ checkpointDir: ${JSON.stringify(checkpointDir)}, weights: 'fp32', cacheDir: ${JSON.stringify(cacheDir)}, onProgress });
  `;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: 'inherit' });
  const [, signal] = (await once(child, 'exit')) as [number | null, string | null];
  expect(signal).toBe('SIGKILL');
}
