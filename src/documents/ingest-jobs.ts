/**
 * Ingestions that run behind the client's back: their progress, their result, who listens.
 * Kept in memory, the finished ones for a while; knows nothing of how a document is ingested.
 */
import { randomUUID } from 'node:crypto';
import { BlockstitchError } from '../errors.js';

export interface JobState {
  id: string;
  status: 'running' | 'done' | 'failed' | 'cancelled';
  documentId: string;
  /** Unix time, seconds. */
  createdAt: number;
  blocksDone: number;
  blocksTotal: number;
  error?: BlockstitchError;
}

/** What the work behind a job tells it. */
export interface JobProgress {
  signal: AbortSignal;
  total(blocks: number): void;
  blockDone(): void;
}

interface Job {
  state: JobState;
  controller: AbortController;
  listeners: Set<() => void>;
  ended: Promise<void>;
}

export class IngestJobs {
  private readonly jobs = new Map<string, Job>();

  /** @param keepEnded finished jobs that are remembered; the oldest are forgotten first */
  constructor(private readonly keepEnded = 1000) {}

  /** Starts `work` and returns at once. A rejection ends the job as failed (or cancelled). */
  start(documentId: string, work: (progress: JobProgress) => Promise<unknown>): JobState {
    const controller = new AbortController();
    const state: JobState = {
      id: `job-${randomUUID()}`,
      status: 'running',
      documentId,
      createdAt: Math.floor(Date.now() / 1000),
      blocksDone: 0,
      blocksTotal: 0,
    };
    const listeners = new Set<() => void>();
    const changed = () => {
      for (const listener of [...listeners]) listener();
    };
    const ended = work({
      signal: controller.signal,
      total: (blocks) => {
        state.blocksTotal = blocks;
        changed();
      },
      blockDone: () => {
        state.blocksDone += 1;
        changed();
      },
    }).then(
      () => {
        state.status = 'done';
      },
      (error: unknown) => {
        state.status = controller.signal.aborted ? 'cancelled' : 'failed';
        state.error =
          error instanceof BlockstitchError ? error : new BlockstitchError('internal_error', {}, { cause: error });
      },
    );
    this.jobs.set(state.id, { state, controller, listeners, ended: ended.then(changed) });
    this.forgetOldest();
    return state;
  }

  get running(): number {
    let count = 0;
    for (const { state } of this.jobs.values()) if (state.status === 'running') count += 1;
    return count;
  }

  get(id: string): JobState | undefined {
    return this.jobs.get(id)?.state;
  }

  /** Yields the job's state now and after each change, until it has ended. */
  async *watch(id: string, signal: AbortSignal): AsyncGenerator<JobState> {
    const job = this.jobs.get(id);
    if (!job) return;
    let wake: () => void = () => {};
    const listener = () => wake();
    job.listeners.add(listener);
    signal.addEventListener('abort', listener, { once: true });
    try {
      while (!signal.aborted) {
        const change = new Promise<void>((resolve) => {
          wake = resolve;
        });
        const snapshot = { ...job.state };
        yield snapshot;
        if (snapshot.status !== 'running') return;
        if (job.state.status === snapshot.status && job.state.blocksDone === snapshot.blocksDone) await change;
      }
    } finally {
      job.listeners.delete(listener);
      signal.removeEventListener('abort', listener);
    }
  }

  /** Aborts what is running and waits for it to end. */
  async close(): Promise<void> {
    for (const { controller } of this.jobs.values()) controller.abort(new BlockstitchError('shutting_down'));
    await Promise.all([...this.jobs.values()].map(({ ended }) => ended));
  }

  private forgetOldest(): void {
    for (const [id, { state }] of this.jobs) {
      if (this.jobs.size <= this.keepEnded) return;
      if (state.status !== 'running') this.jobs.delete(id);
    }
  }
}
