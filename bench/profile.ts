/**
 * `profile`: where a token's time goes, by ONNX Runtime's own profile of the graph: products, attention, what stands
 * between two products, the rest, and what is outside all operators. Beside it the ceilings of this machine in the same
 * run: products of bytes and of float32 by the library's best call, in the shape of the model's largest layer.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { withNamedModel } from '../src/cli/named-models.js';
import { loadConfig } from '../src/config.js';
import { encodeDraws } from '../src/engine/sampling/graph-draws.js';
import { KvPool } from '../src/kernels/kv-pool.js';
import { loadAddon } from '../src/kernels/load-addon.js';
import { encodeStepMetadata, type StepSequence } from '../src/kernels/step-metadata.js';
import { GraphBuilder } from '../src/model/graph-builder.js';
import { importModel } from '../src/model/import-model.js';
import type { ImportedModel } from '../src/model/imported-model.js';
import { encodeModel } from '../src/model/onnx-schema.js';
import { sessionOptions } from '../src/model/session-options.js';
import { loadRuntime } from '../src/onnx-runtime.js';
import { QUESTION_TOKENS } from './peers/cases.js';
import { IMPORT_CACHE, THREADS } from './random-model.js';
import { type BenchOptions, type BenchReport, describeMachine, median } from './report.js';

/** Which part of the work an operator is. */
const PARTS: Record<string, string> = {
  MatMulInteger: 'products',
  MatMulNBits: 'products',
  Gemm: 'products',
  BlockAttention: 'attention',
  ByteBlockAttention: 'attention',
  QuantizeRows: 'between products',
  NormQuantizeRows: 'between products',
  AddNormQuantizeRows: 'between products',
  GateQuantizeRows: 'between products',
  DequantizeRows: 'between products',
  DequantizeQkv: 'between products',
  SimplifiedLayerNormalization: 'between products',
  SkipSimplifiedLayerNormalization: 'between products',
  QuickGelu: 'between products',
  Mul: 'between products',
  Split: 'between products',
};

/** Steps of one kind: rows of each step, and tokens that its sequences have behind them at first. */
interface Load {
  name: string;
  /** Sequences side by side. */
  sequences: number;
  rows: number;
  behind: number;
  steps: number;
}

const PAGE_TOKENS = 16;
/** Rows of a step, as many as a server puts into one (`--max-batch-tokens`). */
const STEP_TOKENS = loadConfig().maxBatchTokens;
const CEILING_ROWS = 512;

export async function run({ quick, progress, model: named }: BenchOptions): Promise<BenchReport> {
  loadAddon();
  const config = loadConfig();
  const checkpoint = withNamedModel({ ...config, model: named ?? config.model, adapter: 'none' }).model;
  const model = await importModel({ checkpointDir: checkpoint, weights: config.weights, cacheDir: IMPORT_CACHE });
  const prefill = (tokens: number): Load => ({
    name: `prefill ${tokens}`,
    sequences: 1,
    rows: Math.min(tokens, STEP_TOKENS),
    behind: 0,
    steps: Math.ceil(tokens / STEP_TOKENS),
  });
  const decode = (sequences: number, behind: number): Load => ({
    name: sequences === 1 ? `decode, ${behind} behind` : `decode, ${sequences} sequences, ${behind} behind`,
    sequences,
    rows: 1,
    behind,
    steps: 32,
  });
  const question = (behind: number): Load => ({
    name: `question of ${QUESTION_TOKENS}, ${behind} behind`,
    sequences: 1,
    rows: QUESTION_TOKENS,
    behind,
    steps: 4,
  });
  const long = quick ? 2000 : 8000;
  const prefills = [prefill(512), prefill(2048), prefill(long)];
  const loads = [...prefills, question(long), decode(1, 16), decode(1, long), decode(16, 512)];
  const medians: Record<string, number> = {};
  const ratios: Record<string, number> = {};
  const rounds = quick ? 2 : 5;
  for (const load of loads) {
    progress(load.name);
    const taken = await profiled(model, load, rounds);
    const tokens = load.sequences * load.rows * load.steps;
    const total = [...taken.values()].reduce((sum, each) => sum + each, 0);
    medians[`${load.name}: tokens a second`] = (tokens / total) * 1e6;
    for (const [part, microseconds] of taken) medians[`${load.name}: ${part}, us a token`] = microseconds / tokens;
    for (const [part, microseconds] of taken) ratios[`${load.name}: share of ${part}`] = microseconds / total;
  }
  progress('ceilings');
  const ceilings = await productCeilings(model, quick ? 3 : 9, THREADS);
  Object.assign(medians, ceilings);
  const { hiddenSize, intermediateSize, heads, kvHeads, headDim, layers } = model.config;
  const weights = layers * (hiddenSize * headDim * (2 * heads + 2 * kvHeads) + 3 * hiddenSize * intermediateSize);
  const floor = (2 * weights) / (ceilings['bytes, 10^9 operations a second'] as number) / 1e3;
  medians['floor of products of bytes, us a token'] = floor;
  ratios['floor / products, prefill 512'] = floor / (medians['prefill 512: products, us a token'] as number);
  return {
    name: 'profile',
    machine: describeMachine(),
    config: { model: checkpoint, weights: model.weights, threads: THREADS, rowsOfAStep: STEP_TOKENS, rounds },
    medians,
    ratios,
    checks: [],
  };
}

