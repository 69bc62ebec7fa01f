/**
 * Jobs in Redis: one key each, and sets of the open and of the sealed ones, all on one node of a cluster. The key of a job
 * that has ended has a time to live. Who runs a job is told elsewhere: bull-job-queue.ts, redis-job-leases.ts.
 */
import type { Cluster, Redis } from 'ioredis';
import { askRedis, withoutScripts } from '../cache/connect-redis.js';
import { ENDED_JOBS_SECONDS, type JobShelf } from './job-shelf.js';

/** A job that has ended takes no change. KEYS: job, open, sealed. ARGV: id, change, value, seconds. */
const CHANGE = `
local ttl = redis.call('ttl', KEYS[1])
if ttl >= 0 or (ttl == -2 and redis.call('sismember', KEYS[2], ARGV[1]) == 0) then return 0 end
if ARGV[2] == 'seal' then
  redis.call('sadd', KEYS[3], ARGV[1])
elseif ARGV[2] == 'update' then
  redis.call('set', KEYS[1], ARGV[3])
elseif ARGV[2] == 'end unless sealed' and redis.call('sismember', KEYS[3], ARGV[1]) == 1 then
  return 0
else
  redis.call('set', KEYS[1], ARGV[3], 'EX', ARGV[4])
  redis.call('srem', KEYS[2], ARGV[1])
  redis.call('srem', KEYS[3], ARGV[1])
end
return 1`;

type Change = 'seal' | 'update' | 'end' | 'end unless sealed';

export class RedisJobShelf implements JobShelf {
  readonly #client: Redis | Cluster;
  readonly #prefix: string;

  constructor(client: Redis | Cluster, prefix = 'blockstitch:') {
    this.#client = client;
    this.#prefix = `${prefix}{jobs}:`;
  }

  async open(id: string, value: Buffer): Promise<void> {
    await this.#all(this.#client.multi().set(this.#job(id), value).sadd(this.#open, id));
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

  async #change(id: string, change: Change, value: Buffer): Promise<boolean> {
    const keys = [this.#job(id), this.#open, this.#sealed];
    const args = [id, change, value, ENDED_JOBS_SECONDS];
    try {
      return (await askRedis(this.#client, () => this.#client.eval(CHANGE, 3, ...keys, ...args))) === 1;
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
      const ended = begun.set(job, value, 'EX', ENDED_JOBS_SECONDS);
      await this.#all(ended.srem(this.#open, id).srem(this.#sealed, id));
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
}
