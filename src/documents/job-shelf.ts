/**
 * Where jobs are kept, so that what was acknowledged goes on after any end of the process.
 * A job is open until it has ended. A shelf knows bytes and names; `job-queue.ts` says who runs a job.
 */
export interface JobShelf {
  /** Keeps a new job. Durable when it resolves. */
  open(id: string, value: Buffer): Promise<void>;
  /** Writes an open job anew. @returns false if it has ended; nothing is written then */
  update(id: string, value: Buffer): Promise<boolean>;
  /** From now on nobody cancels the job: its document is being written. @returns false if it has ended */
  seal(id: string): Promise<boolean>;
  /**
   * Keeps how a job ended, for a while. It is open no more.
   * @param unless `sealed`: a sealed job goes on
   * @returns false if it had ended before, or goes on; nothing is written then
   */
  end(id: string, value: Buffer, unless?: 'sealed'): Promise<boolean>;
  get(id: string): Promise<Buffer | undefined>;
  /** Open jobs in the order of their ids, which is the order in which they were accepted. */
  listOpen(): Promise<string[]>;
}

/** Jobs that have ended and are remembered by an embedded store, or for how long by Redis. */
export const ENDED_JOBS_KEPT = 1000;
export const ENDED_JOBS_SECONDS = 24 * 3600;
