/**
 * The promise of a delete, beside any other work: nothing forgotten is ever found, nothing acknowledged is lost, pages
 * and holds add up. Random are requests, ingestions, forgets by any tiers, crashes of the worker, stores that are full
 * or become smaller, and the order in which slow operations end.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { BlockCache } from '../../../src/cache/block-cache.js';
import type { BlockKey, BlockSelection, CacheTier } from '../../../src/cache/tiers.js';
import { GREEDY } from '../../../src/engine/engine.js';
import type { PlanBlock, PromptPlan } from '../../../src/prompt/prompt-plan.js';
import { SINKS, tokensOf } from '../../support/core-bench.js';
import { PAGES, PaperEngine, SHAPE } from '../../support/paper-engine.js';
import { referenceTokens } from '../../support/paper-model.js';

const directory = mkdtempSync(join(tmpdir(), 'blockstitch-forgotten-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const LENGTHS = [6, 9, 5];
const documentOf = (name: number): PlanBlock => ({
  kind: 'document',
  tokenIds: tokensOf(name, LENGTHS[name] as number),
});
const NEW_TOKENS = 3;
/** Header and payload of the longest block. */
const VALUE_BYTES = 128 + 9 * 8;

const names = fc.uniqueArray(fc.nat(LENGTHS.length - 1), { minLength: 1, maxLength: 3 });
const actions = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('ask' as const), names }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('ingest' as const), names }) },
  { weight: 10, arbitrary: fc.record({ do: fc.constant('turn' as const) }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant('deliver' as const), count: fc.integer({ min: 1, max: 3 }) }) },
  { weight: 14, arbitrary: fc.record({ do: fc.constant('open' as const), which: fc.nat(5) }) },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('forget' as const),
      names: fc.option(names, { nil: undefined, freq: 2 }),
      tiers: fc.subarray<CacheTier>(['pool', 'host', 'store'], { minLength: 1 }),
    }),
  },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('drain' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('crash' as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('full' as const), full: fc.boolean() }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('restart' as const), values: fc.constantFrom(0, 1, 2) }) },
);

/** What is known of the blocks without looking: who asked for them, and what was forgotten when. */
class Ledger {
  #time = 0;
  readonly #asks: { keys: ReadonlySet<BlockKey>; began: number; ended: number }[] = [];
  readonly #forgets: { covers: (key: BlockKey) => boolean; tiers: Set<CacheTier>; began: number; ended: number }[] = [];
  readonly #acknowledged = new Map<BlockKey, number>();

  asked(keys: readonly BlockKey[]): () => void {
    const ask = { keys: new Set(keys), began: ++this.#time, ended: Number.POSITIVE_INFINITY };
    this.#asks.push(ask);
    return () => {
      ask.ended = ++this.#time;
    };
  }

  acknowledged(keys: readonly BlockKey[]): void {
    for (const key of keys) this.#acknowledged.set(key, ++this.#time);
  }

  /** @returns to be called when the forget was carried out whole; one that failed promises nothing */
  forgets(covers: (key: BlockKey) => boolean, tiers: readonly CacheTier[]): () => void {
    const forget = { covers, tiers: new Set(tiers), began: ++this.#time, ended: Number.POSITIVE_INFINITY };
    this.#forgets.push(forget);
    return () => {
      forget.ended = ++this.#time;
    };
  }

  /** Tiers in which a block must not be found: forgotten there, and nobody asked for it since. */
  gone(key: BlockKey): CacheTier[] {
    const asks = this.#asks.filter(({ keys }) => keys.has(key));
    return (['pool', 'host', 'store'] as const).filter((tier) =>
      this.#forgets.some(({ covers, tiers, began, ended }) => {
        if (ended === Number.POSITIVE_INFINITY || !tiers.has(tier) || !covers(key)) return false;
        // A block that stays in the pool may be kept again by whoever was at it.
        return asks.every((ask) => ask.began < began && (tiers.has('pool') || ask.ended < began));
      }),
    );
  }

