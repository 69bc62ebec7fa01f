/**
 * Blocks of registered documents that requests compute: under another segmentation, or under another model or KV type
 * than the document was ingested with. Their keys are put into the record behind the request's back, so that a delete
 * removes them, too. Knows keys and records; requests do not wait for any of it.
 *
 * A request is on record as a user of a document from before it looks the record up until it ends. If the document is
 * deleted or replaced in that time, the request may still compute its blocks. They are dropped when it ends.
 */
import { LRUCache } from 'lru-cache';
import { scopeDigest } from '../cache/block-key.js';
import type { BlockKey, CacheScope } from '../cache/tiers.js';
import type { PromptDocument } from '../prompt/document-blocks.js';
import { blockKeys, type SharedParts } from './document-parts.js';
import { type DocumentRecord, namedKeys, naming } from './document-record.js';
import type { Found, FoundRecord } from './document-registry.js';
import { orderKey } from './document-shelf.js';
import { patiently } from './patiently.js';
import { keysOf, untilUndisturbed } from './write-record.js';

/** Cuts that are known to be named by their records. */
const MAX_KNOWN = 10_000;

/** A request over one document, from before it looks the record up. */
export interface DocumentUse {
  readonly scope: CacheScope;
  readonly id: string;
  /** Resolves when the request has ended. */
  readonly ended: Promise<void> | undefined;
  /** What the request makes of the document; absent until it is cut. */
  document?: PromptDocument;
  /** Resolves when the cut is named by the record, or cannot be. */
  named?: Promise<void>;
  /** The document was deleted or replaced meanwhile. */
  outdated: boolean;
}

export class CutsInUse {
  readonly #parts: SharedParts;
  /** Cuts that were found named, or are being named, by record and cut. */
  readonly #known = new LRUCache<string, true>({ max: MAX_KNOWN });
  /** Keys that are on their way into a record, or could not be put there. */
  readonly #unwritten = new Map<string, Set<BlockKey>>();
  /** Requests that use a document and have not ended. */
  readonly #users = new Map<string, Set<DocumentUse>>();
  /** Deletes and replacements under way: one per document, with the requests that use it meanwhile. */
  readonly #changes = new Map<string, Set<DocumentUse>>();
  readonly #work = new Set<Promise<void>>();

  constructor(parts: SharedParts) {
    this.#parts = parts;
  }

  /** Keys that the document's record should name and does not (yet). */
  unwritten(scope: CacheScope, id: string): BlockKey[] {
    return [...(this.#unwritten.get(orderKey(scope, id)) ?? [])];
  }

  /** They were dropped, or are named by the record that is there now. */
  written(scope: CacheScope, id: string): void {
    this.#unwritten.delete(orderKey(scope, id));
  }

  /** Call before the record is looked up. @param ended resolves when the request has ended */
  begin(scope: CacheScope, id: string, ended?: Promise<void>): DocumentUse {
    const use: DocumentUse = { scope, id, ended, outdated: false };
    if (ended === undefined) return use;
    const order = orderKey(scope, id);
    const users = this.#users.get(order) ?? new Set();
    this.#users.set(order, users.add(use));
    this.#changes.get(order)?.add(use);
    void ended.then(() => {
      users.delete(use);
      if (users.size === 0 && this.#users.get(order) === users) this.#users.delete(order);
    });
    return use;
  }

  /**
   * Notes how a request has cut a document. Call before it computes the blocks.
   * @param cut names the segmentation that the request asks for; '' where it takes the record's own
   */
  note(use: DocumentUse, found: FoundRecord, document: PromptDocument, cut: string): void {
    use.document = document;
    const known = `${orderKey(use.scope, use.id)} ${found.head?.toString('latin1')} ${cut}`;
    if (this.#known.has(known)) return;
    this.#known.set(known, true);
    use.named = this.#begin(async () => {
      let done = false;
      try {
        const keys = await this.#keysOf(use.scope, document);
        const named = namedKeys(found.record);
        done = keys.every((key) => named.has(key)) || (await this.#name(use, found.record, keys));
      } finally {
        if (!done) this.#known.delete(known);
      }
    });
  }

  /**
   * Makes a change that drops blocks of a document. Requests that use it meanwhile may compute them again: those blocks
   * are dropped when the requests end. The caller has the document's turn.
   */
  async dropping<T>(scope: CacheScope, id: string, change: () => Promise<T>): Promise<T> {
    const order = orderKey(scope, id);
    const users = new Set(this.#users.get(order));
    this.#changes.set(order, users);
    try {
      return await change();
    } finally {
      this.#changes.delete(order);
      for (const use of users) this.#outdate(use);
    }
  }

  /** Resolves when nothing is on its way any more but what waits for requests. */
  async settle(): Promise<void> {
    while (this.#work.size > 0) await Promise.all(this.#work);
  }

  /** @returns false if the record could not be written */
  async #name(use: DocumentUse, record: DocumentRecord, keys: readonly BlockKey[]): Promise<boolean> {
    const { scope } = use;
    const { registry, orders, cache } = this.#parts;
    const order = orderKey(scope, record.id);
    const waiting = this.#unwritten.get(order) ?? new Set();
    this.#unwritten.set(order, waiting);
    for (const key of keys) waiting.add(key);
    try {
      await orders.run(order, () =>
        untilUndisturbed(registry, scope, record.id, async (found): Promise<Found | undefined> => {
          const now = found.state === 'found' ? found.record : undefined;
          if (now?.text === record.text && now.title === record.title) {
            return registry.replace(scope, naming(now, keys), found);
          }
          // Deleted or replaced meanwhile, here or by another server: nobody would ever drop them.
          this.#outdate(use);
          const named = keysOf(found);
          await cache.forget({ keys: keys.filter((key) => !named.has(key)) });
          return found;
        }),
      );
      for (const key of keys) waiting.delete(key);
      if (waiting.size === 0) this.#unwritten.delete(order);
      return true;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#parts.logger.warn({ id: record.id, reason }, 'a record could not take the keys of another cut');
      return false;
    }
  }

  #outdate(use: DocumentUse): void {
    if (use.outdated || use.ended === undefined) return;
    use.outdated = true;
    void this.#begin(async () => {
      await use.ended;
      await use.named;
      if (use.document !== undefined) await this.#drop(use, use.document);
    });
  }

  async #drop({ scope, id }: DocumentUse, document: PromptDocument): Promise<void> {
    const { orders, registry, unnamed, logger } = this.#parts;
    try {
      const keys = await patiently(() => this.#keysOf(scope, document));
      await orders.run(orderKey(scope, id), async () => {
        // Where the store cannot say what is named, the delete is kept all the same: a block can be computed again.
        const named = await registry.find(scope, id).then(keysOf, () => new Set());
        await unnamed.drop(keys.filter((key) => !named.has(key)));
      });
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      logger.warn({ id, reason }, 'blocks of a document that was deleted while a request used it may be left');
    }
  }

  async #keysOf(scope: CacheScope, document: PromptDocument): Promise<BlockKey[]> {
    const blocks = await this.#parts.prompts.documentBlocks(document, { tenant: scopeDigest(scope) });
    return blockKeys(this.#parts, blocks, scope);
  }

  #begin(work: () => Promise<void>): Promise<void> {
    const begun = work()
      // A request that fails for the same reason says so to its client.
      .catch(() => undefined)
      .finally(() => this.#work.delete(begun));
    this.#work.add(begun);
    return begun;
  }
}
