/** Checkpoints as people have them: half downloaded, in other formats, with facts stated twice. Each says what to do. */
import { copyFileSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openCheckpoint } from '../../../src/model/checkpoint.js';
import { readCheckpointConfig } from '../../../src/model/checkpoint-config.js';
import { missingDirectoryReason } from '../../../src/model/checkpoint-hints.js';
import { readRopeSettings } from '../../../src/model/rope.js';
import { readTokenizerDefinition } from '../../../src/text/read-tokenizer.js';
import { CheckpointCases } from '../../support/checkpoint-cases.js';
import { directoryOf } from '../../support/tokenizer-fixtures.js';

const cases = new CheckpointCases('as-they-come');
const POINTER = 'version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 988097824\n';

const put = (name: string, content: string | object = 'x') =>
  writeFileSync(join(cases.directory, name), typeof content === 'string' ? content : JSON.stringify(content));
const putGood = (...names: string[]) => {
  for (const name of names) copyFileSync(join(cases.good, name), join(cases.directory, name));
};
const refused = (words: string | RegExp) =>
  expect(openCheckpoint(cases.directory)).rejects.toMatchObject({
    code: 'checkpoint_invalid',
    message: expect.stringMatching(words),
  });

describe('a file that stands in for the real one is named as such', () => {
  test.each([
    ['model.safetensors', POINTER, /model\.safetensors.*Git LFS pointer.*git lfs pull/],
    ['model.safetensors', '<!DOCTYPE html><html>Sign in', /web page.*blockstitch pull/],
    ['config.json', POINTER, /config\.json.*Git LFS pointer/],
    ['generation_config.json', POINTER, /generation_config\.json.*Git LFS pointer/],
  ])('%s: %j', async (name, content, words) => {
    putGood('config.json', 'generation_config.json', 'model.safetensors');
    put(name, content);
    await refused(words);
  });

  test('an index, a GGUF file and a tokenizer too', async () => {
    putGood('config.json');
    put('model.safetensors.index.json', POINTER);
    await refused(/index\.json.*Git LFS pointer/);
    put('model.gguf', POINTER);
    await expect(openCheckpoint(join(cases.directory, 'model.gguf'))).rejects.toThrow(/Git LFS pointer/);
    put('tokenizer.json', POINTER);
    await expect(readTokenizerDefinition(cases.directory)).rejects.toThrow(/tokenizer\.json.*Git LFS pointer/);
  });
});

describe('weights in another form are named, with what to run', () => {
  test.each([
    [['pytorch_model.bin'], /but pytorch_model\.bin: pickles.*save_pretrained/],
    [['pytorch_model.bin.index.json', 'pytorch_model-00001-of-00002.bin'], /pickles/],
    [['model-00001-of-00002.safetensors'], /but model-00001-of-00002\.safetensors: the index.*blockstitch pull/],
    [['model.safetensors.part'], /unfinished download.*blockstitch pull/],
    [['adapter_model.safetensors', 'adapter_config.json'], /--adapter/],
    [['model-Q4_0.gguf'], /--model .*model-Q4_0\.gguf/],
    [['consolidated.safetensors'], /rename it to model\.safetensors/],
    [['tf_model.h5'], /tf_model\.h5, which is not read/],
    [[], /it holds config\.json/],
  ])('%j', async (names, words) => {
    putGood('config.json');
    for (const name of names) put(name);
    await refused(words);
  });

  test('a shard that is missing: pull again', async () => {
    putGood('config.json');
    put('model.safetensors.index.json', { weight_map: { a: 'model-00001-of-00002.safetensors' } });
    await refused(/cannot be opened \(ENOENT\); run blockstitch pull/);
  });
});

describe('a path that is no checkpoint is named, with what to give', () => {
  test('the name of a repository', () => {
    const reason = missingDirectoryReason(join(process.cwd(), 'Qwen/Qwen2.5-0.5B-Instruct'));
    expect(reason).toMatch(
      /blockstitch pull Qwen\/Qwen2\.5-0\.5B-Instruct, then --model models\/Qwen2\.5-0\.5B-Instruct/,
    );
    expect(missingDirectoryReason(join(process.cwd(), 'https:/huggingface.co/a/b'))).toMatch(/blockstitch pull a\/b,/);
    expect(missingDirectoryReason('/nowhere/at/all')).toBe('there is no such directory');
    expect(missingDirectoryReason(join(process.cwd(), '~/models/x'))).toMatch(/the shell did not replace ~/);
  });

  test('a GGUF file in a directory, an adapter, a hub cache, a directory too high', async () => {
    await refused('no config.json \\(it is empty\\)');
    put('notes.txt');
    await refused('it holds notes.txt');
    mkdirSync(join(cases.directory, 'inner'));
    symlinkSync(join(cases.good, 'config.json'), join(cases.directory, 'inner', 'config.json'));
    await refused(/inner\/ has one: --model .*inner/);
    put('params.json', {});
    await refused("its maker's own format");
    mkdirSync(join(cases.directory, 'snapshots', 'abc'), { recursive: true });
    await refused(/hub cache\. --model .*snapshots\/abc/);
    put('adapter_config.json', {});
    await refused(/--adapter/);
    put('model.gguf');
    await refused(/--model .*model\.gguf/);
  });

  test('a directory without tokenizer.json: what there is instead', async () => {
    await expect(readTokenizerDefinition(cases.directory)).rejects.toThrow(
      /tokenizer\.json.*no such file.*blockstitch pull/,
    );
    put('tokenizer.model');
    await expect(readTokenizerDefinition(cases.directory)).rejects.toThrow(
      /only tokenizer\.model: make it with transformers/,
    );
  });
});

