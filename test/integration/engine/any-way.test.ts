/**
 * The promise that a cache must keep: greedy output depends on the prompt plan alone. Everything else is random: the
 * requests, the order of documents, the requests beside one, evictions from each tier, failures of the store, clients
 * that leave early. The engine, its addon, LMDB and Redis are real.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { BlockCache } from '../../../src/cache/block-cache.js';
import { payloadBytes } from '../../../src/cache/block-codec.js';
import type { ByteStore } from '../../../src/cache/byte-store.js';
import { LmdbStore } from '../../../src/cache/lmdb-store.js';
import { RedisStore } from '../../../src/cache/redis-store.js';
import type { CacheTier } from '../../../src/cache/tiers.js';
import { createEngine } from '../../../src/engine/create-engine.js';
import { type Engine, GREEDY } from '../../../src/engine/engine.js';
import { importModel } from '../../../src/model/import-model.js';
import type { ImportedModel } from '../../../src/model/imported-model.js';
import type { PlanBlock, PromptPlan } from '../../../src/prompt/prompt-plan.js';
import { type Fault, FaultyStore } from '../../support/faulty-store.js';
import { startRedis, type TestRedis } from '../../support/redis-server.js';

const ALL = { prefix: '' };

const CHECKPOINT = join(import.meta.dirname, '../../fixtures/checkpoints/qwen3-norm');
const KV_DTYPE = 'float16';
/** 16 tokens of 2 layers of keys and values of 2 heads of 48 dimensions of 2 bytes. */
const PAGE_BYTES = 16 * 2 * 2 * 2 * 48 * 2;
/** Room for two or three requests at once: blocks are evicted and requests preempted all the time. */
const PAGES = 20;
/** Room for one or two blocks: the host tier evicts too, and most blocks come from the store. */
const HOST_BYTES = 3 * PAGE_BYTES;
const LONGEST_BLOCK = 37;

const directory = mkdtempSync(join(tmpdir(), 'blockstitch-any-way-'));
let model: ImportedModel;
let reference: Engine;
let referenceCache: BlockCache;

beforeAll(async () => {
  model = await importModel({ checkpointDir: CHECKPOINT, weights: 'int8', cacheDir: join(directory, 'imports') });
  const cache = new BlockCache({ shape: shapeOf(model), hostBytes: 0 });
  referenceCache = cache;
  const memory = { kvDtype: KV_DTYPE, kvMemoryBytes: 64 * PAGE_BYTES, threads: 1 } as const;
  reference = await createEngine({ model, cache, ...memory });
});
afterAll(async () => {
  await reference.close();
  rmSync(directory, { recursive: true, force: true });
});

function shapeOf({ fingerprint, config: { layers, kvHeads, headDim } }: ImportedModel) {
  return { fingerprint, layers, kvHeads, headDim, dtype: KV_DTYPE } as const;
}

interface Draw {
  /** Documents by name; the same name is the same text. */
  documents: number[];
  final: number;
  maxTokens: number;
  attention: 'block' | 'full';
  sinks: number;
  tenant: string;
  /** Tokens after which the client leaves. */
  leavesAfter: number | undefined;
  deadlineMs: number | undefined;
}

const documentOf = (name: number): PlanBlock => ({
  kind: 'document',
  tokenIds: Int32Array.from({ length: 1 + ((name * 12) % LONGEST_BLOCK) }, (_, at) => (name * 31 + at * at * 7) % 180),
});

function planOf(draw: Draw): PromptPlan {
  return {
    attention: draw.attention,
    sinkTokenIds: Int32Array.from({ length: draw.sinks }, (_, index) => index * 5 + 1),
    blocks: draw.documents.map(documentOf),
    finalTokenIds: Int32Array.from({ length: 1 + (draw.final % 7) }, (_, at) => (draw.final * 13 + at * 3) % 180),
  };
}

async function generate(engine: Engine, draw: Draw): Promise<{ tokens: number[]; reason: string }> {
  const sampling = { ...GREEDY, maxTokens: draw.maxTokens };
  const leave = new AbortController();
  const tokens: number[] = [];
  let reason = '';
  const request = {
    plan: planOf(draw),
    sampling,
    scope: { tenant: draw.tenant, salt: '' },
    ...(draw.deadlineMs === undefined ? {} : { deadlineMs: draw.deadlineMs }),
  };
  if (draw.leavesAfter === 0) leave.abort();
  for await (const event of engine.generate(request, leave.signal)) {
    if (event.type === 'token') tokens.push(event.tokenId);
    if (event.type === 'finish') reason = event.reason;
    if (draw.leavesAfter !== undefined && tokens.length >= draw.leavesAfter) leave.abort();
  }
  return { tokens, reason };
}

