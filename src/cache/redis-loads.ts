/**
 * Reads of values over a connection that may be thrown away. Redis answers in order and cannot be told to stop: where a
 * line is slow, values that nobody waits for any more stand in front of all others. When the last reader has gone, the
 * connection is closed with all that is on the way, and made again. Knows who waits; `redis-store.ts` knows keys.
 */
import type { Cluster, Redis } from 'ioredis';
import { askRedis } from './connect-redis.js';

export class RedisLoads {
  readonly #client: Redis | Cluster;
  readonly #disposable: boolean;
  /** Reads that somebody waits for. */
  #waiting = 0;
  /** Reads whose answers are still on the way. */
  #underWay = 0;
  dropped = 0;

  /** @param disposable false if others use the connection as well: it is kept then */
  constructor(client: Redis | Cluster, { disposable }: { disposable: boolean }) {
    this.#client = client;
    this.#disposable = disposable;
  }

  /** @throws Error of Redis; the reason of the signal, at once */
  async read<T>(call: (client: Redis | Cluster) => Promise<T>, signal?: AbortSignal): Promise<T> {
    signal?.throwIfAborted();
    this.#waiting++;
    this.#underWay++;
    const answer = askRedis(this.#client, () => call(this.#client)).finally(() => {
      this.#underWay--;
    });
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

  #drop(): void {
    this.dropped++;
    // Not in order: that would wait for what is on the way.
    const nodes = 'nodes' in this.#client ? this.#client.nodes() : [this.#client];
    for (const node of nodes) node.stream?.destroy();
  }
}
