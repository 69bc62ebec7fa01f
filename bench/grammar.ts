/**
 * `grammar`: what structured output costs, for the model of BLOCKSTITCH_MODEL. Decode steps of 1 and 16 requests under a
 * grammar beside the same requests without one, by turns; and the first compile of a schema of forty fields, in a fresh
 * thread that has compiled one small grammar before.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BlockCache } from '../src/cache/block-cache.js';
import { withNamedModel } from '../src/cli/named-models.js';
import { loadConfig } from '../src/config.js';
import { createEngine } from '../src/engine/create-engine.js';
import { type Engine, GREEDY } from '../src/engine/engine.js';
import { GrammarService } from '../src/grammar/grammar-service.js';
import { enforceableSchema } from '../src/grammar/json-schema.js';
import { importModel } from '../src/model/import-model.js';
import { randomTokens, THREADS, tokenTimes } from './random-model.js';
import { type BenchOptions, type BenchReport, describeMachine, median } from './report.js';

const TOKENS = 48;
const WARM_TOKENS = 4;
const STEP_RATIO = 1.05;
const COMPILE_MS = 200;
/** Allows any text, but the thread must still say so for each token. */
const ANY_LETTERS = { kind: 'regex', pattern: '[^!]*' } as const;

export async function run({ quick, progress }: BenchOptions): Promise<BenchReport> {
  const config = loadConfig();
  const checkpointDir = withNamedModel(config).model;
  const cacheDir = await mkdtemp(join(tmpdir(), 'blockstitch-bench-grammar-'));
  const model = await importModel({ checkpointDir, weights: 'int8', cacheDir });
  const { vocabSize, layers, kvHeads, headDim, eosTokenIds } = model.config;
  const grammars = new GrammarService({ checkpoint: checkpointDir, vocabSize, stopTokenIds: eosTokenIds });
  const shape = { fingerprint: model.fingerprint, layers, kvHeads, headDim, dtype: 'float16' } as const;
  const cache = new BlockCache({ shape, hostBytes: 0 });
  const engine = await createEngine({
    model,
    cache,
    kvDtype: 'float16',
    kvMemoryBytes: 1 << 28,
    threads: THREADS,
    grammars,
  });
  const medians: Record<string, number> = {};
  const ratios: Record<string, number> = {};
  const checks: BenchReport['checks'] = [];
  try {
    const { id } = await grammars.compile(ANY_LETTERS, 'regex');
    const compileMs: number[] = [];
    for (let round = 0; round < (quick ? 3 : 7); round++) {
      const started = performance.now();
      const schema = JSON.stringify(enforceableSchema(fortyFields(round), 'schema'));
      (await grammars.compile({ kind: 'json_schema', schema }, 'schema')).release();
      compileMs.push(performance.now() - started);
    }
    medians['first compile of 40 fields (ms)'] = median(compileMs);
    checks.push({
      claim: `a schema of 40 fields compiles in under ${COMPILE_MS} ms`,
      value: median(compileMs),
      holds: median(compileMs) < COMPILE_MS,
    });
    for (const requests of [1, 16]) {
      const free: number[] = [];
      const bound: number[] = [];
      for (let round = 0; round <= (quick ? 2 : 7); round++) {
        const one = await stepMs(engine, requests, round, vocabSize);
        const other = await stepMs(engine, requests, round, vocabSize, id);
        progress(
          `${requests} requests, round ${round}: ${one.toFixed(2)} ms free, ${other.toFixed(2)} ms under a grammar`,
        );
        // The first round warms up.
        if (round === 0) continue;
        free.push(one);
        bound.push(other);
      }
      // Each round against itself: other work on the machine slows both.
      const ratio = median(bound.map((ms, at) => ms / (free[at] as number)));
      medians[`step of ${requests}, free (ms)`] = median(free);
      medians[`step of ${requests}, under a grammar (ms)`] = median(bound);
      ratios[`step of ${requests}: grammar / free, median of rounds`] = ratio;
      checks.push({
        claim: `a step of ${requests} under a grammar takes under ${STEP_RATIO} free ones`,
        value: ratio,
        holds: ratio < STEP_RATIO,
      });
    }
  } finally {
    await engine.close();
    await grammars.close();
    await rm(cacheDir, { recursive: true, force: true });
  }
  return {
    name: 'grammar',
    machine: describeMachine(),
    config: { model: checkpointDir, vocabSize, threads: THREADS, tokens: TOKENS },
    medians,
    ratios,
    checks,
  };
}

/** Forty fields of four types; no two rounds have the same names. */
function fortyFields(round: number): object {
  const types = [
    { type: 'string' },
    { type: 'integer', minimum: 0, maximum: 1000 },
    { type: 'array', items: { type: 'string' } },
    { enum: ['red', 'green', 'blue'] },
  ];
  const names = Array.from({ length: 40 }, (_, index) => `field_${round}_${index}`);
  const properties = Object.fromEntries(names.map((name, index) => [name, types[index % types.length]]));
  return { type: 'object', properties, required: names, additionalProperties: false };
}

/** Median time between two tokens of an answer while all requests are decoding. */
async function stepMs(engine: Engine, requests: number, round: number, vocabSize: number, grammar?: number) {
  const answers = await Promise.all(
    Array.from({ length: requests }, async (_, index) => {
      const finalTokenIds = randomTokens(round * 100 + index + 1, 64, vocabSize);
      const plan = { attention: 'block' as const, sinkTokenIds: new Int32Array(), blocks: [], finalTokenIds };
      const sampling = { ...GREEDY, maxTokens: TOKENS };
      const events: Parameters<typeof tokenTimes>[0][number][] = [];
      const started = performance.now();
      const request = { plan, sampling, ...(grammar === undefined ? {} : { grammar }) };
      for await (const event of engine.generate(request)) events.push({ event, atMs: performance.now() - started });
      return tokenTimes(events);
    }),
  );
  const gaps = answers.flatMap((each) =>
    each.slice(WARM_TOKENS).map((at, index) => at - (each[index + WARM_TOKENS - 1] as number)),
  );
  return median(gaps);
}
