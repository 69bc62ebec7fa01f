/**
 * The rights to compute blocks that this process holds, among replicas on one store. A right is a lock that lives a short
 * while and is renewed until it is given back. So a replica that is gone holds nobody up for longer than that.
 * A save names the lock that it was computed under, and the store refuses it once the lock is another's (a fence).
 * Knows locks and time. `stored-blocks.ts` decides who waits, and for how long.
 */
import type { ByteStore, StoreLock } from './byte-store.js';
import type { Answer } from './circuit-breaker.js';
import type { BlockKey } from './tiers.js';

/** Milliseconds that a lock outlives the last renewal. */
const LEASE_MS = 5_000;
/** Renewals within the life of a lock: two may be lost. */
const RENEWALS = 3;

export interface BlockLeasesOptions {
  store: Pick<ByteStore, 'lock'>;
  /** Calls the store behind the breaker of locks. */
  run<T>(call: () => Promise<T>): Promise<Answer<T>>;
  leaseMs?: number | undefined;
}

export interface Lease {
  key: BlockKey;
  lock: StoreLock;
}

export class BlockLeases {
  readonly #options: BlockLeasesOptions;
  readonly #leaseMs: number;
  readonly #held = new Map<BlockKey, Lease>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: BlockLeasesOptions) {
    this.#options = options;
    this.#leaseMs = options.leaseMs ?? LEASE_MS;
  }

  /** @returns undefined where another one has the right; not ok where the store cannot be asked */
  async take(key: BlockKey): Promise<Answer<Lease | undefined>> {
    const { store, run } = this.#options;
    const answer = await run(() => store.lock(key, this.#leaseMs));
    if (!answer.ok || answer.result === undefined) return answer as Answer<undefined>;
    const lease = { key, lock: answer.result };
    this.#held.set(key, lease);
    this.#timer ??= setInterval(() => void this.#renew(), this.#leaseMs / RENEWALS).unref();
    return { ok: true, result: lease };
  }

  /** What a save of a block must name; undefined if it is computed without a right. */
  fence(key: BlockKey): string | undefined {
    return this.#held.get(key)?.lock.token;
  }

  async giveBack(lease: Lease): Promise<void> {
    if (this.#held.get(lease.key) === lease) this.#held.delete(lease.key);
    if (this.#held.size === 0) this.#stop();
    await this.#options.run(() => lease.lock.release());
  }

  close(): void {
    this.#stop();
  }

  /** One that cannot be renewed is not dropped: the store refuses its save, or takes it if nobody came between. */
  async #renew(): Promise<void> {
    const { run } = this.#options;
    await Promise.all([...this.#held.values()].map(({ lock }) => run(() => lock.renew(this.#leaseMs))));
  }

  #stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