  /** Acknowledged, and no forget of the store began after it. */
  durable(key: BlockKey): boolean {
    const acknowledged = this.#acknowledged.get(key);
    if (acknowledged === undefined) return false;
    return !this.#forgets.some(({ covers, tiers, began }) => tiers.has('store') && covers(key) && began > acknowledged);
  }
}

type Action = typeof actions extends fc.Arbitrary<infer Drawn> ? Drawn : never;

const DRAIN: Action = { do: 'drain' };
const EVERY_TIER: CacheTier[] = ['pool', 'host', 'store'];
const ask = (...of: number[]): Action => ({ do: 'ask', names: of });
const ingest = (...of: number[]): Action => ({ do: 'ingest', names: of });
const forget = (of: number[] | undefined, ...tiers: CacheTier[]): Action => ({ do: 'forget', names: of, tiers });

/** Ways that once went wrong, each whole, so that chance need not find them again; with the tokens that host memory holds. */
const EXAMPLES: [Action[], number][] = [
  // Host memory alone is told to forget: the store keeps what was acknowledged.
  [[ingest(0, 1), DRAIN, forget(undefined, 'host'), DRAIN], 60],
  // Forgotten while it is computed.
  [[ask(0), { do: 'open', which: 0 }, forget([0], ...EVERY_TIER)], 60],
  // Forgotten while it is loaded.
  [
    [
      ...[ingest(0), DRAIN, forget(undefined, 'pool', 'host'), DRAIN],
      ...[ask(0), { do: 'deliver', count: 3 } as Action, forget([0], ...EVERY_TIER), DRAIN],
    ],
    60,
  ],
  // A full store refuses writes, then is told to forget.
  [[ingest(0), DRAIN, { do: 'full', full: true }, ingest(1), DRAIN, forget([0], 'store'), DRAIN], 10],
  // A store that became smaller drops what was used longest ago, and never what an ingestion counts on.
  [[ingest(0, 1), DRAIN, { do: 'restart', values: 1 }, ask(0), DRAIN, ingest(0), DRAIN], 10],
];

let runs = 0;

