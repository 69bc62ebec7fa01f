/**
 * Jobs in Redis: one key each, sets of the open and of the sealed ones, and a lease with a time to live, all on one node
 * of a cluster. The key of a job that has ended has a time to live.
 * A server that is gone holds its leases no longer than they live; then another one goes on with its jobs.
 */
import { randomUUID } from 'node:crypto';
import type { Cluster, Redis } from 'ioredis';
import { askRedis, withoutScripts } from '../cache/connect-redis.js';
import { ENDED_JOBS_SECONDS, type JobShelf } from './job-shelf.js';

/** A job that has ended takes no change. KEYS: job, lease, open, sealed. ARGV: id, change, value, seconds. */
const CHANGE = `
local ttl = redis.call('ttl', KEYS[1])
if ttl >= 0 or (ttl == -2 and redis.call('sismember', KEYS[3], ARGV[1]) == 0) then return 0 end
if ARGV[2] == 'seal' then
  redis.call('sadd', KEYS[4], ARGV[1])
elseif ARGV[2] == 'update' then
  redis.call('set', KEYS[1], ARGV[3])
elseif ARGV[2] == 'end unless sealed' and redis.call('sismember', KEYS[4], ARGV[1]) == 1 then
  return 0
else
  redis.call('set', KEYS[1], ARGV[3], 'EX', ARGV[4])
  redis.call('srem', KEYS[3], ARGV[1])
  redis.call('srem', KEYS[4], ARGV[1])
  redis.call('del', KEYS[2])
end
return 1`;

/** A server tells how far a job is each second; what it told outlives some that do not come through. */
const PROGRESS_SECONDS = 60;

type Change = 'seal' | 'update' | 'end' | 'end unless sealed';

export class RedisJobShelf implements JobShelf {
  readonly manyServers = true;
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

  update(id: string, value: Buffer): Promise<boolean> {
    return this.#change(id, 'update', value);
  }

  seal(id: string): Promise<boolean> {
    return this.#change(id, 'seal', Buffer.alloc(0));
  }

  end(id: string, value: Buffer, unless?: 'sealed'): Promise<boolean> {
    return this.#change(id, unless === 'sealed' ? 'end unless sealed' : 'end', value);
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

  async tell(id: string, blocksDone: number, blocksTotal: number): Promise<void> {
    const told = `${blocksDone}/${blocksTotal}`;
    await askRedis(this.#client, () => this.#client.set(this.#progress(id), told, 'EX', PROGRESS_SECONDS));
  }

  async progress(id: string): Promise<{ blocksDone: number; blocksTotal: number } | undefined> {
    const told = await askRedis(this.#client, () => this.#client.get(this.#progress(id)));
    if (told === null) return undefined;
    const [blocksDone = 0, blocksTotal = 0] = told.split('/').map(Number);
    return { blocksDone, blocksTotal };
  }

  async release(id: string): Promise<void> {
    await askRedis(this.#client, async () => {
      if ((await this.#client.get(this.#lease(id))) === this.#owner) await this.#client.del(this.#lease(id));
    });
  }

  async #change(id: string, change: Change, value: Buffer): Promise<boolean> {
    const keys = [this.#job(id), this.#lease(id), this.#open, this.#sealed];
    const args = [id, change, value, ENDED_JOBS_SECONDS];
    try {
      return (await askRedis(this.#client, () => this.#client.eval(CHANGE, 4, ...keys, ...args))) === 1;
    } catch (error) {
      if (withoutScripts(error)) return this.#changeUnscripted(id, change, value);
      throw error;
    }
  }

  /** For a user who may not run scripts. Between the look and the change another replica may end the job. */
  async #changeUnscripted(id: string, change: Change, value: Buffer): Promise<boolean> {
    const job = this.#job(id);
    const client = this.#client;
    const [ttl, isOpen, isSealed] = await askRedis(client, () =>
      Promise.all([client.ttl(job), client.sismember(this.#open, id), client.sismember(this.#sealed, id)]),
    );
    if (ttl >= 0 || (ttl === -2 && isOpen === 0)) return false;
    if (change === 'end unless sealed' && isSealed === 1) return false;
    const begun = client.multi();
    if (change === 'seal') await this.#all(begun.sadd(this.#sealed, id));
    else if (change === 'update') await this.#all(begun.set(job, value));
    else {
      const ended = begun.set(job, value, 'EX', ENDED_JOBS_SECONDS).srem(this.#open, id).srem(this.#sealed, id);
      await this.#all(ended.del(this.#lease(id)));
    }
    return true;
  }

  /** A transaction that ran answers for each command by itself. */
  async #all(change: ReturnType<Redis['multi']>): Promise<void> {
    for (const [error] of (await askRedis(this.#client, () => change.exec())) ?? []) if (error) throw error;
  }

  get #open(): string {
    return `${this.#prefix}open`;
  }

  get #sealed(): string {
    return `${this.#prefix}sealed`;
  }

  #job(id: string): string {
    return `${this.#prefix}job:${id}`;
  }

  #progress(id: string): string {
    return `${this.#prefix}progress:${id}`;
  }

  #lease(id: string): string {
    return `${this.#prefix}lease:${id}`;
  }
}
