/**
 * Gives a server time: one that is busy, that just starts again, or that takes so many requests a minute and no more.
 * Knows which errors pass, and how long to wait. The commands know what they ask.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { BlockstitchError, ERRORS } from '../errors.js';
import { RemoteError } from './api-client.js';

/** Tries while the server has no room or does not answer, and the pause before the next, times the number of tries. */
const MAX_TRIES = 6;
const PAUSE_MS = 500;
/** Limits are counted by the minute. */
const MOST_TOLD_MS = 60_000;

export interface PatienceOptions {
  /** Called before it waits because a limit of requests is reached. */
  onLimit?: ((error: BlockstitchError, waitMs: number) => void) | undefined;
  /** Tests give their own. */
  pause?: (ms: number) => Promise<unknown>;
}

/** @throws BlockstitchError what does not pass, or has not passed after some tries. A limit of requests always passes. */
export async function patiently<T>(
  work: () => Promise<T>,
  { onLimit, pause = delay }: PatienceOptions = {},
): Promise<T> {
  for (let tries = 1; ; ) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof BlockstitchError) || !ERRORS[error.code].retryable) throw error;
      const toldMs = error instanceof RemoteError ? error.retryAfterMs : undefined;
      if (error.code === 'rate_limit_exceeded' && toldMs !== undefined) {
        const waitMs = Math.min(toldMs, MOST_TOLD_MS);
        onLimit?.(error, waitMs);
        await pause(waitMs);
        continue;
      }
      if (tries >= MAX_TRIES) throw error;
      await pause(PAUSE_MS * tries);
      tries += 1;
    }
  }
}
