/**
 * Says on the HTTP thread, at once, whether one more request may wait: a full queue must not cost a trip to the worker.
 * Knows counts only.
 */

export interface GateCounts {
  /** Requests that were sent to the worker and have not ended. */
  outstanding: number;
  /** Of these, requests that run. */
  admitted: number;
  /** Requests that the worker itself counted as waiting, at its last step. */
  waitingInWorker: number;
}

export class AdmissionGate {
  readonly #maxRunning: number;
  readonly maxQueue: number;

  /**
   * @param maxRunning requests that run at once at most
   * @param maxQueue   requests that may wait beyond them, >= 0
   */
  constructor(maxRunning: number, maxQueue: number) {
    this.#maxRunning = maxRunning;
    this.maxQueue = maxQueue;
  }

  /**
   * Requests just sent count as waiting until the worker admits them, unless places are free and nobody waits there:
   * a burst that an idle engine can take at once is not refused.
   */
  admits({ outstanding, admitted, waitingInWorker }: GateCounts): boolean {
    const freePlaces = waitingInWorker > 0 ? 0 : Math.max(0, this.#maxRunning - admitted);
    return outstanding - admitted < this.maxQueue + freePlaces;
  }
}
