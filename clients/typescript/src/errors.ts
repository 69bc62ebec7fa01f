/** What is thrown when the server refuses a request, or a stream ends with an error. */
import type { ErrorResponse } from './generated/schema.js';

/** An error of the server. Match on `code`: docs/api.md lists the codes. */
export class BlockstitchError extends Error {
  override readonly name = 'BlockstitchError';
  /** HTTP status; 200 if a stream had begun. */
  readonly status: number;
  readonly code: string;
  /** The field that is wrong, if there is one. */
  readonly param: string | null;
  /** What to do about it. */
  readonly remedy: string;

  constructor(status: number, { error }: ErrorResponse) {
    super(`${error.message} ${error.remedy}`);
    this.status = status;
    this.code = error.code;
    this.param = error.param;
    this.remedy = error.remedy;
  }
}

/** An answer that is not this server's: a proxy's page, or a stream that was cut. */
export class UnexpectedAnswer extends Error {
  override readonly name = 'UnexpectedAnswer';
}

export function isErrorResponse(value: unknown): value is ErrorResponse {
  if (typeof value !== 'object' || value === null || !('error' in value)) return false;
  const { error } = value;
  return typeof error === 'object' && error !== null && 'code' in error && 'remedy' in error;
}
