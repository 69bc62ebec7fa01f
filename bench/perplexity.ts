/**
 * `perplexity`: what each weight format, each KV type and each CPU kernel level costs in quality, on real texts. Perplexity is
 * exp of the mean of -log p over all tokens but the first of each text (arXiv 2006.10369, equation 1), with full attention.
 * Weight formats are compared with float32 KV, KV types with fp32 weights. Kernels that multiply in bfloat16 do so with
 * every KV type but float32: each of these is measured with exact products too.
 * Texts: the first document of each row of `--data` (JSONL, `documents: [{text}]`), else paragraphs of this project's docs.
 */
import { readFile } from 'node:fs/promises';
import { withNamedModel } from '../src/cli/named-models.js';
import { loadConfig } from '../src/config.js';
import { loadAddon } from '../src/kernels/load-addon.js';
import type { KernelLevel, KvDtype } from '../src/kernels/native-addon.js';
import type { WeightFormat } from '../src/model/imported-model.js';
import { readTokenizerDefinition } from '../src/text/read-tokenizer.js';
import { Tokenizer } from '../src/text/tokenizer.js';
import { proseOf } from './prose.js';
import { type BenchOptions, type BenchReport, describeMachine } from './report.js';
import { StepModel } from './step-model.js';

const FORMATS: readonly WeightFormat[] = ['fp32', 'native', 'int8', 'int4'];
const KV_DTYPES: readonly KvDtype[] = ['float16', 'bfloat16', 'int8'];
const TEXTS = 50;
const MOST_TOKENS = 400;
const LEAST_CHARACTERS = 300;
/** Tokens in a step: their logits take 4 bytes for each token of the vocabulary. */
const CHUNK = 100;

export async function run({ quick, progress, data }: BenchOptions): Promise<BenchReport> {
  const config = loadConfig();
  const checkpoint = withNamedModel(config).model;
  const tokenizer = new Tokenizer(await readTokenizerDefinition(checkpoint));
  const all = data === undefined ? paragraphs() : await documentsOf(data);
  const texts = all.slice(0, quick ? 5 : TEXTS).map((text) => [...tokenizer.encode(text)].slice(0, MOST_TOKENS));
  const medians: Record<string, number> = {};
  const ratios: Record<string, number> = {};
  let exact = Number.NaN;
  const measure = async (name: string, weights: WeightFormat, kvDtype: KvDtype) => {
    const model = await StepModel.open(checkpoint, kvDtype, weights);
    const started = performance.now();
    const perplexity = await perplexityOf(model, texts);
    const seconds = (performance.now() - started) / 1000;
    await model.close();
    if (name === 'fp32') exact = perplexity;
    medians[`${name} perplexity`] = perplexity;
    ratios[`${name} / fp32`] = perplexity / exact;
    progress(`${name}: perplexity ${perplexity.toFixed(3)}, ${seconds.toFixed(0)} s`);
  };
  for (const weights of FORMATS) await measure(weights, weights, 'float32');
  // As a server has it, if nobody says otherwise.
  await measure('int8 weights, float16 KV', 'int8', 'float16');
  const addon = loadAddon();
  const level = addon.kernelLevel();
  const levels: readonly KernelLevel[] = level === 'avx512-bf16' ? [level, 'avx512'] : [level];
  for (const kvDtype of KV_DTYPES) {
    for (const each of levels) {
      addon.setKernelLevel(each);
      await measure(`${kvDtype} KV, ${each}`, 'fp32', kvDtype);
    }
    addon.setKernelLevel(level);
  }
  const tokens = texts.reduce((sum, text) => sum + text.length, 0);
  return {
    name: 'perplexity',
    machine: describeMachine(),
    config: { model: checkpoint, texts: texts.length, tokens, source: data ?? 'docs' },
    medians,
    ratios,
    checks: [],
  };
}

async function perplexityOf(model: StepModel, texts: readonly (readonly number[])[]): Promise<number> {
  let sum = 0;
  let count = 0;
  for (const tokens of texts) {
    model.forgetPages();
    const { logits } = await model.prefill(tokens, 0, [], CHUNK);
    const vocabulary = logits.length / tokens.length;
    for (let at = 0; at + 1 < tokens.length; at++) {
      const row = logits.subarray(at * vocabulary, (at + 1) * vocabulary);
      sum += logSumExp(row) - (row[tokens[at + 1] as number] as number);
      count += 1;
    }
  }
  return Math.exp(sum / count);
}

function logSumExp(row: Float32Array): number {
  let greatest = Number.NEGATIVE_INFINITY;
  for (const value of row) if (value > greatest) greatest = value;
  let sum = 0;
  for (const value of row) sum += Math.exp(value - greatest);
  return greatest + Math.log(sum);
}

async function documentsOf(file: string): Promise<string[]> {
  const lines = (await readFile(file, 'utf8')).split('\n').filter((line) => line.trim() !== '');
  const texts = lines.map((line) => (JSON.parse(line) as { documents: { text: string }[] }).documents[0]?.text ?? '');
  return [...new Set(texts)].filter((text) => text.length >= LEAST_CHARACTERS);
}

function paragraphs(): string[] {
  return proseOf(400_000)
    .split('\n\n')
    .filter((text) => text.length >= LEAST_CHARACTERS && !text.startsWith('|'));
}
