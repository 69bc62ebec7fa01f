import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { openCheckpoint } from '../../../../src/model/checkpoint.js';
import type { Typed } from '../../../support/gguf-writer.js';
import { randomGguf } from '../../../support/random-gguf.js';

const directory = mkdtempSync(join(tmpdir(), 'blockstitch-gguf-config-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

async function opened(metadata: Record<string, Typed>) {
  const file = join(directory, 'model.gguf');
  writeFileSync(file, randomGguf({ typeOf: () => 'F32', metadata }));
  return (await openCheckpoint(file)).config;
}

test('the metadata gives what config.json would give', async () => {
  const { model, rope, windows } = await opened({
    'llama.rope.freq_base': { f32: 500_000 },
    'tokenizer.ggml.bos_token_id': { u32: 5 },
    'tokenizer.ggml.eos_token_id': { u32: 6 },
    'tokenizer.ggml.eot_token_id': { u32: 7 },
  });
  expect(model).toMatchObject({
    family: 'llama',
    vocabSize: 96,
    hiddenSize: 256,
    intermediateSize: 512,
    layers: 1,
    heads: 4,
    kvHeads: 4,
    headDim: 64,
    maxPositions: 256,
    tiedEmbeddings: true,
    bosTokenId: 5,
    eosTokenIds: [6, 7],
  });
  expect(model.rmsNormEps).toBeCloseTo(1e-5, 12);
  expect(rope).toEqual({ type: 'default', theta: 500_000 });
  expect(windows).toEqual([0]);
});

test('control tokens that end a turn end an answer, named in the metadata or not', async () => {
  const tokens = Array.from({ length: 96 }, (_, id) => (id === 90 ? '<|im_end|>' : String.fromCharCode(0x100 + id)));
  const types = tokens.map((_, id) => (id === 90 ? 3 : 1));
  const metadata = { 'tokenizer.ggml.tokens': { strings: tokens }, 'tokenizer.ggml.token_type': { i32: types } };
  expect((await opened(metadata)).model.eosTokenIds).toEqual([90]);
});

test('a sliding window makes it a mistral', async () => {
  const { model, windows } = await opened({ 'llama.attention.sliding_window': { u32: 32 } });
  expect(model).toMatchObject({ family: 'mistral', slidingWindow: 32 });
  expect(windows).toEqual([32]);
});

describe('RoPE scaling comes from the metadata', () => {
  test('linear, in both spellings', async () => {
    const both = [
      { 'llama.rope.scaling.type': 'linear', 'llama.rope.scaling.factor': { f32: 4 } },
      { 'llama.rope.scale_linear': { f32: 4 } },
    ];
    for (const metadata of both) {
      const { model, rope } = await opened(metadata);
      expect(rope).toEqual({ type: 'linear', theta: 10_000, factor: 4 });
      expect(model.maxPositions).toBe(1024);
    }
  });

  test('yarn, with a factor of its own', async () => {
    const { rope } = await opened({
      'llama.rope.scaling.type': 'yarn',
      'llama.rope.scaling.factor': { f32: 4 },
      'llama.rope.scaling.original_context_length': { u32: 64 },
      'llama.rope.scaling.attn_factor': { f32: 2 },
    });
    expect(rope).toMatchObject({ type: 'yarn', factor: 4, originalMaxPositions: 64, betaFast: 32, betaSlow: 1 });
    expect(rope).toMatchObject({ attentionFactor: 2 * (0.1 * Math.log(4) + 1) });
  });
});

describe('what is not known is refused with its key', () => {
  test.each<[string, Record<string, Typed>, string]>([
    ['an architecture', { 'general.architecture': 'mamba' }, 'general.architecture "mamba" is unsupported'],
    ['a name of JavaScript', { 'general.architecture': 'constructor' }, '"constructor" is unsupported'],
    ['an architecture of numbers', { 'general.architecture': { u32: 1 } }, 'general.architecture 1 is unsupported'],
    ['a setting', { 'llama.attention.sparkle': { f32: 2 } }, 'setting llama.attention.sparkle is unknown'],
    ['experts', { 'llama.expert_count': { u32: 8 } }, 'llama.expert_count 8 is unsupported'],
    ['softcapping', { 'llama.attn_logit_softcapping': { f32: 50 } }, 'llama.attn_logit_softcapping 50'],
    ['scaling', { 'llama.rope.scaling.type': 'longrope' }, 'llama.rope.scaling.type "longrope" is unsupported'],
    ['heads by layer', { 'llama.attention.head_count_kv': { i32: [4, 2] } }, 'llama.attention.head_count_kv is [4,2]'],
    ['a part of a head', { 'llama.rope.dimension_count': { u32: 32 } }, 'llama.rope.dimension_count 32 is not'],
    ['unlike values', { 'llama.attention.value_length': { u32: 32 } }, 'llama.attention.value_length 32'],
    ['no layers', { 'llama.block_count': { u32: 0 } }, 'llama.block_count is 0'],
    ['too many layers', { 'llama.block_count': { u32: 2 } }, 'the tensor blk.1.attn_norm.weight is missing'],
    ['a huge context', { 'llama.context_length': { u32: 2 ** 31 } }, 'llama.context_length is 2147483648'],
    ['a size of 2^60', { 'llama.embedding_length': { u64: 2n ** 60n } }, 'llama.embedding_length'],
    ['a size as text', { 'llama.embedding_length': 'big' }, 'llama.embedding_length is "big"'],
    ['an end outside', { 'tokenizer.ggml.eos_token_id': { u32: 96 } }, 'tokenizer.ggml.eos_token_id'],
    ['another width', { 'llama.feed_forward_length': { u32: 128 } }, 'the tensor blk.0.ffn_gate.weight is [512, 256]'],
    ['no tokens', { 'tokenizer.ggml.tokens': 'a' }, 'tokenizer.ggml.tokens is missing or not a list'],
    ['too many tokens', { 'tokenizer.ggml.tokens': { strings: Array(97).fill('a') } }, 'has 97 tokens'],
  ])('%s', async (_, metadata, reason) => {
    await expect(opened(metadata)).rejects.toMatchObject({ code: 'checkpoint_invalid' });
    await expect(opened(metadata)).rejects.toThrow(reason);
    await expect(opened(metadata)).rejects.toThrow('model.gguf');
  });
});
