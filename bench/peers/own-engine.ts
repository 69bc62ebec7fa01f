/** This project's engine as one of the measured engines, over a checkpoint of its own. Knows plans and the pool. */
import { readFileSync } from 'node:fs';
import { BlockCache } from '../../src/cache/block-cache.js';
import { createEngine } from '../../src/engine/create-engine.js';
import { GREEDY } from '../../src/engine/engine.js';
import { importModel } from '../../src/model/import-model.js';
import type { WeightFormat } from '../../src/model/imported-model.js';
import type { PromptPlan } from '../../src/prompt/prompt-plan.js';
import { IMPORT_CACHE } from '../random-model.js';
import type { BenchPrompt, MeasuredEngine } from './peer-process.js';

const KV_BYTES = 1 << 30;
const SINKS = Int32Array.of(1);

export async function openOwnEngine(
  name: string,
  checkpointDir: string,
  weights: WeightFormat,
  threads: number,
): Promise<MeasuredEngine> {
  const model = await importModel({ checkpointDir, weights, cacheDir: IMPORT_CACHE });
  const { layers, kvHeads, headDim } = model.config;
  const shape = { fingerprint: model.fingerprint, layers, kvHeads, headDim, dtype: 'float16' as const };
  const cache = new BlockCache({ shape, hostBytes: 0 });
  const engine = await createEngine({ model, cache, kvDtype: 'float16', kvMemoryBytes: KV_BYTES, threads });
  return {
    name,
    async generate(prompts, newTokens) {
      const started = performance.now();
      await Promise.all(
        prompts.map(async (prompt) => {
          let made = 0;
          const sampling = { ...GREEDY, maxTokens: newTokens, ignoreEos: true };
          for await (const { type } of engine.generate({ plan: planOf(prompt), sampling })) made += +(type === 'token');
          if (made !== newTokens) throw new Error(`${name} made ${made} tokens instead of ${newTokens}`);
        }),
      );
      return performance.now() - started;
    },
    async peakBytes() {
      return 1024 * Number(/VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]);
    },
    async close() {
      await engine.close();
      await cache.close();
    },
  };
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
