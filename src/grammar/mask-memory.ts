/**
 * Memory that a grammar thread and an engine's worker share for one request: may the next token be drawn, and which
 * tokens are allowed. One writes while the state is `waiting`, the other reads while it is not.
 * Knows the layout. `grammar-worker.ts` writes; `mask-link.ts` reads.
 */

/** `ready`: the mask is there. `ended`: the text is whole, nothing may follow. `failed`: the grammar is lost. */
export const MASK_STATE = { waiting: 0, ready: 1, ended: 2, failed: 3 } as const;

const STATE = 0;
const FIRST_WORD = 1;

export class MaskMemory {
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array;

  /** @param memory a vocabulary's size, for new memory; or the buffer of another `MaskMemory` */
  constructor(memory: number | SharedArrayBuffer) {
    const words = typeof memory === 'number' ? FIRST_WORD + Math.ceil(memory / 32) : 0;
    this.buffer = typeof memory === 'number' ? new SharedArrayBuffer(words * 4) : memory;
    this.#words = new Int32Array(this.buffer);
  }

  get state(): number {
    return Atomics.load(this.#words, STATE);
  }

  /** One bit per token id, from the lowest bit of the first word on: 1 = allowed. */
  get mask(): Int32Array {
    return this.#words.subarray(FIRST_WORD);
  }

  set(state: number): void {
    Atomics.store(this.#words, STATE, state);
    Atomics.notify(this.#words, STATE);
  }

  /** Blocks the thread until the state is no longer `waiting`, or for so long. @returns the state */
  wait(timeoutMs: number): number {
    const endMs = performance.now() + timeoutMs;
    for (let leftMs = timeoutMs; leftMs > 0 && this.state === MASK_STATE.waiting; leftMs = endMs - performance.now()) {
      // May end early: the notice of the mask before may come after its state was read.
      Atomics.wait(this.#words, STATE, MASK_STATE.waiting, leftMs);
    }
    return this.state;
  }
}
