/**
 * Decides on the HTTP thread, at once, whether one more request may wait: a full queue must cost no trip to the worker.
 * Knows counts only.
 */

export interface GateCounts {
  /** Requests that were sent to the worker and have not ended. */
  outstanding: number;
  /** Those of them that run. */
  admitted: number;
  /** Requests that the worker counted as waiting, at its last step. */
  waitingInWorker: number;
}

export class AdmissionGate {
  readonly #maxRunning: number;
  readonly maxQueue: number;

  /**
   * @param maxRunning most requests that run at once
   * @param maxQueue   further requests that may wait, >= 0
   */
  constructor(maxRunning: number, maxQueue: number) {
    this.#maxRunning = maxRunning;
    this.maxQueue = maxQueue;
  }

  /**
   * A request that was just sent counts as waiting until the worker admits it. It does not count if places are free and
   * nobody waits in the worker: an idle engine takes a burst at once.
   */
  admits({ outstanding, admitted, waitingInWorker }: GateCounts): boolean {
    const freePlaces = waitingInWorker > 0 ? 0 : Math.max(0, this.#maxRunning - admitted);
    return outstanding - admitted < this.maxQueue + freePlaces;
  }
}
