/**
 * Several engines behind one interface, one per GPU, over one cache. If one of them computed a block, the others find
 * it in host memory or in the store. A request goes to the engine with the fewest requests; among equals, to the engine
 * that last served most of its blocks. Engines that are restarting or down get no requests.
 * Knows engines, not devices.
 */
import { LRUCache } from 'lru-cache';
import type { BlockKey, CacheScope } from '../cache/tiers.js';
import type { PlanBlock } from '../prompt/prompt-plan.js';
import type {
  BlockReport,
  Engine,
  EngineState,
  EngineStatistics,
  GenerateEvent,
  GenerateRequest,
  IngestOptions,
} from './engine.js';

/** The group remembers the last engine of this many blocks; the least recently used leave. */
const REMEMBERED_BLOCKS = 65_536;

export class EngineGroup implements Engine {
  readonly #engines: readonly Engine[];
  /** Requests that each engine has taken and not finished. */
  readonly #outstanding: number[];
  /** Engine that last used a block. */
  readonly #lastEngine = new LRUCache<BlockKey, number>({ max: REMEMBERED_BLOCKS });

  /** @param engines at least one; all have the same model, KV type and cache */
  constructor(engines: readonly Engine[]) {
    if (engines.length === 0) throw new TypeError('a group needs an engine');
    this.#engines = engines;
    this.#outstanding = engines.map(() => 0);
  }

  generate(request: GenerateRequest, signal?: AbortSignal): AsyncIterable<GenerateEvent> {
    const { sinkTokenIds, blocks } = request.plan;
    const keys = blocks.map(({ tokenIds }) => this.blockKey(tokenIds, sinkTokenIds, request.scope));
    const index = this.#choose(
      keys,
      blocks.map(({ tokenIds }) => tokenIds.length),
    );
    const events = this.#engine(index).generate(request, signal);
    this.#remember(keys, index);
    return this.#counted(index, events);
  }

  async ingest(blocks: readonly PlanBlock[], options: IngestOptions, signal?: AbortSignal): Promise<BlockReport[]> {
    const keys = blocks.map(({ tokenIds }) => this.blockKey(tokenIds, options.sinkTokenIds, options.scope));
    const index = this.#choose([], []);
    this.#remember(keys, index);
    this.#add(index, 1);
    try {
      return await this.#engine(index).ingest(blocks, options, signal);
    } finally {
      this.#add(index, -1);
    }
  }

  blockKey(tokenIds: Int32Array, sinkTokenIds: Int32Array, scope?: CacheScope): BlockKey {
    return this.#engine(0).blockKey(tokenIds, sinkTokenIds, scope);
  }

  /** Running if any engine runs; down only if all are down. */
  get state(): EngineState {
    const states = this.#engines.map(({ state }) => state);
    const restarts = states.reduce((sum, state) => sum + state.restarts, 0);
    const best = (['running', 'restarting', 'down'] as const).find((name) =>
      states.some((state) => state.name === name),
    );
    const state = states.find(({ name }) => name === best) as EngineState;
    return { ...state, restarts };
  }

  onStateChange(listener: (state: EngineState) => void): () => void {
    const stops = this.#engines.map((engine) => engine.onStateChange(() => listener(this.state)));
    return () => {
      for (const stop of stops) stop();
    };
  }

  statistics(): EngineStatistics {
    return this.#engines.map((engine) => engine.statistics()).reduce(added);
  }

  async close(graceMs?: number): Promise<void> {
    await Promise.all(this.#engines.map((engine) => engine.close(graceMs)));
  }

  #engine(index: number): Engine {
    return this.#engines[index] as Engine;
  }

  #add(index: number, count: number): void {
    this.#outstanding[index] = (this.#outstanding[index] ?? 0) + count;
  }

  #choose(keys: readonly BlockKey[], tokens: readonly number[]): number {
    const known = this.#engines.map(() => 0);
    for (const [block, key] of keys.entries()) {
      const last = this.#lastEngine.get(key);
      if (last !== undefined) known[last] = (known[last] ?? 0) + (tokens[block] ?? 0);
    }
    const running = [...this.#engines.keys()].filter((index) => this.#engine(index).state.name === 'running');
    // If none runs, the first one says why.
    if (running.length === 0) return 0;
    const least = Math.min(...running.map((index) => this.#outstanding[index] ?? 0));
    const idle = running.filter((index) => this.#outstanding[index] === least);
    return idle.reduce((best, index) => ((known[index] ?? 0) > (known[best] ?? 0) ? index : best));
  }

  #remember(keys: readonly BlockKey[], index: number): void {
    for (const key of keys) this.#lastEngine.set(key, index);
  }

  /** A request counts from the call on, even if nobody reads its events. */
  #counted(index: number, events: AsyncIterable<GenerateEvent>): AsyncIterable<GenerateEvent> {
    this.#add(index, 1);
    const leave = once(() => this.#add(index, -1));
    return {
      [Symbol.asyncIterator]: () => {
        const iterator = events[Symbol.asyncIterator]();
        const ending = async <T>(step: Promise<T>, isLast: (value: T) => boolean): Promise<T> => {
          try {
            const value = await step;
            if (isLast(value)) leave();
            return value;
          } catch (error) {
            leave();
            throw error;
          }
        };
        return {
          next: () => ending(iterator.next(), ({ done }) => done === true),
          return: (value?: unknown) =>
            ending(iterator.return?.(value) ?? Promise.resolve({ done: true as const, value }), () => true),
        };
      },
    };
  }
}

function once(work: () => void): () => void {
  let done = false;
  return () => {
    if (done) return;
    done = true;
    work();
  };
}

/** Counts of two engines together; their page sizes are equal. */
function added(a: EngineStatistics, b: EngineStatistics): EngineStatistics {
  const pool = { ...a.pool };
  for (const name of ['pages', 'freePages', 'cachedPages', 'activePages', 'cachedBlocks'] as const) {
    pool[name] += b.pool[name];
  }
  const hitTokens = { ...a.hitTokens };
  for (const tier of ['pool', 'host', 'store'] as const) hitTokens[tier] += b.hitTokens[tier];
  const sum = { ...a, pool, hitTokens };
  const names = [
    ...(['running', 'waiting', 'queriedTokens', 'promptTokens', 'generatedTokens', 'repairedTokens'] as const),
    ...(['preemptions', 'drafts', 'draftTokens', 'acceptedTokens', 'steps', 'stepMs', 'runMs'] as const),
  ];
  for (const name of names) sum[name] += b[name];
  return sum;
}
