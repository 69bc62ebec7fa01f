/** Work that found no room at the moment is tried again. Knows no documents. */
import { setTimeout as delay } from 'node:timers/promises';
import { BlockstitchError, ERRORS } from '../errors.js';

/** Pause before the next try. */
const RETRY_MS = 250;
/** Tries of work that fails for reasons that may pass, and the pause before the second. */
const MAX_TRIES = 4;
const FIRST_PAUSE_MS = 1_000;

/** @throws what `work` throws, if waiting does not help; the reason of the signal */
export async function patiently<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (signal?.aborted || !isPassing(error)) throw error;
      await delay(RETRY_MS, undefined, signal && { signal });
    }
  }
}

/** There was no room, or the engine was just starting again. */
function isPassing(thrown: unknown): boolean {
  return thrown instanceof BlockstitchError && (thrown.code === 'queue_full' || thrown.code === 'not_ready');
}

/**
 * Work that failed for a reason that may pass (the store, the engine) is tried again, some times, with pauses that grow.
 * @throws what the last try throws; the reason of the signal
 */
export async function retried<T>(work: () => Promise<T>, signal: AbortSignal, firstMs = FIRST_PAUSE_MS): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await work();
    } catch (error) {
      const mayPass = error instanceof BlockstitchError && ERRORS[error.code].retryable;
      if (signal.aborted || !mayPass || tries >= MAX_TRIES) throw error;
      await delay(firstMs * 2 ** (tries - 1), undefined, { signal });
    }
  }
}
