/**
 * Counts events (requests, tokens, wrong keys) per client over a minute, in bounded memory. Knows names and time; the caller knows what it counts.
 * A client keeps its count until its minute is over: new names never push an old one out. When the table is full, all
 * names that are new share one count.
 */

export interface ClientCount {
  /** Events of this client in its minute. */
  count: number;
  /** Whole seconds until its minute is over, >= 1. */
  secondsLeft: number;
  /** Names the minute. */
  endsMs: number;
}

const WINDOW_MS = 60_000;
const MOST_CLIENTS = 100_000;
/** No client has this name. */
const THE_REST = '';

export class ClientCounter {
  /** In the order in which the minutes end. */
  readonly #counts = new Map<string, { count: number; endsMs: number }>();
  readonly #mostClients: number;
  readonly #now: () => number;

  constructor({ mostClients = MOST_CLIENTS, now = () => performance.now() } = {}) {
    this.#mostClients = mostClients;
    this.#now = now;
  }

  /** Names that have a count. */
  get size(): number {
    this.#dropEnded();
    return this.#counts.size;
  }

  /** Counts events. */
  add(client: string, events = 1): ClientCount {
    this.#dropEnded();
    const name = this.#counts.has(client) || this.#counts.size < this.#mostClients ? client : THE_REST;
    const entry = this.#counts.get(name) ?? { count: 0, endsMs: this.#now() + WINDOW_MS };
    entry.count += events;
    this.#counts.set(name, entry);
    return this.#told(entry);
  }

  /** Takes events back, if the minute in which they were counted is not over. @param counted what `add` answered */
  giveBack(client: string, events: number, { endsMs }: ClientCount): void {
    for (const name of [client, THE_REST]) {
      const entry = this.#counts.get(name);
      if (entry?.endsMs !== endsMs) continue;
      entry.count -= events;
      return;
    }
  }

  /** The count as it is. */
  read(client: string): ClientCount {
    this.#dropEnded();
    const isNew = this.#counts.size >= this.#mostClients && !this.#counts.has(client);
    return this.#told(this.#counts.get(isNew ? THE_REST : client) ?? { count: 0, endsMs: this.#now() + WINDOW_MS });
  }

  #told({ count, endsMs }: { count: number; endsMs: number }): ClientCount {
    return { count, endsMs, secondsLeft: Math.max(1, Math.ceil((endsMs - this.#now()) / 1000)) };
  }

  #dropEnded(): void {
    const now = this.#now();
    for (const [client, { endsMs }] of this.#counts) {
      if (endsMs > now) return;
      this.#counts.delete(client);
    }
  }
}
