/** An engine core over the paper model, for unit tests. The tiers below answer when a test tells them to. */
import type { BlockKey } from '../../src/cache/tiers.js';
import { type GenerateEvent, GREEDY, type SamplingParams } from '../../src/engine/engine.js';
import type { EngineNews, RequestEvent } from '../../src/engine/wire/messages.js';
import { SharedCounters } from '../../src/engine/wire/shared-counters.js';
import type { BlockSpec, Handle, RequestSpec, SinkSpec } from '../../src/engine/wire/specs.js';
import type { SchedulerPolicy } from '../../src/engine/wire/worker-setup.js';
import { type CoreOptions, EngineCore } from '../../src/engine/worker/engine-core.js';
import { PaperModel } from './paper-model.js';

export const SAMPLING: SamplingParams = { ...GREEDY, maxTokens: 8 };

export const POLICY: SchedulerPolicy = {
  maxBatchTokens: 16,
  mixedPrefillTokens: 8,
  ingestTokens: 8,
  ingestEverySteps: 4,
  ingestSliceTokens: 4,
  maxRunning: 4,
};

/** Deterministic token ids for a document of a name. */
export function tokensOf(name: number, length: number): Int32Array {
  return Int32Array.from({ length }, (_, index) => (name * 131 + index * 17 + 3) % 991);
}

export const SINKS: SinkSpec = { key: 'sinks', tokenIds: Int32Array.of(1, 2, 3) };

/** Handles of requests and ingestions by the names that a test gives them. */
export function handleOf(name: string): Handle {
  const handle = handles.get(name) ?? handles.size + 1;
  handles.set(name, handle);
  return handle;
}
const handles = new Map<string, Handle>();

export function block(name: number, length: number): BlockSpec {
  return { key: `block-${name}-${length}`, tokenIds: tokensOf(name, length), kind: 'document' };
}

export function request(name: string, blocks: BlockSpec[], more: Partial<RequestSpec> = {}): RequestSpec {
  return {
    handle: handleOf(name),
    attention: 'block',
    sinks: SINKS,
    blocks,
    tailTokenIds: tokensOf(500, 5),
    sampling: SAMPLING,
    seed: 1,
    submittedMs: 0,
    ...more,
  };
}

/** Pages of the probe's pool: a prompt of the tests fits. */
const PROBE_PAGES = 64;

export interface BenchOptions {
  pages?: number;
  pageTokens?: number;
  rowMultiple?: number;
  policy?: Partial<SchedulerPolicy>;
  masks?: NonNullable<CoreOptions['masks']>;
  drafts?: NonNullable<CoreOptions['drafts']>;
}

/** Counts on a clock that only moves when told to. */
export class CoreBench {
  readonly model: PaperModel;
  readonly probePool: PaperModel;
  readonly core: EngineCore;
  readonly counters = new SharedCounters();
  readonly pages: number;
  /** KV values by block key: what the tiers below hold. */
  readonly stored = new Map<BlockKey, number[]>();
  readonly events = new Map<Handle, RequestEvent[]>();
  readonly ingested: EngineNews['ingested'] = [];
  readonly failedIngests: EngineNews['failedIngests'] = [];
  readonly forgotten: EngineNews['forgotten'] = [];
  readonly abandoned: number[] = [];
  readonly mirror = new Map<BlockKey, number>();
  /** Answers that the tiers below have not given yet. */
  readonly #answers: (() => void)[] = [];
  nowMs = 0;
  /** Whether the tiers below find what they hold (false: the store is down). */
  storeUp = true;

  constructor(options: BenchOptions = {}) {
    this.pages = options.pages ?? 64;
    const pageTokens = options.pageTokens ?? 4;
    this.model = new PaperModel(this.pages, pageTokens);
    this.probePool = new PaperModel(PROBE_PAGES, pageTokens);
    this.core = new EngineCore({
      runner: {
        draws: false,
        run: (step) => this.model.run(step),
        probe: async (step) => this.probePool.compare(step, this.model),
      },
      pages: this.pages,
      pageTokens,
      vocabSize: this.model.vocabSize,
      probeLayout: { poolId: 2, pages: PROBE_PAGES, pageTokens, rowMultiple: options.rowMultiple ?? 1 },
      layout: { poolId: 1, scratchPage: this.pages, rowMultiple: options.rowMultiple ?? 1 },
      ...(options.masks === undefined ? {} : { masks: options.masks }),
      ...(options.drafts === undefined ? {} : { drafts: options.drafts }),
      policy: { ...POLICY, ...options.policy },
      counters: this.counters,
      now: () => this.nowMs,
    });
  }

  submit(...specs: RequestSpec[]): void {
    for (const spec of specs) this.core.handle({ type: 'submit', request: spec });
  }

  /** One turn, without answering for the tiers below. */
  async turn(): Promise<boolean> {
    const ran = await this.core.turn();
    this.#collect();
    return ran;
  }

  /** Lets the tiers below give `count` of their answers, oldest first. */
  answer(count = Number.POSITIVE_INFINITY): void {
    for (let given = 0; given < count; given++) {
      const next = this.#answers.shift();
      if (next === undefined) return;
      next();
    }
    this.#collect();
  }

  get unanswered(): number {
    return this.#answers.length;
  }

  /** Turns and answers until nothing is left to do. */
  async drain(limit = 100_000): Promise<void> {
    for (let turns = 0; turns < limit; turns++) {
      const ran = await this.turn();
      if (ran) continue;
      if (this.unanswered === 0) return;
      this.answer();
    }
    throw new Error('the engine does not come to rest');
  }

  tokens(name: string): number[] {
    return this.tokensOf({ handle: handleOf(name) });
  }

  tokensOf({ handle }: Pick<RequestSpec, 'handle'>): number[] {
    return (this.events.get(handle) ?? []).flatMap((event) => (event.type === 'token' ? [event.tokenId] : []));
  }

  prefilled(name: string): Extract<GenerateEvent, { type: 'prefilled' }> | undefined {
    return this.events.get(handleOf(name))?.find((event) => event.type === 'prefilled');
  }

  last(name: string): RequestEvent | undefined {
    return this.events.get(handleOf(name))?.at(-1);
  }

  get freePages(): number {
    return this.counters.get('freePages');
  }

  get cachedPages(): number {
    return this.counters.get('cachedPages');
  }

  #collect(): void {
    const news = this.core.takeNews();
    for (const { handle, event } of news.events) {
      this.events.set(handle, [...(this.events.get(handle) ?? []), event]);
    }
    this.ingested.push(...news.ingested);
    this.failedIngests.push(...news.failedIngests);
    this.forgotten.push(...news.forgotten);
    this.abandoned.push(...news.abandoned);
    for (const { key, tokens } of news.findable) {
      if (tokens > 0) this.mirror.set(key, tokens);
      else this.mirror.delete(key);
    }
    for (const { stay, key, pages } of news.loads) {
      this.#answers.push(() => {
        const values = this.storeUp ? this.stored.get(key) : undefined;
        // Blocks without sinks before them stand at local positions 0.., the others behind the sinks.
        const position = key.startsWith('bare-') ? 0 : SINKS.tokenIds.length;
        if (values !== undefined) this.model.write(pages, values, position);
        this.core.handle({ type: 'settled', stay, tier: values === undefined ? undefined : 'store' });
      });
    }
    for (const { stay, key, pages, tokens, forgotten } of news.saves) {
      this.#answers.push(() => {
        if (this.storeUp && !forgotten.includes('store')) this.stored.set(key, this.model.read(pages, tokens));
        this.core.handle({ type: 'copied', stay });
      });
    }
  }
}
