/**
 * Blocks of registered documents that requests compute: under another segmentation, or under another model or KV type
 * than the document was ingested with. Their keys are put into the record behind the request's back, so that a delete
 * removes them, too. Knows keys and records; requests do not wait for any of it.
 *
 * A request that read a record before it was deleted may compute its blocks afterwards. They are dropped when it ends.
 */
import { LRUCache } from 'lru-cache';
import { scopeDigest } from '../cache/block-key.js';
import type { BlockKey, CacheScope } from '../cache/tiers.js';
import type { PromptDocument } from '../prompt/document-blocks.js';
import { blockKeys, type SharedParts } from './document-parts.js';
import { type DocumentRecord, namedKeys, naming } from './document-record.js';
import type { Found, FoundRecord } from './document-registry.js';
import { orderKey } from './document-shelf.js';
import { keysOf, untilUndisturbed } from './write-record.js';

/** Cuts that are known to be named by their records. */
const MAX_KNOWN = 10_000;

export class CutsInUse {
  readonly #parts: SharedParts;
  /** Cuts that were found named, or are being named, by record and cut. */
  readonly #known = new LRUCache<string, true>({ max: MAX_KNOWN });
  /** Keys that are on their way into a record, or could not be put there. */
  readonly #unwritten = new Map<string, Set<BlockKey>>();
  /** Requests that have read a record and have not ended. */
  readonly #users = new Map<string, Set<Promise<void>>>();
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

  /**
   * Notes that a request uses a document.
   *
   * @param cut   names the segmentation that the request asks for; '' where it takes the record's own
   * @param ended resolves when the request has ended
   */
  note(scope: CacheScope, found: FoundRecord, document: PromptDocument, cut: string, ended?: Promise<void>): void {
    const { id } = found.record;
    const order = orderKey(scope, id);
    if (ended !== undefined) this.#use(order, ended);
    const known = `${order} ${found.head?.toString('latin1')} ${cut}`;
    if (this.#known.has(known)) return;
    this.#known.set(known, true);
    this.#begin(async () => {
      let done = false;
      try {
        const context = { tenant: scopeDigest(scope) };
        const blocks = await this.#parts.prompts.documentBlocks(document, context);
        const keys = await blockKeys(this.#parts, blocks, scope);
        const named = namedKeys(found.record);
        done = keys.every((key) => named.has(key)) || (await this.#name(scope, found.record, keys));
      } finally {
        if (!done) this.#known.delete(known);
      }
    });
  }

  /** Drops blocks of a document that was deleted or replaced once more, when the requests that use it have ended. */
  dropAfterUse(scope: CacheScope, id: string, keys: readonly BlockKey[]): void {
    const users = this.#users.get(orderKey(scope, id));
    if (users === undefined || keys.length === 0) return;
    const ended = Promise.all(users);
    this.#begin(async () => {
      await ended;
      const { orders, registry, cache } = this.#parts;
      await orders.run(orderKey(scope, id), async () => {
        const named = keysOf(await registry.find(scope, id));
        await cache.forget({ keys: keys.filter((key) => !named.has(key)) });
      });
    });
  }

  /** Resolves when nothing is on its way any more but what waits for requests. */
  async settle(): Promise<void> {
    while (this.#work.size > 0) await Promise.all(this.#work);
  }

  /** @returns false if the record could not be written */
  async #name(scope: CacheScope, record: DocumentRecord, keys: readonly BlockKey[]): Promise<boolean> {
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
          // Deleted or replaced meanwhile: nobody would ever drop them.
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

  #use(order: string, ended: Promise<void>): void {
    const users = this.#users.get(order) ?? new Set();
    this.#users.set(order, users.add(ended));
    void ended.then(() => {
      users.delete(ended);
      if (users.size === 0 && this.#users.get(order) === users) this.#users.delete(order);
    });
  }

  #begin(work: () => Promise<void>): void {
    const begun = work()
      // A request that fails for the same reason says so to its client.
      .catch(() => undefined)
      .finally(() => this.#work.delete(begun));
    this.#work.add(begun);
  }
}
