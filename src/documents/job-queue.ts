/**
 * Who runs a job, when, and again after what. A queue knows ids of jobs and nothing of what is in them: the record on the
 * shelf says what to do, and how a job has ended. `bull-job-queue.ts` shares jobs out over servers on one Redis,
 * `in-process-job-queue.ts` runs them where they were accepted.
 */
import type { ErrorCode } from '../errors.js';

export interface JobProgress {
  blocksDone: number;
  blocksTotal: number;
}

/** Jobs of a queue that have not ended. Of a shared queue: of all servers. */
export interface JobCounts {
  waiting: number;
  active: number;
  /** They failed, and are tried again after a pause. */
  delayed: number;
}

/** One run of a job, as the queue knows it. */
export interface JobAttempt {
  /** From 1. */
  number: number;
  /** If it fails now, it is not tried again. */
  last: boolean;
  /** Processes that ended while they ran it; undefined where the queue cannot count them. */
  deaths: number | undefined;
  /** Tells watchers on other servers. */
  tell(progress: JobProgress): void;
}

export type JobOutcome =
  /** The record says how. */
  | { is: 'ended' }
  /** The record says so, too. */
  | { is: 'failed'; code: ErrorCode }
  /** For a reason that may pass: try it again, after a pause. */
  | { is: 'again'; code: ErrorCode }
  /** This server ends: another one goes on with it, or the next process. */
  | { is: 'kept' }
  /** Another server has it, and says how it ends. */
  | { is: 'elsewhere' };

/** What a queue calls. */
export interface JobRunner {
  /** Works on a job whose turn has come. Throws nothing. */
  work(id: string, attempt: JobAttempt): Promise<JobOutcome>;
  /** Takes a job in that another process has left, and adds it. @returns false where there is nothing to run */
  takeOver(id: string): Promise<boolean>;
  /** The right to run the job has gone to another server. */
  lost(id: string): void;
  /** A job has changed. Without progress: it may have ended. */
  told(id: string, progress?: JobProgress): void;
  /** The jobs of this process that have not ended, as far as it knows. */
  ids(): string[];
  /** The job is added later: one of the same document comes before it. */
  isInLine(id: string): boolean;
}

export interface JobQueue {
  /** Jobs that wait here are run by other servers at once when this one stops. */
  readonly isShared: boolean;
  /** Call once, before everything else. */
  attach(runner: JobRunner): void;
  /** Goes on with what other processes have left, now and from time to time. @returns how many jobs that are now */
  resume(): Promise<number>;
  /** Takes a job that is on the shelf. It is not begun before `turn`. One that is in the queue already stays as it is. */
  add(id: string, turn?: Promise<void>): Promise<void>;
  /** The record of a job has ended: it is not begun any more, and who runs it is told to look. */
  remove(id: string): Promise<void>;
  /** What was told last by who runs the job. */
  progress(id: string): Promise<JobProgress | undefined>;
  counts(): Promise<JobCounts>;
  /** Looks what other processes have left. */
  tick(): Promise<number>;
  /** Takes no more jobs over. Those that run go on. */
  stop(): void;
  /** Resolves when no job runs here any more; those that wait are not begun. The runner ends what runs. */
  close(): Promise<void>;
}

/** The right to run a job, where a queue cannot give it. */
export interface JobLeases {
  /** Takes the lease of a job, or holds on to it. @returns false where another process has it */
  lease(id: string, ms: number): Promise<boolean>;
  /** Gives it back: another process may go on with the job at once. */
  release(id: string): Promise<void>;
}

/** Jobs at work at the same time in a process; the others wait. */
export const JOBS_AT_ONCE = 4;
/** Runs of a job that fails for reasons that may pass. */
export const MAX_TRIES = 4;
/** Pause before the second run, milliseconds; twice as long before each further one. */
export const FIRST_PAUSE_MS = 1_000;
/** A job whose work so many processes did not survive is given up. */
export const MAX_DEATHS = 5;
