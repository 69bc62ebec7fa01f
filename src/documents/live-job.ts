/** A job that this process runs: its state, who watches it, and the way to end it. Knows no shelf. */
import type { JobRecord, JobState } from './job-record.js';

export class LiveJob {
  readonly record: JobRecord;
  readonly controller = new AbortController();
  /** Resolves when this process has nothing more to do with it. */
  ended: Promise<void> = Promise.resolve();
  /** This process may write the document, and alone says how the job ends. */
  sealed = false;
  /** Another process goes on with it. */
  kept = false;
  /** It waits here for its turn, and another server may take it meanwhile. */
  offered = false;
  /** It was offered, and its turn came here before anybody took it. */
  claimed = false;
  readonly #listeners = new Set<() => void>();

  constructor(record: JobRecord) {
    this.record = record;
  }

  get state(): JobState {
    return this.record.state;
  }

  get mayBeElsewhere(): boolean {
    return this.offered && !this.claimed;
  }

  get isOpen(): boolean {
    return this.state.status === 'running';
  }

  change(change: Partial<JobState>): void {
    Object.assign(this.state, change);
    this.wake();
  }

  wake(): void {
    for (const listener of [...this.#listeners]) listener();
  }

  /** Resolves with the next change, or when the signal aborts. */
  async changed(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    let done!: () => void;
    const change = new Promise<void>((resolve) => {
      done = resolve;
    });
    this.#listeners.add(done);
    signal.addEventListener('abort', done, { once: true });
    await change;
    this.#listeners.delete(done);
    signal.removeEventListener('abort', done);
  }
}

export function sameProgress(one: JobState, other: JobState): boolean {
  return one.status === other.status && one.blocksDone === other.blocksDone && one.blocksTotal === other.blocksTotal;
}
