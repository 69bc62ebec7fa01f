/**
 * Counters that the worker writes. The HTTP thread reads them without asking: a long step must not delay `/metrics`.
 * Knows names and slots. The engine core counts.
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
  'drafts',
  'draftTokens',
  'acceptedTokens',
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

/** float64 counters in shared memory; one thread writes. On 64-bit machines an aligned store of 8 bytes is atomic. */
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

  /** Sets the present values (gauges) to 0; sums stay. The HTTP thread calls it when the worker has ended. */
  clearGauges(): void {
    for (const name of GAUGES) this.set(name, 0);
  }

  add(name: CounterName, value: number): void {
    this.#values[SLOT[name]] = (this.#values[SLOT[name]] as number) + value;
  }
}
