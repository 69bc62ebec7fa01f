/**
 * A checkpoint with random weights in a published model's shape, and its import. Benches of the engine run on it. It
 * stays in the temporary folder between runs: to write a gigabyte takes longer than most benches.
 * Knows where the files are. Each bench knows what it measures.
 */
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BlockCache } from '../src/cache/block-cache.js';
import { loadConfig } from '../src/config.js';
import { usableCpus } from '../src/cpu-quota.js';
import { createEngine, type EngineOptions } from '../src/engine/create-engine.js';
import type { RepairOptions } from '../src/engine/engine.js';
import { type Engine, type GenerateEvent, GREEDY, type SamplingParams } from '../src/engine/engine.js';
import { loadAddon } from '../src/kernels/load-addon.js';
import { loadCuda } from '../src/kernels/load-cuda.js';
import { importModel } from '../src/model/import-model.js';
import type { ImportedModel, WeightFormat } from '../src/model/imported-model.js';
import type { PlanBlock, PromptPlan } from '../src/prompt/prompt-plan.js';
import { type RANDOM_SHAPES, writeRandomCheckpoint } from './random-checkpoint.js';

const DIRECTORY = join(tmpdir(), 'blockstitch-bench');

/** The import cache that goes with the checkpoints. */
export const IMPORT_CACHE = join(DIRECTORY, 'imports');

/** Threads, as many as a server would take. */
export const THREADS = loadConfig().threads || usableCpus();

/** Sampling of every bench: tokens up to the limit, whatever they say. */
export const SAMPLING: SamplingParams = { ...GREEDY };

/** @returns the checkpoint's folder; writes it if it is not there yet */
export async function randomCheckpoint(
  shape: keyof typeof RANDOM_SHAPES,
  progress: (line: string) => void,
): Promise<string> {
  const directory = join(DIRECTORY, shape);
  // The weights come last, by a rename. If they are there, the rest is there.
  if (!existsSync(join(directory, 'model.safetensors'))) {
    progress(`writing a random ${shape} to ${directory}`);
    await writeRandomCheckpoint(directory, shape);
  }
  return directory;
}

export interface BenchEngine {
  model: ImportedModel;
  engine: Engine;
  close(): Promise<void>;
}

/** An engine on the random model: float16 KV, no store below the pool, every core. */
export async function randomEngine(options: {
  shape: keyof typeof RANDOM_SHAPES;
  weights: WeightFormat;
  kvMemoryBytes: number;
  /** The GPU to run on, in the checkpoint's own 16-bit type; absent: the CPU. */
  gpu?: number;
  policy?: EngineOptions['policy'];
  progress: (line: string) => void;
}): Promise<BenchEngine> {
  const { gpu } = options;
  if (gpu !== undefined) {
    loadAddon();
    loadCuda([gpu]);
  }
  const checkpointDir = await randomCheckpoint(options.shape, options.progress);
  options.progress(`importing it as ${options.weights}`);
  const model = await importModel({
    checkpointDir,
    weights: options.weights,
    ...(gpu === undefined ? {} : { activations: 'checkpoint' }),
    cacheDir: IMPORT_CACHE,
  });
  const { layers, kvHeads, headDim } = model.config;
  const shape = { fingerprint: model.fingerprint, layers, kvHeads, headDim, dtype: 'float16' as const };
  const cache = new BlockCache({ shape, hostBytes: 0 });
  const engine = await createEngine({
    model,
    cache,
    kvDtype: 'float16',
    kvMemoryBytes: options.kvMemoryBytes,
    ...(gpu === undefined ? {} : { device: { number: gpu, provider: 'cuda' } }),
    ...(options.policy ? { policy: options.policy } : {}),
    threads: THREADS,
  });
  return {
    model,
    engine,
    close: async () => {
      await engine.close();
      await cache.close();
    },
  };
}

/** Random token ids. The same seed gives the same ids. */
export function randomTokens(seed: number, length: number, vocabSize: number): Int32Array {
  let state = (seed * 2654435761) | 1;
  return Int32Array.from({ length }, () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % (vocabSize - 300);
  });
}

/** Cuts `tokens` tokens into blocks of about 200 (150 to 250). */
export function documentBlocks(seed: number, tokens: number, vocabSize: number): PlanBlock[] {
  const blocks: PlanBlock[] = [];
  for (let at = 0; at < tokens; ) {
    const length = Math.min(150 + ((seed * 37 + blocks.length * 53) % 101), tokens - at);
    blocks.push({ kind: 'document', tokenIds: randomTokens(seed * 1000 + blocks.length, length, vocabSize) });
    at += length;
  }
  return blocks;
}

/** Runs one request to its end. @returns its events and their times, in milliseconds from submission */
export async function timed(
  engine: Engine,
  plan: PromptPlan,
  sampling: Partial<SamplingParams> = {},
  repair?: RepairOptions,
): Promise<{ event: GenerateEvent; atMs: number }[]> {
  const start = performance.now();
  const events: { event: GenerateEvent; atMs: number }[] = [];
  const request = {
    plan,
    sampling: { ...SAMPLING, ...sampling },
    ...(repair === undefined ? {} : { repair }),
  };
  for await (const event of engine.generate(request)) events.push({ event, atMs: performance.now() - start });
  return events;
}

/** Times of the tokens, in milliseconds from submission; the first one is the TTFT. */
export function tokenTimes(events: readonly { event: GenerateEvent; atMs: number }[]): number[] {
  return events.flatMap(({ event, atMs }) => (event.type === 'token' ? [atMs] : []));
}
