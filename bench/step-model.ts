/** Runs an imported graph step by step over a KV pool, as the engine's worker does: for the model tests. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { GraphDraws } from '../src/engine/sampling/graph-draws.js';
import { ModelRunner } from '../src/engine/worker/model-runner.js';
import type { ModelOutput } from '../src/engine/worker/step-batch.js';
import { KvPool } from '../src/kernels/kv-pool.js';
import { loadAddon } from '../src/kernels/load-addon.js';
import type { KvDtype } from '../src/kernels/native-addon.js';
import { encodeStepMetadata, type Segment, type StepSequence } from '../src/kernels/step-metadata.js';
import { importModel } from '../src/model/import-model.js';
import type { ImportedModel, WeightFormat } from '../src/model/imported-model.js';
import type { ByteForm } from '../src/model/signed-bytes.js';

export interface GoldenPlan {
  sinks: number[];
  blocks: number[][];
  shuffled: number[];
  final: number[];
}

/** The plan, and the float32 matrices of one of the golden files, by name. */
export async function readGolden(
  directory: string,
  logitsFile = 'golden.safetensors',
): Promise<{ plan: GoldenPlan; logits: Map<string, Float32Array> }> {
  const plan = JSON.parse(await readFile(join(directory, 'golden.json'), 'utf8')) as GoldenPlan;
  const file = await readFile(join(directory, logitsFile));
  const headerBytes = Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.subarray(8, 8 + headerBytes).toString()) as Record<
    string,
    { data_offsets: [number, number] }
  >;
  const logits = new Map<string, Float32Array>();
  for (const [name, entry] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    const [begin, end] = entry.data_offsets;
    const bytes = Uint8Array.from(file.subarray(8 + headerBytes + begin, 8 + headerBytes + end));
    logits.set(name, new Float32Array(bytes.buffer));
  }
  return { plan, logits };
}

export interface Run {
  tokens: readonly number[];
  sequence: StepSequence;
}

export class StepModel {
  readonly model: ImportedModel;
  readonly pool: KvPool;
  readonly #runner: ModelRunner;
  readonly #cacheDir: string;
  #nextPage = 0;

  private constructor(model: ImportedModel, pool: KvPool, runner: ModelRunner, cacheDir: string) {
    this.model = model;
    this.pool = pool;
    this.#runner = runner;
    this.#cacheDir = cacheDir;
  }

  static async open(
    checkpointDir: string,
    kvDtype: KvDtype = 'float32',
    weights: WeightFormat = 'fp32',
    adapterDir?: string,
    byteForm?: ByteForm,
  ): Promise<StepModel> {
    const addon = loadAddon();
    const cacheDir = await mkdtemp(join(tmpdir(), 'blockstitch-step-model-'));
    const model = await importModel({
      checkpointDir,
      weights,
      cacheDir,
      ...(adapterDir ? { adapterDir } : {}),
      ...(byteForm ? { byteForm } : {}),
    });
    const { layers, kvHeads, headDim } = model.config;
    const pool = new KvPool(addon, { pages: 256, pageTokens: 16, layers, kvHeads, headDim, dtype: kvDtype });
    return new StepModel(model, pool, await ModelRunner.create(model, 2), cacheDir);
  }

  pages(tokens: number): Int32Array {
    const pages = Int32Array.from({ length: this.pool.pagesFor(tokens) }, (_, index) => this.#nextPage + index);
    this.#nextPage += pages.length;
    return pages;
  }

  /** Hands all pages out again from the first: whatever lies in them is no longer needed. */
  forgetPages(): void {
    this.#nextPage = 0;
  }

  /** Logits of every new row of one step, [rows, vocab]. */
  async step(runs: readonly Run[]): Promise<Float32Array> {
    return Float32Array.from((await this.run(runs)).logits ?? []);
  }

  /** All outputs of one step, for every new row. */
  async run(runs: readonly Run[], draws?: GraphDraws): Promise<ModelOutput> {
    const inputIds = Int32Array.from(runs.flatMap((run) => run.tokens));
    return this.#runner.run({
      inputIds,
      metadata: encodeStepMetadata(
        this.pool.id,
        runs.map((run) => run.sequence),
      ),
      logitRows: Int32Array.from(inputIds, (_, row) => row),
      topK: 1,
      fullRows: true,
      ...(draws === undefined ? {} : { draws }),
    });
  }

  /** Prefills `tokens` behind `segments` in chunks; @returns the pages and the logits of all rows */
  async prefill(tokens: readonly number[], position: number, segments: readonly Segment[], chunk: number) {
    const pages = this.pages(tokens.length);
    const rows: Float32Array[] = [];
    for (let past = 0; past < tokens.length; past += chunk) {
      const part = tokens.slice(past, past + chunk);
      const sequence = { rows: part.length, segments, tail: { pages, position, past } };
      rows.push(await this.step([{ tokens: part, sequence }]));
    }
    const logits = new Float32Array(rows.reduce((sum, each) => sum + each.length, 0));
    let at = 0;
    for (const each of rows) {
      logits.set(each, at);
      at += each.length;
    }
    return { pages, logits };
  }

  async close(): Promise<void> {
    await this.#runner.release();
    this.pool.destroy();
    await rm(this.#cacheDir, { recursive: true, force: true });
  }
}

/** Largest absolute difference over the range of `expected`. */
export function relativeDifference(actual: Float32Array, expected: Float32Array): number {
  if (actual.length !== expected.length) throw new TypeError(`${actual.length} values, ${expected.length} expected`);
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  let worst = 0;
  for (const [index, value] of expected.entries()) {
    low = Math.min(low, value);
    high = Math.max(high, value);
    const difference = Math.abs((actual[index] as number) - value);
    worst = Number.isNaN(difference) ? Number.POSITIVE_INFINITY : Math.max(worst, difference);
  }
  return worst / (high - low);
}
