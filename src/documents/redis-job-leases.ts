/**
 * Leases of jobs in Redis, for a user who may not run scripts: then BullMQ cannot share jobs out.
 * A server that is gone holds its leases no longer than they live.
 */
import { randomUUID } from 'node:crypto';
import type { Cluster, Redis } from 'ioredis';
import { askRedis } from '../cache/connect-redis.js';
import type { JobLeases } from './job-queue.js';

export class RedisJobLeases implements JobLeases {
  readonly #client: Redis | Cluster;
  readonly #prefix: string;
  /** Names this server in its leases. */
  readonly #owner = randomUUID();

  constructor(client: Redis | Cluster, prefix = 'blockstitch:') {
    this.#client = client;
    this.#prefix = `${prefix}{jobs}:lease:`;
  }

  async lease(id: string, ms: number): Promise<boolean> {
    const key = this.#prefix + id;
    return askRedis(this.#client, async () => {
      const taken = await this.#client.set(key, this.#owner, 'PX', ms, 'NX');
      if (taken === 'OK') return true;
      if ((await this.#client.get(key)) !== this.#owner) return false;
      return (await this.#client.pexpire(key, ms)) === 1;
    });
  }

  async release(id: string): Promise<void> {
    const key = this.#prefix + id;
    await askRedis(this.#client, async () => {
      if ((await this.#client.get(key)) === this.#owner) await this.#client.del(key);
    });
  }
}
