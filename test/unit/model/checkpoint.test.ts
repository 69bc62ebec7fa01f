/** Hostile and unknown checkpoints: each refused with its reason. A good tiny one is written once and then spoiled. */
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readCheckpointConfig } from '../../../src/model/checkpoint-config.js';
import { readCheckpointTensors } from '../../../src/model/checkpoint-tensors.js';
import { findDecoderWeights } from '../../../src/model/decoder-weights.js';
import { CheckpointCases } from '../../support/checkpoint-cases.js';

const SHARDED = join(import.meta.dirname, '../../fixtures/checkpoints/llama-linear-sharded');
const cases = new CheckpointCases('checkpoint');

/** Reads a whole checkpoint as an import does, short of converting weights. */
async function read(path = cases.directory): Promise<void> {
  const { model } = await readCheckpointConfig(path);
  findDecoderWeights(path, model, await readCheckpointTensors(path));
}

function write(name: string, content: string | Uint8Array | object): void {
  const bytes = typeof content === 'string' || content instanceof Uint8Array ? content : JSON.stringify(content);
  writeFileSync(join(cases.directory, name), bytes);
}

function copyGood(): void {
  for (const name of ['config.json', 'generation_config.json', 'model.safetensors']) {
    copyFileSync(join(cases.good, name), join(cases.directory, name));
  }
}

const refused = (reason: string | RegExp) =>
  expect(read()).rejects.toMatchObject({ code: 'checkpoint_invalid', message: expect.stringMatching(reason) });

test('the checkpoint that is spoiled below is good', async () => {
  await read(cases.good);
  await read(SHARDED);
});

describe('a config.json that asks for what is not known is refused by name', () => {
  test.each<[Record<string, unknown>, string]>([
    [{ model_type: 'gpt2', architectures: ['GPT2LMHeadModel'] }, 'model_type "gpt2" is unsupported'],
    [{ model_type: 'mamba' }, 'model_type "mamba"'],
    [{ model_type: 'constructor' }, 'model_type "constructor"'],
    [{ model_type: undefined }, 'model_type null'],
    [{ architectures: ['LlamaForSequenceClassification'] }, 'LlamaForSequenceClassification'],
    [{ rope_scaling: { rope_type: 'longrope' } }, 'RoPE type "longrope"'],
    [{ quantization_config: { quant_method: 'gptq', bits: 4 } }, 'quantization_config .*gptq'],
    [{ hidden_act: 'relu' }, 'hidden_act "relu"'],
    [{ attention_bias: true }, 'attention_bias true'],
    [{ num_local_experts: 8 }, 'num_local_experts 8'],
    [{ final_logit_softcapping: 30 }, 'final_logit_softcapping 30'],
    [{ block_attention: { mode: 'sideways' } }, 'block_attention.mode "sideways"'],
    [
      { block_attention: { block_starts: [1] } },
      'block_attention.block_starts is unknown .known: mode, sink_token_ids',
    ],
  ])('%j', async (change, reason) => {
    copyGood();
    write('config.json', { ...cases.config, ...change });
    await refused(reason);
  });
});