interface ProfileEvent {
  cat: string;
  dur: number;
  name: string;
  args?: { op_name?: string };
}

/** Microseconds of all steps by part, medians over the rounds. */
async function profiled(model: ImportedModel, load: Load, rounds: number): Promise<Map<string, number>> {
  const runtime = await loadRuntime();
  const directory = mkdtempSync(join(tmpdir(), 'blockstitch-profile-'));
  const { layers, kvHeads, headDim } = model.config;
  const most = load.behind + load.rows * load.steps + PAGE_TOKENS;
  const pagesEach = Math.ceil(most / PAGE_TOKENS);
  const shape = { pageTokens: PAGE_TOKENS, layers, kvHeads, headDim, dtype: 'float16' as const };
  const pool = new KvPool(loadAddon(), { ...shape, pages: pagesEach * load.sequences });
  const pages = Array.from({ length: load.sequences }, (_, sequence) =>
    Int32Array.from({ length: pagesEach }, (_, page) => sequence * pagesEach + page),
  );
  const found: Map<string, number>[] = [];
  try {
    for (let round = 0; round <= rounds; round++) {
      const session = await runtime.InferenceSession.create(model.graphPath, {
        ...sessionOptions(THREADS),
        enableProfiling: true,
        profileFilePrefix: join(directory, `round-${round}`),
      });
      const step = async (rows: number, past: number) => {
        const sequences: StepSequence[] = pages.map((own) => ({
          rows,
          segments: [],
          tail: { pages: own, position: 0, past },
        }));
        const ids = BigInt64Array.from({ length: rows * load.sequences }, (_, row) =>
          BigInt(100 + ((row * 7919) % 1000)),
        );
        const draws = encodeDraws(new Array(load.sequences));
        await session.run(
          {
            input_ids: new runtime.Tensor('int64', ids, [ids.length]),
            step_metadata: tensorOf(runtime, encodeStepMetadata(pool.id, sequences)),
            logit_rows: new runtime.Tensor(
              'int64',
              BigInt64Array.from({ length: load.sequences }, (_, sequence) => BigInt((sequence + 1) * rows - 1)),
              [load.sequences],
            ),
            top_k: new runtime.Tensor('int64', BigInt64Array.of(1n), [1]),
            draw_rules: new runtime.Tensor('float64', draws.rules, [load.sequences, 5]),
            adjusted_from: new runtime.Tensor('int32', draws.adjustedFrom, [load.sequences + 1]),
            adjusted: new runtime.Tensor('int32', draws.adjusted, [draws.adjusted.length / 3, 3]),
          },
          ['top_ids'],
        );
      };
      for (let past = 0; past < load.behind; past += STEP_TOKENS)
        await step(Math.min(STEP_TOKENS, load.behind - past), past);
      // Every width of a step is met once before it counts.
      await step(load.rows, load.behind);
      const startMs = performance.now();
      for (let index = 0; index < load.steps; index++) await step(load.rows, load.behind + index * load.rows);
      const wallUs = (performance.now() - startMs) * 1000;
      session.endProfiling();
      await session.release();
      if (round > 0) found.push(byPart(directory, round, load.steps, wallUs));
    }
  } finally {
    pool.destroy();
    rmSync(directory, { recursive: true, force: true });
  }
  const parts = new Set(found.flatMap((each) => [...each.keys()]));
  return new Map([...parts].map((part) => [part, median(found.map((each) => each.get(part) ?? 0))]));
}

