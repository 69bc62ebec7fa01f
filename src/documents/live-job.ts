/** A job that this process has accepted, taken over or runs, and that has not ended. Knows no shelf. */
import type { JobProgress } from './job-queue.js';

export class LiveJob {
  readonly id: string;
  /** It holds up what comes after it here. One that another server accepted does not. */
  isOwn = false;
  /** Another process had it before. */
  wasTaken = false;
  /** Jobs of the same document come before it here, and it is in no queue yet. */
  inLine = false;
  progress: JobProgress = { blocksDone: 0, blocksTotal: 0 };
  /** Ends the run; undefined where the job does not run here. */
  running: AbortController | undefined;
  /** Resolves when the run is over. */
  idle: Promise<unknown> = Promise.resolve();
  /** This run may write the document, and alone says how the job ends. */
  sealed = false;
  /** Resolves when this process has nothing more to do with the job. */
  readonly ended: Promise<void>;
  readonly end: () => void;

  constructor(id: string) {
    this.id = id;
    let end!: () => void;
    this.ended = new Promise<void>((resolve) => {
      end = resolve;
    });
    this.end = end;
  }
}
