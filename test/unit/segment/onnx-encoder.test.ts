/** A sentence encoder of the user: pooling, batches of unequal texts, and messages for a directory that is not one. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { GraphBuilder } from '../../../src/model/graph-builder.js';
import { encodeModel } from '../../../src/model/onnx-schema.js';
import { openOnnxEncoder } from '../../../src/segment/onnx-encoder.js';

const directory = mkdtempSync(join(tmpdir(), 'blockstitch-encoder-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const VECTORS = { '[UNK]': [0, 0, 1], cat: [1, 0, 0], dog: [0, 1, 0], cow: [3, 4, 0] };

/** An encoder of one lookup table; pooled inside the graph, or left as one vector per token. */
function makeEncoder(name: string, pooled: boolean): string {
  const graph = new GraphBuilder();
  const ids = graph.input('input_ids', 'int64', ['texts', 'tokens']);
  graph.input('attention_mask', 'int64', ['texts', 'tokens']);
  const table = graph.float32('table', [4, 3], Float32Array.from(Object.values(VECTORS).flat()));
  const tokens = graph.node('Gather', 'lookup', [table, ids]);
  const output = pooled
    ? graph.node('ReduceSum', 'pool', [tokens, graph.int64('axes', [1])], { attributes: { keepdims: { int: 0 } } })
    : tokens;
  graph.output(output, 'float32', pooled ? ['texts', 3] : ['texts', 'tokens', 3]);
  const folder = join(directory, name);
  mkdirSync(folder);
  writeFileSync(join(folder, 'model.onnx'), encodeModel(graph.build(name, {})));
  const vocab = Object.fromEntries(Object.keys(VECTORS).map((word, index) => [word, index]));
  const tokenizer = {
    model: { type: 'WordLevel', vocab, unk_token: '[UNK]' },
    pre_tokenizer: { type: 'Whitespace' },
    normalizer: null,
    post_processor: null,
    decoder: null,
    added_tokens: [],
  };
  writeFileSync(join(folder, 'tokenizer.json'), JSON.stringify(tokenizer));
  return folder;
}

function near(vector: Float32Array | undefined, wanted: readonly number[]): void {
  const length = Math.hypot(...wanted);
  for (const [index, value] of wanted.entries()) expect(vector?.[index]).toBeCloseTo(value / length, 5);
}

describe('an ONNX sentence encoder', () => {
  test('gives the mean of its token vectors, at length one', async () => {
    const encoder = await openOnnxEncoder(makeEncoder('tokens', false));
    const [cat, both, cow] = await encoder.encode(['cat', 'cat dog', 'cow']);
    near(cat, [1, 0, 0]);
    near(both, [1, 1, 0]);
    near(cow, [3, 4, 0]);
  });

  test('gives each text the same vector in any batch as alone', async () => {
    const encoder = await openOnnxEncoder(makeEncoder('many', false));
    const texts = Array.from({ length: 75 }, (_, at) =>
      `${'cat '.repeat(1 + (at % 7))}${'dog '.repeat(at % 5)}`.trim(),
    );
    const together = await encoder.encode(texts);
    for (const [at, vector] of together.entries()) near(vector, [1 + (at % 7), at % 5, 0]);
  });

  test('is taken at its word where it pools by itself', async () => {
    const encoder = await openOnnxEncoder(makeEncoder('pooled', true));
    near((await encoder.encode(['dog dog cat']))[0], [1, 2, 0]);
  });

  test('is refused with its directory where a file is missing or no export', async () => {
    await expect(openOnnxEncoder(join(directory, 'nowhere'))).rejects.toThrow(
      /nowhere cannot be used: model.onnx or tokenizer.json/,
    );
    const broken = makeEncoder('broken', false);
    writeFileSync(join(broken, 'model.onnx'), 'no graph');
    await expect(openOnnxEncoder(broken)).rejects.toThrow(/sentence encoder .*broken/);
  });
});
