/** The documents room over memory: a set stands for the store of blocks, and a test says where the engine stops. */
import { createHash } from 'node:crypto';
import { tenantTag } from '../../src/cache/block-key.js';
import { type CacheScope, COMMON_SCOPE } from '../../src/cache/tiers.js';
import { Documents, type Shelves } from '../../src/documents/documents.js';
import { unlessAborted } from '../../src/documents/keyed-queue.js';
import type { BlockReport, IngestOptions } from '../../src/engine/engine.js';
import type { PlanBlock } from '../../src/prompt/prompt-plan.js';
import { segmentParagraphs } from './fake-services.js';
import { type MemoryShelves, memoryShelves } from './memory-shelves.js';

export class DocumentsBench<Kept extends Shelves = MemoryShelves> {
  readonly shelves: Kept;
  readonly documents: Documents;
  /** Keys of stored blocks. */
  readonly store = new Set<string>();
  readonly logged: string[] = [];
  /** Why the store refuses deletes. */
  forgetFailure: string | undefined;
  /** The store says of no block whether it has it. */
  findFails = false;
  /** What a tenant lacks at its limit. */
  lack: { stored: number; wanted: number; limit: number } | undefined;
  /** Thrown before the block of this index is stored. */
  failAt: { index: number; error: Error } | undefined;
  /** Thrown where blocks are made of a document. */
  promptsFailWith: Error | undefined;
  /** Called before each block is stored: a test waits here. */
  beforeBlock: (text: string) => Promise<void> = async () => {};
  /** Called before a text is cut. */
  beforeCut: () => Promise<void> = async () => {};
  /** Stands for weights and KV type. */
  form = 'a model';
  /** Texts whose ingestion began, in order. */
  readonly begun: string[] = [];

  static inMemory(): DocumentsBench {
    return new DocumentsBench(memoryShelves());
  }

  constructor(shelves: Kept, { maxQueue = 8 } = {}) {
    this.shelves = shelves;
    this.documents = new Documents(shelves, {
      limits: { maxDocuments: 8, maxDocumentBytes: 1 << 20, maxQueue, maxBlocks: 8192, contextTokens: 4096 },
      engine: {
        blockKey: (tokenIds, _sinks, scope = COMMON_SCOPE) => this.#key(tokenIds, scope),
        ingest: (blocks, options, signal) => this.#ingest(blocks, options, signal),
      },
      cache: {
        reserveRoom: async () =>
          this.lack === undefined ? { ok: true, release: () => undefined } : { ok: false, ...this.lack },
        find: async (keys) =>
          keys.map((key) =>
            this.findFails ? { tiers: [], unknown: ['store'] } : { tiers: this.store.has(key) ? ['store'] : [] },
          ),
        forget: async (selection) => {
          if (this.forgetFailure !== undefined) return { blocks: 0, failure: this.forgetFailure };
          const keys = 'keys' in selection ? selection.keys : [];
          return { blocks: keys.filter((key) => this.store.delete(key)).length };
        },
      },
      prompts: {
        sinkTokenIds: Int32Array.of(1),
        documentBlocks: async ({ text, segments = [] }) => {
          if (this.promptsFailWith) throw this.promptsFailWith;
          return segments.map(({ start, end }) => ({
            tokenIds: Int32Array.from(Buffer.from(text.slice(start, end))),
            kind: 'document',
            source: { documentIndex: 0, start, end },
          }));
        },
      },
      segment: async (text, { granularity }, context) => {
        context?.signal?.throwIfAborted();
        await this.beforeCut();
        // At granularity 1 the whole text is one segment.
        if (granularity !== 1) return segmentParagraphs(text);
        return [{ start: 0, end: text.length, tokens: text.length, boundaryScore: 1 }];
      },
      logger: {
        info: (details, message) => this.logged.push(`${message} ${JSON.stringify(details)}`),
        warn: (details, message) => this.logged.push(`${message} ${JSON.stringify(details)}`),
      },
      onBlock: () => undefined,
    });
  }

  /** Ingests a text under an id, for whoever does not wait for anything in between. */
  async ingest(id: string, text: string, scope = COMMON_SCOPE, granularity?: number) {
    const segmentation = granularity === undefined ? {} : { granularity };
    return this.documents.ingest(scope, { id, text, segmentation }, { signal: new AbortController().signal });
  }

  /** A request over a registered document, which computes the blocks of its cut. */
  async use(id: string, granularity?: number, ended?: Promise<void>, scope = COMMON_SCOPE): Promise<() => void> {
    const documents = await this.documents.inputs({
      scope,
      documents: [{ id }],
      ...(granularity === undefined ? {} : { segmentation: { granularity } }),
      signal: new AbortController().signal,
      ...(ended === undefined ? {} : { ended }),
    });
    const keys = documents.flatMap(({ text, segments }) =>
      segments.map(({ start, end }) => this.keyOf(text.slice(start, end), scope)),
    );
    return () => {
      for (const key of keys) this.store.add(key);
    };
  }

  keyOf(text: string, scope = COMMON_SCOPE): string {
    return this.#key(Int32Array.from(Buffer.from(text)), scope);
  }

  #key(tokenIds: Int32Array, scope: CacheScope): string {
    const fields = [this.form, scope.tenant, scope.salt, [...tokenIds]];
    const hash = createHash('sha256').update(JSON.stringify(fields)).digest('hex');
    return tenantTag(scope.tenant) + hash.slice(16);
  }

  async #ingest(
    blocks: readonly PlanBlock[],
    { scope = COMMON_SCOPE, onBlock }: IngestOptions,
    signal?: AbortSignal,
  ): Promise<BlockReport[]> {
    const reports: BlockReport[] = [];
    for (const [index, { tokenIds, kind }] of blocks.entries()) {
      const text = Buffer.from(tokenIds).toString();
      if (index === 0) this.begun.push(text);
      await unlessAborted(this.beforeBlock(text), signal);
      signal?.throwIfAborted();
      if (this.failAt?.index === index) throw this.failAt.error;
      const key = this.#key(tokenIds, scope);
      const report: BlockReport = {
        key,
        tokens: tokenIds.length,
        origin: this.store.has(key) ? 'store' : 'computed',
        kind,
      };
      this.store.add(key);
      reports.push(report);
      onBlock?.(report);
    }
    return reports;
  }
}

/** A gate that a test opens. */
export function gate(): { wait: Promise<void>; open: () => void } {
  let open!: () => void;
  const wait = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { wait, open };
}
