/**
 * Where jobs are kept, so that what was acknowledged goes on after any end of the process.
 * A job is open until it has ended. Whoever holds its lease runs it. A shelf knows bytes, names and leases.
 */
export interface JobShelf {
  /** Other servers take jobs from it, too. */
  readonly manyServers: boolean;
  /** Keeps a new job; the caller has its lease. Durable when it resolves. */
  open(id: string, value: Buffer, leaseMs: number): Promise<void>;
  /** Writes an open job anew. @returns false if it has ended; nothing is written then */
  update(id: string, value: Buffer): Promise<boolean>;
  /** From now on nobody cancels the job: its document is being written. @returns false if it has ended */
  seal(id: string): Promise<boolean>;
  /**
   * Keeps how a job ended, for a while. It is open no more, and its lease is gone.
   * @param unless `sealed`: a sealed job goes on
   * @returns false if it had ended before, or goes on; nothing is written then
   */
  end(id: string, value: Buffer, unless?: 'sealed'): Promise<boolean>;
  get(id: string): Promise<Buffer | undefined>;
  /** Open jobs in the order of their ids, which is the order in which they were accepted. */
  listOpen(): Promise<string[]>;
  /** Takes the lease of an open job, or holds on to it. @returns false where somebody else has it */
  lease(id: string, ms: number): Promise<boolean>;
  /** Tells the others how far an open job is. Only shared shelves have it. */
  tell?(id: string, blocksDone: number, blocksTotal: number): Promise<void>;
  /** What was told last of a job; undefined if nothing. */
  progress?(id: string): Promise<{ blocksDone: number; blocksTotal: number } | undefined>;
  /** Gives the lease back: another server may go on with the job at once. */
  release(id: string): Promise<void>;
}

/** Jobs that have ended and are remembered by an embedded store, or for how long by Redis. */
export const ENDED_JOBS_KEPT = 1000;
export const ENDED_JOBS_SECONDS = 24 * 3600;
