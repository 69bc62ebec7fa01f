/**
 * Adapters that PEFT wrote, merged at import, against what PEFT's own merge_and_unload gives. The base and the adapters
 * are tiny, random, and made here by Python.
 */
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { StepModel } from '../../../bench/step-model.js';
import { openCheckpoint } from '../../../src/model/checkpoint.js';
import { importModel } from '../../../src/model/import-model.js';
import type { WeightFormat } from '../../../src/model/imported-model.js';
import { pythonWithRequirements } from '../../support/demo-server.js';
import { askPython } from '../../support/real-tokenizers.js';

const python = pythonWithRequirements();
const root = mkdtempSync(join(tmpdir(), 'blockstitch-adapters-'));
const TOKENS = [1, 5, 9, 33, 62, 3, 3, 17, 40, 5];

/** Base and untied base; for each adapter its files, and PEFT's logits of the tokens once it is merged. */
const PROGRAM = `
import json, sys
import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

asked = json.load(sys.stdin)
root, tokens = asked["root"], torch.tensor([asked["tokens"]])

def base(tied=True, hidden=64):
    torch.manual_seed(0)
    config = LlamaConfig(vocab_size=64, hidden_size=hidden, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=16, tie_word_embeddings=tied, initializer_range=0.3, bos_token_id=1, eos_token_id=2)
    return LlamaForCausalLM(config).eval()

base().save_pretrained(root + "/tied")
base(False).save_pretrained(root + "/untied")

def adapter(name, tied=True, hidden=64, rows=None, **settings):
    model = base(tied, hidden)
    if rows is not None:
        model.resize_token_embeddings(rows, mean_resizing=False)
    peft = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **settings))
    torch.manual_seed(7)
    with torch.no_grad():
        for key, value in peft.named_parameters():
            if value.requires_grad:
                value.add_(0.1 * torch.randn_like(value))
    peft.save_pretrained(root + "/" + name)
    merged = peft.merge_and_unload().eval()
    if name == "linear":
        merged.save_pretrained(root + "/merged")
    with torch.no_grad():
        return merged(tokens).logits[0].float().flatten().tolist()

logits = {
    "linear": adapter("linear", target_modules="all-linear", r=4, lora_alpha=16),
    "patterns": adapter("patterns", target_modules=["q_proj", "v_proj", "down_proj"], r=8, lora_alpha=4, use_rslora=True,
        rank_pattern={"v_proj": 3}, alpha_pattern={"layers.1.self_attn.v_proj": 9, "down_proj": 2}),
    "one-layer": adapter("one-layer", target_modules=["k_proj"], layers_to_transform=[1], r=2),
    "rows": adapter("rows", target_modules=["q_proj"], trainable_token_indices=[9, 3]),
    "new-rows": adapter("new-rows", target_modules=["o_proj"], rows=66, trainable_token_indices=[64, 65, 1]),
    "embedding": adapter("embedding", target_modules=["embed_tokens", "up_proj"], r=4),
    "whole-embedding": adapter("whole-embedding", target_modules=["q_proj"], modules_to_save=["embed_tokens"]),
    "untied-rows": adapter("untied-rows", False, target_modules=["q_proj"], trainable_token_indices={"embed_tokens": [3, 5], "lm_head": [4]}),
    "untied-head": adapter("untied-head", False, target_modules=["q_proj", "lm_head"], modules_to_save=["embed_tokens", "norm"]),
}
adapter("other-base", hidden=32, target_modules=["q_proj"])
adapter("dora", target_modules=["q_proj"], use_dora=True)
print(json.dumps(logits))
`;

let logits: Record<string, number[]> = {};
beforeAll(async () => {
  if (python !== undefined) logits = await askPython(python, PROGRAM, { root, tokens: TOKENS });
}, 300_000);
afterAll(() => rmSync(root, { recursive: true, force: true }));

const at = (...names: string[]) => join(root, ...names);

