/**
 * Counters that the worker writes and the HTTP thread reads without asking: a long step must not delay `/metrics`.
 * Knows names and slots; what they count is the engine core's.
 */

const NAMES = [
  'running',
  'waiting',
  'freePages',
  'cachedPages',
  'cachedBlocks',
  'queriedTokens',
  'hitPool',
  'hitHost',
  'hitStore',
  'promptTokens',
  'generatedTokens',
  'preemptions',
  'repairedTokens',
  'steps',
  'stepMs',
  'runMs',
  'blockTokens',
  'blockMs',
] as const;

export type CounterName = (typeof NAMES)[number];

const SLOT: Readonly<Record<CounterName, number>> = Object.fromEntries(
  NAMES.map((name, slot) => [name, slot]),
) as Record<CounterName, number>;

const GAUGES: readonly CounterName[] = ['running', 'waiting', 'freePages', 'cachedPages', 'cachedBlocks'];

/** float64 counters in shared memory; one thread writes. Aligned 8-byte stores do not tear on 64-bit machines. */
export class SharedCounters {
  readonly buffer: SharedArrayBuffer;
  readonly #values: Float64Array;

  constructor(buffer = new SharedArrayBuffer(NAMES.length * Float64Array.BYTES_PER_ELEMENT)) {
    this.buffer = buffer;
    this.#values = new Float64Array(buffer);
  }

  get(name: CounterName): number {
    return this.#values[SLOT[name]] as number;
  }

  set(name: CounterName, value: number): void {
    this.#values[SLOT[name]] = value;
  }

  /** What is there now, as against what was counted, is nothing once the worker has ended. Called by the HTTP thread then. */
  clearGauges(): void {
    for (const name of GAUGES) this.set(name, 0);
  }

  add(name: CounterName, value: number): void {
    this.#values[SLOT[name]] = (this.#values[SLOT[name]] as number) + value;
  }
}
