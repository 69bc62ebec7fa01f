/** GGUF models through the graph: stored blocks as they are, mixed types, files that end early. */
import { existsSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { relativeDifference, StepModel } from '../../../bench/step-model.js';
import type { GgufTensorType } from '../../../src/gguf/gguf-types.js';
import { importModel } from '../../../src/model/import-model.js';
import type { WeightFormat } from '../../../src/model/imported-model.js';
import { randomGguf, VOCABULARY } from '../../support/random-gguf.js';

const directory = mkdtempSync(join(tmpdir(), 'blockstitch-gguf-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const TOKENS = Array.from({ length: 70 }, (_, index) => (index * 37) % VOCABULARY);

async function logitsOf(file: string, weights: WeightFormat): Promise<Float32Array> {
  const model = await StepModel.open(file, 'float32', weights);
  try {
    return (await model.prefill(TOKENS, 0, [], 33)).logits;
  } finally {
    await model.close();
  }
}

function written(name: string, typeOf: (name: string) => GgufTensorType): string {
  const file = join(directory, `${name}.gguf`);
  writeFileSync(file, randomGguf({ typeOf }));
  return file;
}

describe.each<GgufTensorType>(['Q4_0', 'Q4_1', 'Q5_0', 'Q5_1', 'Q8_0', 'Q4_K', 'Q5_K', 'Q6_K'])(
  'a model of %s',
  (type) => {
    test('gives the same logits from its own blocks as from float32, but for 8-bit activations', async () => {
      const file = written(type, () => type);
      const exact = await logitsOf(file, 'fp32');
      const native = await logitsOf(file, 'native');
      expect(relativeDifference(native, exact)).toBeLessThan(0.03);
    });
  },
);

test('a mixture of types, as Q4_K_M files have it, gives the same logits', async () => {
  const file = written('mixed', (name) => (name === 'attn_v' || name === 'token_embd' ? 'Q6_K' : 'Q4_K'));
  expect(relativeDifference(await logitsOf(file, 'native'), await logitsOf(file, 'fp32'))).toBeLessThan(0.03);
});

test('floats beside blocks stay floats', async () => {
  const file = written('floats', (name) => (name.startsWith('ffn') ? 'F32' : 'Q8_0'));
  expect(relativeDifference(await logitsOf(file, 'native'), await logitsOf(file, 'fp32'))).toBeLessThan(0.03);
});

test('a model of floats has native weights too', async () => {
  const file = written('all-floats', () => 'F32');
  expect(relativeDifference(await logitsOf(file, 'native'), await logitsOf(file, 'fp32'))).toBeLessThan(1e-5);
});

test('the served name is that of the file, and a second import finds the first', async () => {
  const checkpointDir = written('my-model.Q8_0', () => 'Q8_0');
  const cached: (boolean | undefined)[] = [];
  for (let run = 0; run < 2; run++) {
    const model = await importModel({
      checkpointDir,
      weights: 'native',
      cacheDir: join(directory, 'imports'),
      onProgress: ({ phase, cached: found }) => phase === 'done' && cached.push(found),
    });
    expect(model.name).toBe('my-model.Q8_0');
    expect(existsSync(model.graphPath)).toBe(true);
  }
  expect(cached).toEqual([false, true]);
});

test('a file that ends early is refused with its tensor, and nothing is left in the cache', async () => {
  const checkpointDir = written('cut', () => 'Q4_0');
  truncateSync(checkpointDir, readFileSync(checkpointDir).length - 4096);
  const cacheDir = join(directory, 'none');
  const error = await importModel({ checkpointDir, weights: 'int8', cacheDir }).catch((cause: unknown) => cause);
  expect(error).toMatchObject({ code: 'checkpoint_invalid' });
  expect(String(error)).toContain('tensor "blk.0.ffn_down.weight" ends at');
  expect(existsSync(cacheDir)).toBe(false);
});
