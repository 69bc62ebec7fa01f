/**
 * Buffers that are used again and again: fresh memory for each value costs its first touch, and V8 collects garbage early
 * because of it. Bounds how many are out at once. Knows sizes; who borrows knows the bytes.
 */

/** Sizes are rounded up to this, so that values of nearly one size share buffers. */
const GRAIN_BYTES = 1024 * 1024;
/** Buffers that nobody has borrowed for so long are dropped. */
const IDLE_MS = 10_000;

export class LentBuffers {
  readonly #most: number;
  readonly #free: Uint8Array[] = [];
  readonly #waiting: (() => void)[] = [];
  #out = 0;
  #idle: NodeJS.Timeout | undefined;

  /** @param most buffers that may be out, and that are kept; others wait for their turn */
  constructor(most: number) {
    this.#most = most;
  }

  /** Lends a buffer of `bytes` bytes or more, with whatever the last borrower left in it, until `use` has settled. */
  async lend<T>(bytes: number, use: (buffer: Uint8Array) => Promise<T>): Promise<T> {
    if (this.#out < this.#most) this.#out++;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    const buffer = this.#take(bytes);
    try {
      return await use(buffer);
    } finally {
      this.#free.push(buffer);
      // A place is handed over: whoever waits longest has the next one.
      const next = this.#waiting.shift();
      if (next !== undefined) next();
      else this.#out--;
      if (this.#out === 0) this.#dropLater();
    }
  }

  #take(bytes: number): Uint8Array {
    clearTimeout(this.#idle);
    const fitting = this.#free.findIndex(({ byteLength }) => byteLength >= bytes);
    if (fitting >= 0) return this.#free.splice(fitting, 1)[0] as Uint8Array;
    // One that is too small makes room: there are never more buffers than places.
    this.#free.shift();
    // Not a Buffer: its `slice` would be a view of memory that is used again.
    return new Uint8Array(Buffer.allocUnsafeSlow(Math.ceil(bytes / GRAIN_BYTES) * GRAIN_BYTES).buffer);
  }

  #dropLater(): void {
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => this.#free.splice(0), IDLE_MS);
    this.#idle.unref();
  }
}
