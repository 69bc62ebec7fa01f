/**
 * Jobs in Redis: one key each, a set of the open ones, and a lease with a time to live, all on one node of a cluster.
 * A server that is gone holds its leases no longer than they live; then another one goes on with its jobs.
 */
import { randomUUID } from 'node:crypto';
import type { Cluster, Redis } from 'ioredis';
import { askRedis } from '../cache/connect-redis.js';
import { ENDED_JOBS_SECONDS, type JobShelf } from './job-shelf.js';

export class RedisJobShelf implements JobShelf {
  readonly #client: Redis | Cluster;
  readonly #prefix: string;
  /** Names this server in its leases. */
  readonly #owner = randomUUID();

  constructor(client: Redis | Cluster, prefix = 'blockstitch:') {
    this.#client = client;
    this.#prefix = `${prefix}{jobs}:`;
  }

  async open(id: string, value: Buffer, leaseMs: number): Promise<void> {
    const change = this.#client.multi().set(this.#job(id), value).set(this.#lease(id), this.#owner, 'PX', leaseMs);
    await this.#all(change.sadd(this.#open, id));
  }

  async end(id: string, value: Buffer): Promise<void> {
    const change = this.#client.multi().set(this.#job(id), value, 'EX', ENDED_JOBS_SECONDS);
    await this.#all(change.srem(this.#open, id).del(this.#lease(id)));
  }

  async get(id: string): Promise<Buffer | undefined> {
    return (await askRedis(this.#client, () => this.#client.getBuffer(this.#job(id)))) ?? undefined;
  }

  async listOpen(): Promise<string[]> {
    return (await askRedis(this.#client, () => this.#client.smembers(this.#open))).sort();
  }

  async lease(id: string, ms: number): Promise<boolean> {
    return askRedis(this.#client, async () => {
      const taken = await this.#client.set(this.#lease(id), this.#owner, 'PX', ms, 'NX');
      if (taken === 'OK') return true;
      if ((await this.#client.get(this.#lease(id))) !== this.#owner) return false;
      return (await this.#client.pexpire(this.#lease(id), ms)) === 1;
    });
  }

  async release(id: string): Promise<void> {
    await askRedis(this.#client, async () => {
      if ((await this.#client.get(this.#lease(id))) === this.#owner) await this.#client.del(this.#lease(id));
    });
  }

  /** A transaction that ran answers for each command by itself. */
  async #all(change: ReturnType<Redis['multi']>): Promise<void> {
    for (const [error] of (await askRedis(this.#client, () => change.exec())) ?? []) if (error) throw error;
  }

  get #open(): string {
    return `${this.#prefix}open`;
  }

  #job(id: string): string {
    return `${this.#prefix}job:${id}`;
  }

  #lease(id: string): string {
    return `${this.#prefix}lease:${id}`;
  }
}