describe('a config.json of impossible values is refused', () => {
  const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`;
  test.each<[string, unknown, string]>([
    ['hidden_size', 0, 'hidden_size is 0'],
    ['hidden_size', -64, 'hidden_size is -64'],
    ['hidden_size', 1e300, 'hidden_size is 1e\\+300'],
    ['hidden_size', '64', 'hidden_size is "64"'],
    ['num_hidden_layers', 1.5, 'num_hidden_layers is 1.5'],
    ['num_hidden_layers', 1_000_000, 'num_hidden_layers is 1000000'],
    ['num_key_value_heads', 3, 'not a multiple'],
    ['head_dim', 12, 'head_dim 12'],
    ['head_dim', 1_000_000, 'head_dim'],
    ['vocab_size', null, 'vocab_size is missing'],
    ['vocab_size', 2 ** 40, 'vocab_size is'],
    ['bos_token_id', 99_999, 'bos_token_id'],
    ['eos_token_id', [1, 'x'], 'eos_token_id'],
    ['rms_norm_eps', 'small', 'rms_norm_eps'],
    ['tie_word_embeddings', 'yes', 'tie_word_embeddings'],
    ['max_position_embeddings', 2 ** 40, 'max_position_embeddings'],
    ['rope_scaling', { type: 'linear', factor: 1e12 }, 'context of .* positions is unsupported'],
    ['block_attention', { sink_token_ids: [-1] }, 'sink_token_ids'],
  ])('%s %j', async (key, value, reason) => {
    copyGood();
    write('config.json', { ...cases.config, [key]: value });
    await refused(reason);
  });

  test.each<[string, string | Uint8Array, string | RegExp]>([
    ['nothing', '', 'not JSON'],
    ['half of it', '{"model_type": "llama"', 'not JSON'],
    ['a list', '[]', 'not a JSON object'],
    ['bytes that are not UTF-8', Uint8Array.of(0x7b, 0xff, 0x7d), 'not JSON'],
    ['deep brackets', `{"model_type":"llama","num_hidden_layers":${deep}}`, 'num_hidden_layers is'],
    // From Node 26 on, what is nested so deeply can be shown: its beginning is.
    ['a deep model_type', `{"model_type":${deep}}`, /model_type (nested too deeply|\[{20})/],
    ['five megabytes', ' '.repeat(5 * 1024 * 1024), 'more than the limit'],
  ])('%s', async (_, bytes, reason) => {
    copyGood();
    write('config.json', bytes);
    await refused(reason);
  });

  test('a directory in its place, or none', async () => {
    await refused('it has no config.json');
    mkdirSync(join(cases.directory, 'config.json'));
    await refused('cannot be read');
    await expect(read(join(cases.root, 'nowhere'))).rejects.toThrow('no such directory');
  });

  test('whatever the values, it is read or refused', async () => {
    copyGood();
    const keys = [
      ...Object.keys(cases.config),
      'rope_scaling',
      'rope_parameters',
      'block_attention',
      'layer_types',
      'sliding_window',
    ];
    await fc.assert(
      fc.asyncProperty(fc.dictionary(fc.constantFrom(...keys), fc.jsonValue({ maxDepth: 2 })), async (changes) => {
        write('config.json', { ...cases.config, ...changes });
        await read().catch((error: unknown) => expect(error).toMatchObject({ code: 'checkpoint_invalid' }));
      }),
      { numRuns: 300 },
    );
  });
});

describe('weights that are not what config.json asks for are refused', () => {
  test('a file cut short, at any length', async () => {
    copyGood();
    const size = readFileSync(join(cases.good, 'model.safetensors')).byteLength;
    for (const length of [size - 1, size >> 1, 2_000, 100, 8, 7, 0]) {
      copyFileSync(join(cases.good, 'model.safetensors'), join(cases.directory, 'model.safetensors'));
      truncateSync(join(cases.directory, 'model.safetensors'), length);
      await refused(/truncated|too few/);
    }
  });

  test('another shape, a missing tensor, an unknown one', async () => {
    copyGood();
    write('config.json', { ...cases.config, intermediate_size: 64 });
    await refused('mlp.gate_proj.weight is .*, the config asks for');
    write('config.json', { ...cases.config, num_hidden_layers: 3 });
    await refused('model.layers.2.input_layernorm.weight is missing');
    write('config.json', { ...cases.config, num_hidden_layers: 1 });
    await refused('model.layers.1.* has no place in a llama model');
    write('config.json', { ...cases.config, tie_word_embeddings: false });
    await refused('lm_head.weight is missing');
  });

  test('no weights at all, a directory or a pipe in their place', async () => {
    write('config.json', cases.config);
    await refused('neither model.safetensors nor model.safetensors.index.json');
    mkdirSync(join(cases.directory, 'model.safetensors'));
    await refused('is not a file');
    rmSync(join(cases.directory, 'model.safetensors'), { recursive: true });
    expect(spawnSync('mkfifo', [join(cases.directory, 'model.safetensors')]).status).toBe(0);
    await refused('is not a file');
  });
});

describe('a sharded checkpoint', () => {
  const index = JSON.parse(readFileSync(join(SHARDED, 'model.safetensors.index.json'), 'utf8')) as {
    weight_map: Record<string, string>;
  };
  const shards = [...new Set(Object.values(index.weight_map))];
  const copy = () => {
    for (const name of ['config.json', 'model.safetensors.index.json', ...shards]) {
      copyFileSync(join(SHARDED, name), join(cases.directory, name));
    }
  };

  test('with a missing shard names it', async () => {
    copy();
    rmSync(join(cases.directory, shards[2] as string));
    await refused(`${shards[2]}.*cannot be opened \\(ENOENT\\)`);
  });

  test('with two shards swapped says which tensor is in the wrong one', async () => {
    copy();
    copyFileSync(join(SHARDED, shards[0] as string), join(cases.directory, shards[1] as string));
    await refused('belongs in');
  });

  test('with a tensor that no shard holds names it', async () => {
    copy();
    write('model.safetensors.index.json', { weight_map: { ...index.weight_map, 'model.extra': shards[0] } });
    await refused('lacks the tensor "model.extra"');
  });

  test.each<[string, unknown, string]>([
    ['nothing', '', 'not JSON'],
    ['no map', {}, 'no weight_map'],
    ['an empty map', { weight_map: {} }, 'weight_map is empty'],
    ['a list', { weight_map: [] }, 'no weight_map'],
    ['a path out of the directory', { weight_map: { a: '../../etc/passwd' } }, 'not mapped to a file name'],
    ['an absolute path', { weight_map: { a: '/etc/passwd' } }, 'not mapped to a file name'],
    ['the directory itself', { weight_map: { a: '..' } }, 'not mapped to a file name'],
    ['a number', { weight_map: { a: 3 } }, 'not mapped to a file name'],
    ['a name with a NUL', { weight_map: { a: 'x\u0000y' } }, 'cannot be opened'],
    ['a tensor twice', '{"weight_map":{"a":"x","a":"y"}}', 'names "a" twice'],
  ])('whose index holds %s is refused', async (_, content, reason) => {
    copy();
    write('model.safetensors.index.json', content as string | object);
    await refused(reason);
  });
});
