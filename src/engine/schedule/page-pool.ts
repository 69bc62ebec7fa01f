/**
 * The free pages of the KV pool: a stack of page numbers, nothing else.
 * Knows page numbers. `block-table.ts` knows who holds a page, what is cached and what may leave.
 */

/** A free list over pages 0..pages-1. A fresh pool hands out ascending numbers; freed pages are reused first. */
export class PagePool {
  readonly pages: number;
  readonly #stack: Int32Array;
  readonly #taken: Uint8Array;
  #free: number;

  /** @param pages pages in the pool, >= 1 */
  constructor(pages: number) {
    if (!Number.isInteger(pages) || pages < 1) throw new TypeError(`pages must be a positive integer, got ${pages}`);
    this.pages = pages;
    this.#stack = Int32Array.from({ length: pages }, (_, index) => pages - 1 - index);
    this.#taken = new Uint8Array(pages);
    this.#free = pages;
  }

  get freePages(): number {
    return this.#free;
  }

  /** Takes `count` pages. @returns undefined if fewer are free; then nothing is taken */
  allocate(count: number): Int32Array | undefined {
    if (count > this.#free) return undefined;
    const pages = new Int32Array(count);
    for (let index = 0; index < count; index++) {
      const page = this.#stack[--this.#free] as number;
      this.#taken[page] = 1;
      pages[index] = page;
    }
    return pages;
  }

  /** Gives pages back. @throws Error if one of them is not taken: a bug of ours, never a user's fault */
  free(pages: Int32Array): void {
    for (let index = pages.length - 1; index >= 0; index--) {
      const page = pages[index] as number;
      if (this.#taken[page] !== 1) throw new Error(`page ${page} was freed but is not taken`);
      this.#taken[page] = 0;
      this.#stack[this.#free++] = page;
    }
  }
}
