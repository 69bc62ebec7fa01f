/**
 * Reads of values over a connection that may be thrown away. Redis answers in order and cannot be told to stop: where a
 * line is slow, values that nobody waits for any more stand in front of all others. When the last reader has gone, the
 * connection is closed with all that is on the way, and made again. Knows who waits; `redis-store.ts` knows keys.
 *
 * Few values are asked for at once. Redis copies every answer of a batch before it sends the first one, and what is sent
 * faster than it is read stops the line: asked in one batch, the same bytes take twice as long (docs/results/stores.md).
 */
import type { Cluster, Redis } from 'ioredis';
import { askRedis } from './connect-redis.js';

/** Bytes that may be on the way: a value is copied while the one before it is read. */
const ASKED_BYTES = 8 * 1024 * 1024;
/** Reads under way at least, however large values are, and at most, however small. */
const READS = { least: 2, most: 64 } as const;
/** A large value counts for this share of itself with each that comes after it. */
const TYPICAL_DECAY = 0.9;

type Values = (Uint8Array | undefined)[];

export class RedisLoads {
  readonly #client: Redis | Cluster;
  readonly #disposable: boolean;
  /** Reads that somebody waits for. */
  #waiting = 0;
  /** Reads whose answers are still on the way. */
  #underWay = 0;
  /** Told when a read has ended. */
  readonly #queue: (() => void)[] = [];
  /** The size of the largest values that came lately. */
  #typicalBytes = ASKED_BYTES;
  dropped = 0;

  /** @param disposable false if others use the connection as well: it is kept then */
  constructor(client: Redis | Cluster, { disposable }: { disposable: boolean }) {
    this.#client = client;
    this.#disposable = disposable;
  }

  /** @throws Error of Redis; the reason of the signal, at once */
  async read(call: (client: Redis | Cluster) => Promise<Values>, signal?: AbortSignal): Promise<Values> {
    signal?.throwIfAborted();
    this.#waiting++;
    const answer = this.#ask(call, signal);
    let leave = () => {};
    const left = new Promise<never>((_, reject) => {
      leave = () => reject(signal?.reason);
      signal?.addEventListener('abort', leave, { once: true });
    });
    try {
      return await Promise.race([answer, left]);
    } finally {
      signal?.removeEventListener('abort', leave);
      this.#waiting--;
      if (signal?.aborted && this.#waiting === 0 && this.#underWay > 0 && this.#disposable) this.#drop();
      answer.catch(() => undefined);
    }
  }

  close(): void {
    if (this.#disposable) this.#client.disconnect();
  }

  /** Asks when few enough others are under way; not at all where nobody waits any more. */
  async #ask(call: (client: Redis | Cluster) => Promise<Values>, signal: AbortSignal | undefined): Promise<Values> {
    while (this.#underWay >= this.#places()) await new Promise<void>((resolve) => this.#queue.push(resolve));
    signal?.throwIfAborted();
    this.#underWay++;
    try {
      const values = await askRedis(this.#client, () => call(this.#client));
      const bytes = values.reduce((sum, value) => sum + (value?.byteLength ?? 0), 0);
      // A few small values among large ones must not let a crowd of large ones follow.
      this.#typicalBytes = Math.max(bytes, this.#typicalBytes * TYPICAL_DECAY);
      return values;
    } finally {
      this.#underWay--;
      for (const look of this.#queue.splice(0)) look();
    }
  }

  /** Reads that may be under way. Each node of a cluster has a line of its own. */
  #places(): number {
    const lines = 'nodes' in this.#client ? Math.max(1, this.#client.nodes('master').length) : 1;
    return lines * Math.min(READS.most, Math.max(READS.least, Math.ceil(ASKED_BYTES / this.#typicalBytes)));
  }

  #drop(): void {
    this.dropped++;
    // Not in order: that would wait for what is on the way.
    const nodes = 'nodes' in this.#client ? this.#client.nodes() : [this.#client];
    for (const node of nodes) node.stream?.destroy();
  }
}