test('nothing forgotten is found, nothing acknowledged is lost, pages and holds add up', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(actions, { minLength: 10, maxLength: 70 }),
      fc.constantFrom(0, 10, 60),
      async (drawn, hostTokens) => {
        const path = join(directory, String(++runs));
        let engine = await PaperEngine.start(path, 0, hostTokens);
        const ledger = new Ledger();
        const keys = LENGTHS.map((_, name) => engine.host.blockKey(documentOf(name).tokenIds, SINKS.tokenIds));
        const keysOf = (which: readonly number[]) => which.map((name) => keys[name] as BlockKey);

        const asks = async (which: readonly number[]): Promise<void> => {
          const ended = ledger.asked(keysOf(which));
          const plan: PromptPlan = {
            attention: 'block',
            sinkTokenIds: SINKS.tokenIds,
            blocks: which.map(documentOf),
            finalTokenIds: tokensOf(500, 5),
          };
          const sampling = { ...GREEDY, maxTokens: NEW_TOKENS };
          const tokens: number[] = [];
          let finished = false;
          try {
            for await (const event of engine.host.generate({ plan, sampling })) {
              if (event.type === 'token') tokens.push(event.tokenId);
              finished ||= event.type === 'finish' && event.reason === 'length';
            }
          } catch (error) {
            expect(['engine_failed', 'not_ready', 'shutting_down']).toContain((error as { code?: string }).code);
          }
          ended();
          const spec = {
            ...({ handle: 0, attention: 'block', sinks: SINKS, seed: 0, submittedMs: 0 } as const),
            blocks: which.map((name) => ({ ...documentOf(name), key: '' })),
            tailTokenIds: plan.finalTokenIds,
            sampling,
          };
          if (finished) expect(tokens).toEqual(referenceTokens(spec));
        };
        const ingests = async (which: readonly number[]): Promise<void> => {
          const ended = ledger.asked(keysOf(which));
          try {
            await engine.host.ingest(which.map(documentOf), { sinkTokenIds: SINKS.tokenIds });
            ledger.acknowledged(keysOf(which));
          } catch (error) {
            expect(['deleted_meanwhile', 'store_failed', 'engine_failed', 'not_ready', 'shutting_down']).toContain(
              (error as { code?: string }).code,
            );
          }
          ended();
        };
        const forgets = async (which: readonly number[] | undefined, tiers: readonly CacheTier[]): Promise<void> => {
          const chosen = new Set(which === undefined ? keys : keysOf(which));
          const selection: BlockSelection = which === undefined ? { prefix: '' } : { keys: [...chosen] };
          const done = ledger.forgets((key) => chosen.has(key), tiers);
          const { failure } = await engine.cache.forget(selection, new Set(tiers));
          if (failure === undefined) done();
        };
        /** Straight from where the blocks lie: looking must not wait at a gate. */
        const placesOf = async (name: number): Promise<CacheTier[]> => {
          const key = keys[name] as BlockKey;
          const places = engine.cache.nearTiers(key);
          return (await engine.lmdb.has([key]))[0] ? [...places, 'store'] : places;
        };
        const checkPlaces = async (): Promise<void> => {
          for (const [name, key] of keys.entries()) {
            const found = await placesOf(name);
            for (const tier of ledger.gone(key)) expect(found, `block ${name}`).not.toContain(tier);
          }
        };

        const under: Promise<void>[] = [];
        /** Blocks that went because a smaller store made room. */
        let evicted = 0;
        const restart = async (maxBytes: number): Promise<void> => {
          await engine.close(under);
          await Promise.all(under);
          evicted += engine.lmdb.evicted;
          engine = await PaperEngine.start(path, maxBytes, hostTokens);
        };
        for (const action of drawn) {
          if (action.do === 'ask' || action.do === 'ingest') {
            under.push(action.do === 'ask' ? asks(action.names) : ingests(action.names));
            // Its blocks are taken now: one that still waits would rightly compute them after a forget.
            await engine.worker.turn();
          } else if (action.do === 'turn') await engine.worker.turn();
          else if (action.do === 'deliver') engine.worker.deliver(action.count);
          else if (action.do === 'open') engine.gates.open(action.which);
          else if (action.do === 'forget') under.push(forgets(action.names, action.tiers));
          else if (action.do === 'drain') await engine.drain();
          else if (action.do === 'crash') engine.crash();
          else if (action.do === 'full') engine.store.refuses = action.full;
          else await restart(action.values * VALUE_BYTES);
          await engine.settle();
          await checkPlaces();
        }
        engine.store.refuses = false;
        await engine.drainUntil(Promise.all(under));
        await checkPlaces();

        // A look at a block that nobody wants any more ends by the clock, and only then are its pages free.
        const unheld = async () => {
          await engine.drain();
          const { freePages, cachedPages } = engine.host.statistics().pool;
          return freePages + cachedPages;
        };
        await expect.poll(unheld, { timeout: 120_000, interval: 5 }).toBe(PAGES);
        expect(engine.worker.core.idle).toBe(true);
        const other = new BlockCache({ shape: SHAPE, store: engine.lmdb, hostBytes: 0 });
        evicted += engine.lmdb.evicted;
        for (const [name, key] of keys.entries()) {
          const outcome = await other.hold(key);
          if (ledger.durable(key) && !outcome.found)
            expect(evicted--, `block ${name} was acknowledged`).toBeGreaterThan(0);
          if (outcome.found) continue;
          await outcome.release();
          // Nobody holds the right to compute it any more.
          const lock = await engine.lmdb.lock(key, 1_000);
          expect(lock, `the right to compute block ${name}`).toBeDefined();
          await lock?.release();
        }
        await engine.close();
        rmSync(path, { recursive: true, force: true });
      },
    ),
    { numRuns: Number(process.env.BLOCKSTITCH_MODEL_RUNS ?? 500), examples: EXAMPLES },
  );
}, 300_000);
