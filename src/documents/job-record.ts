/** A background ingestion as it is kept and as it is shown: what to do, how far it is, how it ended. Data only. */
import { randomBytes } from 'node:crypto';
import type { CacheScope } from '../cache/tiers.js';
import { BlockstitchError, type ErrorCode } from '../errors.js';
import type { NewDocument } from './ingest-document.js';

export type JobStatus = 'running' | 'done' | 'failed' | 'cancelled';

export interface JobState {
  id: string;
  /** `running`: accepted and not ended, also while it waits. */
  status: JobStatus;
  documentId: string;
  /** Unix time, seconds. */
  createdAt: number;
  blocksDone: number;
  blocksTotal: number;
  error?: { code: ErrorCode; message: string };
}

export interface JobRecord {
  state: JobState;
  scope: CacheScope;
  /** Unix time, milliseconds. */
  acceptedMs: number;
  /** What to ingest; absent once the job has ended. */
  document?: NewDocument;
  /** Times that its work began and did not end in order, where no queue counts them. Waiting in a queue is no work. */
  begun?: number;
  /** Most blocks that a run which did not end had done, from the second one on. */
  furthest?: number;
}

let lastMs = 0;

/** Ids lie in the order in which they are made: within a process strictly, across processes by their clocks. */
function newJobId(): string {
  lastMs = Math.max(lastMs + 1, Date.now());
  return `job-${lastMs.toString(36).padStart(9, '0')}-${randomBytes(10).toString('hex')}`;
}

/** A job as it begins. */
export function newJobState(documentId: string): JobState {
  const createdAt = Math.floor(Date.now() / 1000);
  return { id: newJobId(), status: 'running', documentId, createdAt, blocksDone: 0, blocksTotal: 0 };
}

/** What a job says of its failure. */
export function jobError(thrown: unknown): NonNullable<JobState['error']> {
  const error = thrown instanceof BlockstitchError ? thrown : new BlockstitchError('internal_error');
  return { code: error.code, message: error.outside };
}

/** What is left of a job that has ended. */
export function withoutDocument({ document: _document, ...record }: JobRecord): JobRecord {
  return record;
}

/** How a job ends that no process survived. @param record undefined if it is damaged */
export function givenUp(id: string, record: JobRecord | undefined): JobRecord {
  const reason = 'the server ended each time that the document was ingested';
  const error = record ? jobError(new BlockstitchError('engine_failed', { reason })) : jobError(undefined);
  const unknown: JobState = { id, status: 'failed', documentId: '', createdAt: 0, blocksDone: 0, blocksTotal: 0 };
  const state: JobState = { ...(record?.state ?? unknown), status: 'failed', error };
  return { state, scope: record?.scope ?? { tenant: '', salt: '' }, acceptedMs: record?.acceptedMs ?? 0 };
}

export function sameProgress(one: JobState, other: JobState): boolean {
  return one.status === other.status && one.blocksDone === other.blocksDone && one.blocksTotal === other.blocksTotal;
}
