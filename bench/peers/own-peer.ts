/**
 * This project's engine as one of the measured processes: `own-peer.js CHECKPOINT WEIGHTS THREADS [STORE]`, with STORE a
 * directory for LMDB. Speaks the protocol of peer_loop.py. Knows plans, the pool and the store.
 */
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { BlockCache } from '../../src/cache/block-cache.js';
import { LmdbStore } from '../../src/cache/lmdb-store.js';
import { createEngine } from '../../src/engine/create-engine.js';
import { type Engine, GREEDY } from '../../src/engine/engine.js';
import { importModel } from '../../src/model/import-model.js';
import type { WeightFormat } from '../../src/model/imported-model.js';
import type { PromptPlan } from '../../src/prompt/prompt-plan.js';
import { API_VERSION } from '../../src/server/api-version.js';
import { IMPORT_CACHE } from '../random-model.js';
import type { BenchPrompt } from './peer-process.js';

const KV_BYTES = 1 << 30;
const SINKS = Int32Array.of(1);

type Request = { op: 'memory' } | { op: 'generate'; prompts: Sent[]; new: number };
interface Sent {
  documents: number[][];
  question: number[];
}

const [checkpointDir, weights, threads, storeDir] = process.argv.slice(2) as [string, WeightFormat, string, string?];
const model = await importModel({ checkpointDir, weights, cacheDir: IMPORT_CACHE });
const { layers, kvHeads, headDim } = model.config;
const shape = { fingerprint: model.fingerprint, layers, kvHeads, headDim, dtype: 'float16' as const };
const store = storeDir === undefined ? undefined : await LmdbStore.open(storeDir);
const cache = new BlockCache({ shape, hostBytes: 0, ...(store === undefined ? {} : { store }) });
const engine = await createEngine({
  model,
  cache,
  kvDtype: 'float16',
  kvMemoryBytes: KV_BYTES,
  threads: Number(threads),
});
say({ version: API_VERSION });
for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line) as Request;
  if (request.op === 'memory') say({ bytes: peakBytes() });
  else say({ ms: await generate(engine, request.prompts.map(promptOf), request.new) });
}
await engine.close();
await cache.close();

function say(answer: object): void {
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}

function promptOf({ documents, question }: Sent): BenchPrompt {
  return { documents: documents.map((ids) => Int32Array.from(ids)), question: Int32Array.from(question) };
}

/** Milliseconds until every prompt has its new tokens. */
async function generate(own: Engine, prompts: readonly BenchPrompt[], newTokens: number): Promise<number> {
  const plans = prompts.map(planOf);
  const started = performance.now();
  await Promise.all(
    plans.map(async (plan) => {
      let made = 0;
      const sampling = { ...GREEDY, maxTokens: newTokens, ignoreEos: true };
      for await (const { type } of own.generate({ plan, sampling })) made += +(type === 'token');
      if (made !== newTokens) throw new Error(`${made} tokens were made instead of ${newTokens}`);
    }),
  );
  return performance.now() - started;
}

function planOf({ documents, question }: BenchPrompt): PromptPlan {
  const blocks = documents.map((tokenIds) => ({ kind: 'document' as const, tokenIds }));
  return {
    attention: blocks.length === 0 ? 'full' : 'block',
    sinkTokenIds: SINKS,
    blocks,
    finalTokenIds: question,
  };
}

function peakBytes(): number {
  return 1024 * Number(/VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]);
}
