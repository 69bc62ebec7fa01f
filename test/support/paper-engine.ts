/**
 * A whole engine on paper: the real host, scheduler and cache over the paper model and a real LMDB. Nothing moves by
 * itself: messages between the threads, page copies and calls of the store wait until the test lets them go, in any
 * order. What the model test of the cache drives.
 */
import { crc32 } from 'node:zlib';
import { BlockCache } from '../../src/cache/block-cache.js';
import { blockKey } from '../../src/cache/block-key.js';
import type { ByteStore, StoreEntry } from '../../src/cache/byte-store.js';
import { LmdbStore } from '../../src/cache/lmdb-store.js';
import type { BlockShape } from '../../src/cache/tiers.js';
import { EngineHost } from '../../src/engine/host/engine-host.js';
import type { StartWorker, WorkerLink, WorkerListeners } from '../../src/engine/host/worker-link.js';
import type { EngineCommand, EngineNews } from '../../src/engine/wire/messages.js';
import { SharedCounters } from '../../src/engine/wire/shared-counters.js';
import { EngineCore } from '../../src/engine/worker/engine-core.js';
import { POLICY, SINKS } from './core-bench.js';
import { lent } from './faulty-store.js';
import { PaperModel } from './paper-model.js';

/** Room for all that a test asks for: nobody waits for pages, so whoever asks begins with the next turn. */
export const PAGES = 600;
export const PAGE_TOKENS = 4;
/** One float64 a token: a key and a value of one float32 each. */
const TOKEN_BYTES = 8;
export const SHAPE: BlockShape = {
  fingerprint: 'ab'.repeat(32),
  layers: 1,
  kvHeads: 1,
  headDim: 1,
  dtype: 'float32',
};

/** Long enough never to be reached: what waits here waits for the test. */
const NEVER_MS = 10 * 60_000;

export class Gates {
  readonly #waiting: (() => void)[] = [];
  /** Calls that were let go and have not ended. */
  running = 0;

  get waiting(): number {
    return this.#waiting.length;
  }

  /** Waits to be let go, then works. */
  async pass<T>(work: () => T | Promise<T>): Promise<T> {
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.running++;
    try {
      return await work();
    } finally {
      this.running--;
    }
  }

  open(which: number): void {
    const [go] = this.#waiting.splice(which % Math.max(1, this.#waiting.length), 1);
    go?.();
  }
}

/** A store whose calls wait at a gate, and which can be told to refuse writes. */
class GatedStore implements ByteStore {
  readonly brand;
  refuses = false;
  constructor(
    private readonly inner: ByteStore,
    private readonly gates: Gates,
  ) {
    this.brand = inner.brand;
  }
  get = (keys: readonly string[]) => this.gates.pass(() => this.inner.get(keys));
  lend = async <T>(key: string, use: (bytes: Uint8Array) => Promise<T>, signal?: AbortSignal) => {
    const [value] = await this.get([key]);
    signal?.throwIfAborted();
    return value && lent(value, use);
  };
  has = (keys: readonly string[]) => this.gates.pass(() => this.inner.has(keys));
  put = (entries: readonly StoreEntry[], signal?: AbortSignal) =>
    this.gates.pass(() => {
      if (this.refuses) throw new Error('the store is full');
      return this.inner.put(entries, signal);
    });
  delete = (keys: readonly string[]) => this.gates.pass(() => this.inner.delete(keys));
  clear = (prefix?: string) => this.gates.pass(() => this.inner.clear(prefix));
  // Locks are the process' own: nothing to wait for.
  lock = (key: string, ttlMs: number) => this.inner.lock(key, ttlMs);
  statistics = () => this.inner.statistics();
  usage = (tag: string) => this.inner.usage(tag);
  list = (prefix?: string) => this.inner.list(prefix);
  close = () => this.inner.close();
}

/** The worker's thread: commands go in and news come out when the test says so. */
class PaperWorker {
  readonly core: EngineCore;
  readonly inbox: EngineCommand[] = [];
  readonly outbox: EngineNews[] = [];
  alive = true;

  constructor(
    model: PaperModel,
    counters: SharedCounters,
    readonly listeners: WorkerListeners,
  ) {
    this.core = new EngineCore({
      runner: { draws: false, run: (step) => model.run(step) },
      pages: PAGES,
      pageTokens: PAGE_TOKENS,
      vocabSize: model.vocabSize,
      layout: { poolId: 1, scratchPage: PAGES, rowMultiple: 1 },
      policy: { ...POLICY, maxRunning: 100, maxBatchTokens: 100, ingestTokens: 100 },
      counters,
      now: () => performance.now(),
    });
  }

  /** Takes what was posted until now, and runs a step. @returns whether anything ran */
  async turn(): Promise<boolean> {
    if (!this.alive) return false;
    for (const command of this.inbox.splice(0))
      if (command.type !== 'close' && command.type !== 'grammars') this.core.handle(command);
    const ran = await this.core.turn();
    this.outbox.push(this.core.takeNews());
    return ran;
  }

  /** Lets the host hear what was said. */
  deliver(count = Number.POSITIVE_INFINITY): void {
    for (const news of this.outbox.splice(0, count)) if (this.alive) this.listeners.news(news);
  }
}