async function logitsOf(base: string, adapter?: string, weights: WeightFormat = 'fp32'): Promise<Float32Array> {
  const model = await StepModel.open(at(base), 'float32', weights, adapter && at(adapter));
  const { logits: own } = await model.prefill(TOKENS, 0, [], 1000);
  await model.close();
  return own;
}

/** Largest difference by the range of the expected values. */
function difference(own: Float32Array, expected: ArrayLike<number>): number {
  expect(own.length).toBe(expected.length);
  let [most, low, high] = [0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const [index, value] of own.entries()) {
    const wanted = expected[index] as number;
    most = Math.max(most, Math.abs(value - wanted));
    low = Math.min(low, wanted);
    high = Math.max(high, wanted);
  }
  return most / (high - low);
}

describe.skipIf(python === undefined)('a merged adapter gives the logits of PEFT', () => {
  test.each([
    ['linear', 'tied'],
    ['patterns', 'tied'],
    ['one-layer', 'tied'],
    ['rows', 'tied'],
    ['new-rows', 'tied'],
    ['embedding', 'tied'],
    ['whole-embedding', 'tied'],
    ['untied-rows', 'untied'],
    ['untied-head', 'untied'],
  ])('%s', async (adapter, base) => {
    const expected = logits[adapter] ?? [];
    expect(difference(await logitsOf(base), expected.slice(0, TOKENS.length * 64))).toBeGreaterThan(0.01);
    expect(difference(await logitsOf(base, adapter), expected)).toBeLessThan(1e-4);
  });

  test.each<WeightFormat>(['int8', 'int4'])('it is merged before it is quantized to %s', async (weights) => {
    expect(
      difference(await logitsOf('tied', 'linear', weights), await logitsOf('merged', undefined, weights)),
    ).toBeLessThan(1e-3);
  });
});

