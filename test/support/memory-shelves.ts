/** Shelves in memory, with the rules of the real ones: compare before a change, order of ids, leases. For unit tests. */
import { type DocumentShelf, type Head, headOf, idKey, idOf, sameHead } from '../../src/documents/document-shelf.js';
import type { Shelves } from '../../src/documents/documents.js';
import { InProcessJobQueue } from '../../src/documents/in-process-job-queue.js';
import type { JobLeases } from '../../src/documents/job-queue.js';
import type { JobShelf } from '../../src/documents/job-shelf.js';

export class MemoryShelf implements DocumentShelf {
  readonly values = new Map<string, Buffer>();
  /** Set to have every call rejected with it. */
  failWith: Error | undefined;
  /** Called after each read, before its answer arrives. */
  afterGet: () => Promise<void> = async () => {};
  /** Called before each change, as another server could come between. */
  beforeChange: () => Promise<void> = async () => {};

  async get(tenant: string, id: string): Promise<Buffer | undefined> {
    this.#check();
    const value = this.values.get(`${tenant}/${idKey(id)}`);
    await this.afterGet();
    return value;
  }

  put(tenant: string, id: string, value: Buffer, read: Head): Promise<boolean> {
    return this.#change(tenant, id, read, (key) => void this.values.set(key, Buffer.from(value)));
  }

  remove(tenant: string, id: string, read: Head): Promise<boolean> {
    return this.#change(tenant, id, read, (key) => void this.values.delete(key));
  }

  async listIds(tenant: string, after: string | undefined, limit: number): Promise<string[]> {
    this.#check();
    const keys = [...this.values.keys()].filter((key) => key.startsWith(`${tenant}/`)).sort();
    const from = after === undefined ? '' : `${tenant}/${idKey(after)}`;
    const page = keys.filter((key) => key > from).slice(0, limit);
    return page.map((key) => idOf(key.slice(tenant.length + 1)));
  }

  async *tenants() {
    yield* new Set([...this.values.keys()].map((key) => key.slice(0, key.indexOf('/'))));
  }

  async unlist(): Promise<void> {}

  async #change(tenant: string, id: string, read: Head, change: (key: string) => void): Promise<boolean> {
    this.#check();
    await this.beforeChange();
    const key = `${tenant}/${idKey(id)}`;
    if (!sameHead(headOf(this.values.get(key)), read)) return false;
    change(key);
    return true;
  }

  #check(): void {
    if (this.failWith) throw this.failWith;
  }
}

/** What several servers share. */
export interface MemoryJobs {
  values: Map<string, Buffer>;
  open: Set<string>;
  leases: Map<string, object>;
  sealed: Set<string>;
}

export function memoryJobs(): MemoryJobs {
  return { values: new Map(), open: new Set(), leases: new Map(), sealed: new Set() };
}

/** Leases never run out by themselves: a test takes them away. */
export class MemoryJobShelf implements JobShelf, JobLeases {
  readonly shared: MemoryJobs;

  constructor(shared: MemoryJobs = memoryJobs()) {
    this.shared = shared;
  }

  async open(id: string, value: Buffer): Promise<void> {
    this.shared.values.set(id, value);
    this.shared.open.add(id);
  }

  async update(id: string, value: Buffer): Promise<boolean> {
    if (!this.shared.open.has(id)) return false;
    this.shared.values.set(id, value);
    return true;
  }

  async seal(id: string): Promise<boolean> {
    if (this.shared.open.has(id)) this.shared.sealed.add(id);
    return this.shared.open.has(id);
  }

  async end(id: string, value: Buffer, unless?: 'sealed'): Promise<boolean> {
    const goesOn = unless === 'sealed' && this.shared.sealed.has(id);
    if (goesOn || !this.shared.open.has(id)) return false;
    this.shared.values.set(id, value);
    this.shared.open.delete(id);
    this.shared.leases.delete(id);
    this.shared.sealed.delete(id);
    return true;
  }

  async get(id: string): Promise<Buffer | undefined> {
    return this.shared.values.get(id);
  }

  async listOpen(): Promise<string[]> {
    return [...this.shared.open].sort();
  }

  async lease(id: string): Promise<boolean> {
    const holder = this.shared.leases.get(id) ?? this;
    this.shared.leases.set(id, holder);
    return holder === this;
  }

  async release(id: string): Promise<void> {
    if (this.shared.leases.get(id) === this) this.shared.leases.delete(id);
  }
}

export interface MemoryShelves extends Shelves {
  documents: MemoryShelf;
  jobs: MemoryJobShelf;
  queue: InProcessJobQueue;
}

/** @param of another server's: both keep documents and jobs in one place */
export function memoryShelves(of?: MemoryShelves, maxTaken = 8): MemoryShelves {
  const jobs = new MemoryJobShelf(of?.jobs.shared);
  const logger = { warn: () => undefined };
  const queue = new InProcessJobQueue({ shelf: jobs, leases: jobs, logger, maxTaken, retryMs: 1 });
  return { documents: of?.documents ?? new MemoryShelf(), jobs, queue };
}