const expected = new Map<string, Promise<number[]>>();
let line: Promise<unknown> = Promise.resolve();

/** What a plan gives from nothing cached, served alone. */
function expectedTokens(draw: Draw): Promise<number[]> {
  const { documents, final, maxTokens, attention, sinks } = draw;
  const name = JSON.stringify([documents, final, maxTokens, attention, sinks]);
  let tokens = expected.get(name);
  if (tokens === undefined) {
    tokens = line.then(async () => {
      await referenceCache.forget(ALL);
      return (await generate(reference, { ...draw, leavesAfter: undefined, deadlineMs: undefined })).tokens;
    });
    line = tokens;
    expected.set(name, tokens);
  }
  return tokens;
}

const draws: fc.Arbitrary<Draw> = fc.record({
  documents: fc.array(fc.nat(5), { maxLength: 4 }),
  final: fc.nat(3),
  maxTokens: fc.constantFrom(1, 4, 9, 40),
  attention: fc.constantFrom('block' as const, 'block' as const, 'block' as const, 'full' as const),
  sinks: fc.constantFrom(0, 2),
  tenant: fc.constantFrom('', '', 'other'),
  leavesAfter: fc.constantFrom(undefined, undefined, undefined, undefined, 0, 1, 3),
  deadlineMs: fc.constantFrom(undefined, undefined, undefined, undefined, undefined, undefined, 3, 20),
});

/** Rounds of draws at most, until all that is to be met has been met. */
const MOST_ROUNDS = 10;
const FAULTS: Fault[] = ['none', 'throws', 'hangs', 'damages', 'slow'];

type Action =
  | { do: 'ask'; draw: Draw }
  | { do: 'await' }
  | { do: 'ingest'; documents: number[]; sinks: number }
  | { do: 'evict'; tiers: CacheTier[]; some: boolean }
  | { do: 'break'; fault: Fault }
  | { do: 'kill' };

const actions: fc.Arbitrary<Action> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: fc.constant('ask' as const), draw: draws }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('await' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('ingest' as const),
      documents: fc.array(fc.nat(5), { minLength: 1, maxLength: 3 }),
      sinks: fc.constantFrom(0, 2),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('evict' as const),
      tiers: fc.constantFrom<CacheTier[]>(['pool'], ['pool'], ['host', 'store'], ['pool', 'host', 'store']),
      some: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('break' as const),
      fault: fc.constantFrom<Fault>('none', 'none', ...FAULTS),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('kill' as const) }) },
);

/** Every fault at least once where it matters: while all blocks come from the store. */
function throughFault(fault: Fault): Action[] {
  const ask = (documents: number[], maxTokens = 4): Action => ({
    do: 'ask',
    draw: { ...{ documents, maxTokens, final: 1, attention: 'block', sinks: 2, tenant: '' }, ...STAYS },
  });
  const all = [ask([0, 1, 2, 3]), ask([4, 5, 3], 40), ask([5, 2], 40), ask([3, 1, 4], 40)];
  const again: Action[] = [{ do: 'await' }, { do: 'evict', tiers: ['pool'], some: false }];
  return [...all, ...again, { do: 'break', fault }, ...all, ...again, { do: 'break', fault: 'none' }, ...all];
}

const STAYS = { leavesAfter: undefined, deadlineMs: undefined };
/** A store, and what kills and revives the server behind it. */
interface Place {
  store: ByteStore;
  kill(): Promise<void>;
  revive(): Promise<void>;
  close(): Promise<void>;
}

async function lmdbPlace(): Promise<Place> {
  const store = await LmdbStore.open(join(directory, 'store'));
  return { store, kill: async () => {}, revive: async () => {}, close: async () => {} };
}

async function redisPlace(): Promise<Place> {
  let server: TestRedis | undefined = await startRedis();
  const { url, port } = server;
  const client = new Redis(url, { maxRetriesPerRequest: 1, retryStrategy: () => 10, commandTimeout: 200 });
  client.on('error', () => undefined);
  return {
    store: new RedisStore({ client, ttlSeconds: 0 }),
    async kill() {
      await server?.stop();
      server = undefined;
    },
    async revive() {
      if (server !== undefined) return;
      server = await startRedis(port);
      // Not `once` of node:events: it rejects where a last try fails before the server is back.
      if (client.status !== 'ready') await new Promise((resolve) => client.once('ready', resolve));
    },
    async close() {
      client.disconnect();
      await server?.stop();
    },
  };
}

