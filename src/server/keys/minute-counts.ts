/**
 * Counts what API keys use in a minute: in this process, or in Redis for all replicas together. If Redis gives no answer
 * soon, this process counts alone: a limit then holds for each replica. Knows names and numbers, no limits.
 */
import type { Cluster, Redis } from 'ioredis';
import { CircuitBreaker } from '../../cache/circuit-breaker.js';
import { type ClientCount, ClientCounter } from '../client-counter.js';

export interface MinuteCounts {
  /** Counts events of a name. Never rejects. */
  add(name: string, events: number): Promise<ClientCount>;
  /** Takes events back. Never rejects. @param counted what `add` answered */
  giveBack(name: string, events: number, counted: ClientCount): Promise<void>;
}

export class LocalCounts implements MinuteCounts {
  readonly #counter: ClientCounter;

  constructor(counter = new ClientCounter()) {
    this.#counter = counter;
  }

  async add(name: string, events: number): Promise<ClientCount> {
    return this.#counter.add(name, events);
  }

  async giveBack(name: string, events: number, counted: ClientCount): Promise<void> {
    this.#counter.giveBack(name, events, counted);
  }
}

const WINDOW_MS = 60_000;
/** Requests wait no longer for a count. */
const TIMEOUT_MS = 250;

/** Minutes are those of the clock, so replicas count in the same ones. No scripts: an ACL may forbid them. */
export class SharedCounts implements MinuteCounts {
  readonly #client: Pick<Redis | Cluster, 'multi'>;
  readonly #prefix: string;
  readonly #now: () => number;
  readonly #breaker = new CircuitBreaker({ timeoutMs: TIMEOUT_MS });
  readonly #local = new LocalCounts();
  /** Counts that this process made alone. */
  readonly #alone = new WeakSet<ClientCount>();

  constructor(client: Pick<Redis | Cluster, 'multi'>, { prefix = 'blockstitch:', now = () => Date.now() } = {}) {
    this.#client = client;
    this.#prefix = prefix;
    this.#now = now;
  }

  async add(name: string, events: number): Promise<ClientCount> {
    const nowMs = this.#now();
    const endsMs = (Math.floor(nowMs / WINDOW_MS) + 1) * WINDOW_MS;
    const answer = await this.#breaker.run(() => this.#change(name, events, endsMs));
    if (answer.ok) return { count: answer.result, endsMs, secondsLeft: Math.ceil((endsMs - nowMs) / 1000) };
    const counted = await this.#local.add(name, events);
    this.#alone.add(counted);
    return counted;
  }

  async giveBack(name: string, events: number, counted: ClientCount): Promise<void> {
    if (this.#alone.has(counted)) await this.#local.giveBack(name, events, counted);
    else await this.#breaker.run(() => this.#change(name, -events, counted.endsMs));
  }

  async #change(name: string, events: number, endsMs: number): Promise<number> {
    const key = `${this.#prefix}count:{${name}}:${endsMs / WINDOW_MS}`;
    const answers = await this.#client
      .multi()
      .incrby(key, events)
      .pexpire(key, 2 * WINDOW_MS)
      .exec();
    const [error, count] = answers?.[0] ?? [new Error('no answer'), undefined];
    if (error) throw error;
    return Number(count);
  }
}