describe('RoPE settings that are stated twice', () => {
  const parameters = { rope_type: 'default', rope_theta: 500_000 };
  const read = (fields: Record<string, unknown>) => readRopeSettings('config.json', fields, 2048);

  // Values of transformers 5.23, LlamaConfig.from_pretrained(...).rope_parameters.
  test('rope_scaling wins over rope_parameters, as in transformers', () => {
    const scaling = { type: 'linear', factor: 2 };
    expect(read({ rope_scaling: { ...scaling, rope_theta: 500_000 }, rope_parameters: parameters })).toEqual({
      type: 'linear',
      factor: 2,
      theta: 500_000,
    });
    const { rope_theta: _, ...bare } = parameters;
    expect(read({ rope_scaling: scaling, rope_parameters: bare, rope_theta: 700_000 })).toMatchObject({
      type: 'linear',
      theta: 700_000,
    });
    for (const empty of [null, undefined, {}]) {
      expect(read({ rope_scaling: empty, rope_parameters: parameters })).toEqual({ type: 'default', theta: 500_000 });
    }
    expect(read({ rope_parameters: parameters, rope_theta: 300_000 }).theta).toBe(500_000);
  });

  test('a base that would be lost is refused by name', () => {
    const scaling = { rope_type: 'yarn', factor: 4 };
    expect(() => read({ rope_scaling: scaling, rope_parameters: parameters })).toThrow(
      /rope_theta would be 10000, not 500000: put the scaling into rope_parameters/,
    );
    expect(() => read({ rope_scaling: scaling, rope_parameters: parameters, rope_theta: 7 })).toThrow(
      /would be 7, not/,
    );
  });
});

describe('a head that is the embedding', () => {
  test('is asked for by name if config.json does not say so', async () => {
    putGood('model.safetensors');
    for (const tied of [false, undefined]) {
      put('config.json', { ...cases.config, tie_word_embeddings: tied });
      await refused(/lm_head\.weight is missing: .*"tie_word_embeddings": true/);
    }
  });

  test('is not taken for one if the checkpoint has a head with other values', async () => {
    putGood('config.json');
    const embedding = 'model.embed_tokens.weight';
    const withHead = (change: (head: Buffer) => void) => {
      const file = readFileSync(join(cases.good, 'model.safetensors'));
      const length = Number(file.readBigUInt64LE(0));
      const header = JSON.parse(file.subarray(8, 8 + length).toString()) as Record<string, { data_offsets: number[] }>;
      const data = file.subarray(8 + length);
      const [start = 0, end = 0] = header[embedding]?.data_offsets ?? [];
      const head = Buffer.from(data.subarray(start, end));
      change(head);
      const offsets = [data.byteLength, data.byteLength + head.byteLength];
      const text = JSON.stringify({ ...header, 'lm_head.weight': { ...header[embedding], data_offsets: offsets } });
      const padded = Buffer.from(text.padEnd(Math.ceil(text.length / 8) * 8));
      const prefix = Buffer.alloc(8);
      prefix.writeBigUInt64LE(BigInt(padded.byteLength));
      writeFileSync(join(cases.directory, 'model.safetensors'), Buffer.concat([prefix, padded, data, head]));
    };
    withHead(() => {});
    const same = await openCheckpoint(cases.directory);
    expect([same.config.model.tiedEmbeddings, same.entries.head]).toEqual([true, same.entries.embedding]);
    withHead((head) => head.writeUInt8((head.readUInt8(1) + 1) % 256, 1));
    const other = await openCheckpoint(cases.directory);
    expect([other.config.model.tiedEmbeddings, other.entries.head.name]).toEqual([false, 'lm_head.weight']);
  });
});

describe('generation_config.json', () => {
  test.each([
    [{ top_k: -1 }, { topK: 0 }],
    [{ top_k: 0 }, { topK: 0 }],
    [{ top_k: null, temperature: null, top_p: null, repetition_penalty: null }, {}],
    [
      { do_sample: false, temperature: 0.6, top_k: 2 ** 31 - 1 },
      { temperature: 0, topK: 2 ** 31 - 1 },
    ],
  ])('%j means what a request means by it', async (fields, defaults) => {
    putGood('config.json');
    put('generation_config.json', fields);
    expect((await readCheckpointConfig(cases.directory)).generation).toEqual(defaults);
  });

  test('top_k -2 is refused', async () => {
    putGood('config.json');
    put('generation_config.json', { top_k: -2 });
    await expect(readCheckpointConfig(cases.directory)).rejects.toThrow(/top_k is -2/);
  });
});

test('special_tokens_map.json says what tokenizer_config.json does not', async () => {
  for (const name of ['tokenizer.json']) copyFileSync(join(directoryOf('qwen2'), name), join(cases.directory, name));
  put('special_tokens_map.json', { eos_token: { content: '<|im_end|>' }, bos_token: '<s>' });
  put('tokenizer_config.json', { bos_token: null });
  expect((await readTokenizerDefinition(cases.directory)).config).toEqual({
    eos_token: { content: '<|im_end|>' },
    bos_token: null,
  });
});