describe.each<[string, () => Promise<Place>]>([
  ['LMDB', lmdbPlace],
  ['Redis', redisPlace],
])('over %s', (_, openPlace) => {
  test('greedy output never depends on what was cached, how it came, or who else was served', async () => {
    const place = await openPlace();
    onTestFinished(() => place.close());
    const store = new FaultyStore(place.store);
    const cache = new BlockCache({
      shape: shapeOf(model),
      store,
      hostBytes: HOST_BYTES,
      breaker: { threshold: 2, restMs: 20, timeoutMs: 60 },
      cost: { leastWaitMs: 15, mostWaitMs: 40, probeMs: 50 },
    });
    const engine = await createEngine({
      ...{ model, cache, kvDtype: KV_DTYPE, kvMemoryBytes: (PAGES + 1) * PAGE_BYTES, threads: 1, promptLookup: true },
      policy: { maxBatchTokens: 48, maxRunning: 4, mixedPrefillTokens: 24, ingestTokens: 24, ingestSliceTokens: 8 },
    });
    const seen = new Set<string>();
    const draws = fc.asyncProperty(fc.array(actions, { minLength: 8, maxLength: 40 }), async (drawn) => {
      const asked: { draw: Draw; answer: Promise<{ tokens: number[]; reason: string }> }[] = [];
      const others: Promise<unknown>[] = [];
      for (const action of drawn) {
        if (action.do === 'ask') asked.push({ draw: action.draw, answer: generate(engine, action.draw) });
        else if (action.do === 'await') await Promise.all(asked.map(({ answer }) => answer));
        else if (action.do === 'kill') await place.kill();
        else if (action.do === 'break') {
          Object.assign(store, { fault: action.fault, delayMs: 10 });
          if (action.fault === 'none') await place.revive();
        } else if (action.do === 'evict') {
          const sinks = Int32Array.from([1, 6]);
          const keys = [0, 2, 4].map((name) => engine.blockKey(documentOf(name).tokenIds, sinks));
          others.push(cache.forget(action.some ? { keys } : ALL, new Set(action.tiers)));
        } else {
          const sinkTokenIds = Int32Array.from({ length: action.sinks }, (__, index) => index * 5 + 1);
          const ingested = engine.ingest(action.documents.map(documentOf), { sinkTokenIds });
          const failed = (error: { code?: string }) =>
            expect(['store_failed', 'deleted_meanwhile']).toContain(error.code);
          others.push(ingested.catch(failed));
        }
      }
      store.fault = 'none';
      await place.revive();
      for (const { draw, answer } of asked) {
        const { tokens, reason } = await answer;
        const whole = await expectedTokens(draw);
        seen.add(reason);
        if (reason === 'length') expect(tokens).toEqual(whole);
        else {
          expect(reason === 'cancelled' ? draw.leavesAfter : draw.deadlineMs).toBeDefined();
          expect(tokens).toEqual(whole.slice(0, tokens.length));
        }
      }
      await Promise.all(others);
      await expect.poll(async () => engine.statistics().pool.activePages, { timeout: 120_000, interval: 5 }).toBe(0);
      // The next draw begins with a store that is well: a call of each kind closes the breakers.
      await expect
        .poll(async () => {
          await cache.computed('nobody', async () => ({
            tokens: 1,
            payload: new Uint8Array(payloadBytes(shapeOf(model), 1)),
          }));
          await cache.forget({ keys: ['nobody'] });
          const nothing = await cache.hold('nobody');
          if (!nothing.found) await nothing.release();
          return (await cache.statistics()).store?.breaker;
        })
        .toBe('closed');
      const { running, waiting } = engine.statistics();
      expect({ running, waiting }).toEqual({ running: 0, waiting: 0 });
    });
    const missing = async () => {
      const { hitTokens } = engine.statistics();
      const tiers = await cache.statistics();
      const reached = [hitTokens.pool, hitTokens.host, hitTokens.store, tiers.store?.corrupt, tiers.store?.failures];
      return seen.size < 3 || reached.some((count) => !count);
    };
    // Chance and speed decide which of it one round of draws meets (a fast machine computes sooner than it loads).
    for (let round = 0; round < MOST_ROUNDS && (round === 0 || (await missing())); round++) {
      await fc.assert(draws, {
        numRuns: 30,
        endOnFailure: true,
        examples: FAULTS.map((fault) => [throughFault(fault)]),
      });
    }
    const { hitTokens } = engine.statistics();
    const tiers = await cache.statistics();
    // The draws must have reached what they are meant to reach.
    for (const tier of ['pool', 'host', 'store'] as const) expect(hitTokens[tier]).toBeGreaterThan(0);
    expect(tiers.store?.corrupt).toBeGreaterThan(0);
    expect(tiers.store?.failures).toBeGreaterThan(0);
    expect(seen).toEqual(new Set(['length', 'cancelled', 'deadline']));
    await engine.close();
    await cache.close();
  });
});