function tensorOf(runtime: typeof import('onnxruntime-node'), values: Int32Array) {
  return new runtime.Tensor('int32', values, [values.length]);
}

/** The last `steps` runs of one profile. */
function byPart(directory: string, round: number, steps: number, wallUs: number): Map<string, number> {
  const file = profileOf(directory, round);
  const events = JSON.parse(readFileSync(file, 'utf8')) as ProfileEvent[];
  const kernels = events.filter(({ cat, name }) => cat === 'Node' && name.endsWith('_kernel_time'));
  const runs = events.filter(({ name }) => name === 'model_run').length;
  const perRun = kernels.length / runs;
  const parts = new Map<string, number>();
  let inside = 0;
  for (const { dur, args } of kernels.slice(-steps * perRun)) {
    const part = PARTS[args?.op_name ?? ''] ?? 'the rest';
    parts.set(part, (parts.get(part) ?? 0) + dur);
    inside += dur;
  }
  parts.set('outside operators', Math.max(0, wallUs - inside));
  return parts;
}

function profileOf(directory: string, round: number): string {
  const name = readdirSync(directory).find((each) => each.startsWith(`round-${round}_`));
  if (name === undefined) throw new Error('ONNX Runtime wrote no profile');
  return join(directory, name);
}

/** 10^9 operations a second of one product with 512 rows, in the shape of gate and up. A multiply-add counts as two. */
export async function productCeilings(
  model: ImportedModel,
  rounds: number,
  threads: number,
): Promise<Record<string, number>> {
  loadAddon();
  const { hiddenSize: inputs, intermediateSize } = model.config;
  const outputs = 2 * intermediateSize;
  const runtime = await loadRuntime();
  const bytes = new Uint8Array(CEILING_ROWS * inputs).map((_, index) => index * 31);
  const found: Record<string, number> = {};
  for (const type of ['bytes', 'float32'] as const) {
    const graph = new GraphBuilder();
    const isBytes = type === 'bytes';
    const rows = graph.input('rows', isBytes ? 'uint8' : 'float32', [CEILING_ROWS, inputs]);
    const values = Int8Array.from({ length: inputs * outputs }, (_, index) => (index * 37) % 127);
    const weight = isBytes
      ? graph.inline('weight', 'int8', [inputs, outputs], new Uint8Array(values.buffer))
      : graph.float32('weight', [inputs, outputs], Float32Array.from(values));
    if (isBytes)
      graph.node('MatMulInteger', 'product', [rows, weight, graph.byte('zero', 128)], { outputs: ['product'] });
    else graph.node('MatMul', 'product', [rows, weight], { outputs: ['product'] });
    // One row leaves the graph: to hand over all of them would cost more than the product.
    graph.node('Gather', 'last', ['product', graph.int64('row', [0])], { outputs: ['last'] });
    graph.output('last', isBytes ? 'int32' : 'float32', [1, outputs]);
    const session = await runtime.InferenceSession.create(
      encodeModel(graph.build('ceiling', {})),
      sessionOptions(threads),
    );
    const tensor = isBytes
      ? new runtime.Tensor('uint8', bytes, [CEILING_ROWS, inputs])
      : new runtime.Tensor('float32', Float32Array.from(bytes), [CEILING_ROWS, inputs]);
    const seconds: number[] = [];
    for (let round = 0; round < rounds + 2; round++) {
      const startMs = performance.now();
      for (let each = 0; each < 20; each++) await session.run({ rows: tensor });
      if (round > 1) seconds.push((performance.now() - startMs) / 1000 / 20);
    }
    await session.release();
    found[`${type}, 10^9 operations a second`] = (2 * CEILING_ROWS * inputs * outputs) / median(seconds) / 1e9;
  }
  return found;
}