export class PaperEngine {
  /** On the clock of the worker's life: each death comes long after the start before it. */
  #minutes = 0;
  readonly gates = new Gates();
  readonly model = new PaperModel(PAGES, PAGE_TOKENS);
  readonly counters = new SharedCounters();
  readonly cache: BlockCache;
  readonly store: GatedStore;
  host!: EngineHost;
  worker!: PaperWorker;

  private constructor(
    readonly lmdb: LmdbStore,
    hostBytes: number,
  ) {
    this.store = new GatedStore(lmdb, this.gates);
    this.cache = new BlockCache({
      shape: SHAPE,
      store: this.store,
      hostBytes,
      cost: { leastWaitMs: NEVER_MS, mostWaitMs: NEVER_MS },
      // Open after one failure, so that little has to be drawn until it is.
      breaker: { threshold: 1, timeoutMs: NEVER_MS },
      deleteTimeoutMs: NEVER_MS,
    });
  }

  static async start(directory: string, maxBytes: number, hostTokens: number): Promise<PaperEngine> {
    const lmdb = await LmdbStore.open(directory, { maxBytes });
    const engine = new PaperEngine(lmdb, hostTokens * TOKEN_BYTES);
    engine.host = await EngineHost.start({
      addon: {
        payloadBytes: (_pool, tokens) => tokens * TOKEN_BYTES,
        readPages: (_pool, pages, tokens, into) =>
          engine.gates.pass(() => {
            new Float64Array(into.buffer, into.byteOffset, tokens).set(engine.model.read(pages, tokens));
            return crc32(into);
          }),
        // As the addon does: the memory is read when the copy runs, not when it is asked for.
        writePages: (_pool, pages, tokens, from) =>
          engine.gates.pass(() => {
            const values = [...new Float64Array(Uint8Array.from(from).buffer, 0, tokens)];
            engine.model.write(pages, values, SINKS.tokenIds.length);
            return crc32(from);
          }),
      },
      pool: { id: 1, pages: PAGES, pageBytes: PAGE_TOKENS * TOKEN_BYTES },
      pageTokens: PAGE_TOKENS,
      contextTokens: 1_000,
      vocabSize: engine.model.vocabSize,
      canProbe: false,
      maxRunning: 100,
      maxQueue: 1_000,
      maxSavingBytes: 30 * TOKEN_BYTES,
      cache: engine.cache,
      counters: engine.counters,
      blockKey: (tokenIds, sinkTokenIds, scope) =>
        blockKey({
          fingerprint: SHAPE.fingerprint,
          kvDtype: SHAPE.dtype,
          sinkTokenIds,
          tokenIds,
          ...(scope === undefined ? {} : { scope }),
        }),
      startWorker: engine.startWorker,
      logger: { info: () => {}, error: () => {} },
      destroyPool: () => {},
      life: { backoffMs: () => 0, now: () => ++engine.#minutes * 60_000 },
    });
    return engine;
  }

  /** Whatever does not wait for the test has happened. */
  async settle(): Promise<void> {
    do {
      for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate);
    } while (this.gates.running > 0);
  }

  /** The worker dies; what it had said but the host had not heard is lost. */
  crash(): void {
    if (!this.worker.alive) return;
    this.worker.alive = false;
    this.worker.listeners.failed(new Error('drawn'));
  }

  /** Lets everything go until nothing is left to do. */
  async drain(): Promise<void> {
    for (let quiet = 0, turns = 0; quiet < 3; turns++) {
      if (turns > 2_000) throw new Error(`no rest: ${JSON.stringify(this.#busyWith())}`);
      const before = this.worker;
      const ran = before.alive && (await before.turn());
      before.deliver();
      const { waiting } = this.gates;
      while (this.gates.waiting > 0) this.gates.open(0);
      await this.settle();
      const up = this.host.state.name === 'running';
      const idle = up && !ran && waiting === 0 && this.worker === before && this.worker.inbox.length === 0;
      quiet = idle ? quiet + 1 : 0;
    }
  }

  /** Drains until something is over: looks at another's lock are timed by the clock, which a drain does not wait for. */
  async drainUntil(over: Promise<unknown>): Promise<void> {
    let ended = false;
    const ending = over.finally(() => {
      ended = true;
    });
    while (!ended) await this.drain();
    await ending;
    await this.drain();
  }

  #busyWith(): object {
    const { state } = this.host;
    const { inbox, outbox, alive, core } = this.worker;
    return { state, inbox, outbox: outbox.length, alive, idle: core.idle, waiting: this.gates.waiting };
  }

  /** Ends the engine, then the cache. @param others what is under way beside it and is waited for */
  async close(others: readonly Promise<unknown>[] = []): Promise<void> {
    let over = false;
    const ending = Promise.allSettled([this.host.close(), ...others]).then(() => {
      over = true;
    });
    while (!over) {
      while (this.gates.waiting > 0) this.gates.open(0);
      await this.settle();
    }
    await ending;
    await this.cache.close();
  }

  private readonly startWorker: StartWorker = async (listeners) => {
    const worker = new PaperWorker(this.model, this.counters, listeners);
    this.worker = worker;
    const link: WorkerLink = {
      rowMultiple: 1,
      post: (command) => void worker.inbox.push(structuredClone(command)),
      close: async () => {
        worker.alive = false;
      },
    };
    return link;
  };
}
