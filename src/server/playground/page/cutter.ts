/**
 * Has documents cut by the server: each when it comes, all of them when the length of blocks changes. A newer cut aborts the
 * older one of the same document, and a slider that moves waits until it rests for a moment.
 */

import { type DocumentList, type PageDocument, totals } from './document-list.js';
import { announce } from './dom.js';
import type { ServerApi } from './server-api.js';
import { count } from './words.js';

/** A slider that has not moved for so long is taken at its word. */
const REST_MS = 120;

export class Cutter {
  #granularity: number | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #running = new Map<number, AbortController>();

  constructor(
    private readonly api: ServerApi,
    private readonly documents: DocumentList,
  ) {}

  /** 0 = finest, 1 = coarsest; undefined: the server's own length. */
  get granularity(): number | undefined {
    return this.#granularity;
  }

  /** Cuts everything again, soon. What is being cut for another length is given up at once. */
  setGranularity(granularity: number | undefined): void {
    this.#granularity = granularity;
    for (const id of [...this.#running.keys()]) this.forget(id);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      void this.cut(this.documents.all).then(() => {
        const { blocks } = totals(this.documents.all);
        announce(`The documents are now cut into ${count(blocks, 'block')}.`);
      });
    }, REST_MS);
  }

  /** Cuts documents, also to learn again which blocks are cached. Never rejects. */
  async cut(documents: readonly PageDocument[]): Promise<void> {
    await Promise.all(documents.map((document) => this.#cutOne(document)));
  }

  /** Gives up a cut under way. */
  forget(id: number): void {
    this.#running.get(id)?.abort();
    this.#running.delete(id);
  }

  async #cutOne({ id, text }: PageDocument): Promise<void> {
    this.forget(id);
    const running = new AbortController();
    this.#running.set(id, running);
    try {
      const { data } = await this.api.cut(text, { granularity: this.#granularity, signal: running.signal });
      if (!running.signal.aborted) this.documents.setCut(id, { blocks: data });
    } catch (error) {
      if (!running.signal.aborted) this.documents.setCut(id, { error });
    } finally {
      if (this.#running.get(id) === running) this.#running.delete(id);
    }
  }
}