describe.skipIf(python === undefined)('an adapter', () => {
  test('is part of the fingerprint, with its settings', async () => {
    const cacheDir = at('imports');
    const print = async (adapter?: string) => {
      const adapterDir = adapter && at(adapter);
      const given = adapterDir ? { adapterDir } : {};
      const imported = await importModel({ checkpointDir: at('tied'), weights: 'fp32', cacheDir, ...given });
      expect(imported.adapterDir).toBe(adapterDir);
      return imported.fingerprint;
    };
    changed('linear', 'scaled', (config) => {
      config.lora_alpha = 17;
    });
    cpSync(at('linear'), at('again'), { recursive: true });
    const prints = [await print(), await print('linear'), await print('scaled'), await print('rows')];
    expect(new Set(prints).size).toBe(4);
    expect(await print('again')).toBe(prints[1]);
  });

  test.each(['block_attention.json', 'adapter_config.json'])('brings sinks and mode in %s', async (file) => {
    const section = { mode: 'block', sink_token_ids: [1, 64], block_end_token_ids: [65] };
    const name = `sinks-${file}`;
    changed('new-rows', name, (config) => {
      if (file === 'adapter_config.json') config.block_attention = section;
    });
    if (file === 'block_attention.json') writeFileSync(at(name, file), JSON.stringify(section));
    const { config } = await openCheckpoint(at('tied'), at(name));
    expect(config.model).toMatchObject({
      vocabSize: 66,
      blockAttention: { mode: 'block', sinkTokenIds: [1, 64], edges: { start: [], end: [65] } },
    });
  });

  test.each<[string, string, (config: Record<string, unknown>, directory: string) => void, RegExp]>([
    [
      'another base',
      'other-base',
      () => {},
      /other-base.*made for another base: the tensor .*lora_A.* is \[8, 32\], but .* is \[64, 64\]/,
    ],
    ['DoRA', 'dora', () => {}, /use_dora true is unsupported/],
    ['IA3', 'linear', (config) => set(config, 'peft_type', 'IA3'), /peft_type "IA3" is unsupported \(known: LORA\)/],
    ['no type', 'linear', (config) => set(config, 'peft_type', undefined), /peft_type null/],
    ['trained biases', 'linear', (config) => set(config, 'bias', 'lora_only'), /bias "lora_only"/],
    [
      'a start that changes the base',
      'linear',
      (config) => set(config, 'init_lora_weights', 'pissa'),
      /"pissa" changes the base/,
    ],
    [
      'layer replication',
      'linear',
      (config) => set(config, 'layer_replication', [[0, 2]]),
      /layer_replication \[\[0,2\]\]/,
    ],
    ['a transposed weight', 'linear', (config) => set(config, 'fan_in_fan_out', true), /fan_in_fan_out true/],
    ['a setting of tomorrow', 'linear', (config) => set(config, 'use_warp', 3), /use_warp 3 is unsupported/],
    ['a wrong alpha', 'linear', (config) => set(config, 'lora_alpha', 'x'), /lora_alpha is "x"/],
    [
      'a pattern that would not end',
      'linear',
      (config) => set(config, 'alpha_pattern', { '(a+)+': 1 }),
      /no simple pattern/,
    ],
    [
      'rows that the config does not name',
      'rows',
      (config) => set(config, 'trainable_token_indices', [3]),
      /has 2 rows, .* names 1/,
    ],
    [
      'a gap before a new row',
      'new-rows',
      (config) => set(config, 'trainable_token_indices', [64, 66, 1]),
      /adds the row 66 .* not the row 65/,
    ],
    [
      'sinks that there are not',
      'rows',
      (config) => set(config, 'block_attention', { sink_token_ids: [64] }),
      /sink_token_ids/,
    ],
    [
      'sections in both files',
      'rows',
      (config, directory) => {
        set(config, 'block_attention', {});
        writeFileSync(join(directory, 'block_attention.json'), '{}');
      },
      /stands in block_attention\.json too/,
    ],
    [
      'a file cut short',
      'linear',
      (_, directory) => truncateSync(join(directory, 'adapter_model.safetensors'), 3000),
      /truncated/,
    ],
    [
      'no weights',
      'linear',
      (_, directory) => rmSync(join(directory, 'adapter_model.safetensors')),
      /cannot be opened/,
    ],
    ['no config', 'linear', (_, directory) => rmSync(join(directory, 'adapter_config.json')), /no PEFT adapter/],
    ['a Git LFS pointer', 'linear', (_, directory) => pointer(directory), /Git LFS pointer/],
    [
      'a module that the base has not',
      'linear',
      (_, directory) => renamed(directory, 'down_proj', 'dawn_proj'),
      /mlp\.dawn_proj, which the base does not have/,
    ],
    [
      'a tensor of another kind',
      'linear',
      (_, directory) => renamed(directory, 'lora_A', 'lora_X'),
      /lora_X\.weight is unsupported/,
    ],
  ])('with %s is refused by name', async (title, adapter, change, words) => {
    const name = `bad-${title.replaceAll(' ', '-')}`;
    changed(adapter, name, (config) => change(config, at(name)));
    await expect(openCheckpoint(at('tied'), at(name))).rejects.toMatchObject({
      code: 'checkpoint_invalid',
      message: expect.stringMatching(words),
    });
  });

  test('of a path that is not there is refused', async () => {
    await expect(openCheckpoint(at('tied'), at('nowhere'))).rejects.toThrow(
      /no such directory; --adapter takes a PEFT/,
    );
  });
});

/** A copy with another config. The change may touch its files too. */
function changed(from: string, name: string, change: (config: Record<string, unknown>) => void): void {
  cpSync(at(from), at(name), { recursive: true });
  const path = at(name, 'adapter_config.json');
  const config = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
  change(config);
  if (existsSync(path)) writeFileSync(path, JSON.stringify(config));
}

function set(config: Record<string, unknown>, key: string, value: unknown): void {
  config[key] = value;
}

function pointer(directory: string): void {
  writeFileSync(
    join(directory, 'adapter_model.safetensors'),
    'version https://git-lfs.github.com/spec/v1\noid sha256:1\n',
  );
}

/** Names of equal length, so that nothing moves. */
function renamed(directory: string, from: string, to: string): void {
  const path = join(directory, 'adapter_model.safetensors');
  writeFileSync(path, readFileSync(path).toString('latin1').replaceAll(from, to), 'latin1');
}
