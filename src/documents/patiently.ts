/** Work that found no room at the moment is tried again. Knows no documents. */
import { setTimeout as delay } from 'node:timers/promises';
import { BlockstitchError } from '../errors.js';

/** Pause before the next try. */
const RETRY_MS = 250;

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
