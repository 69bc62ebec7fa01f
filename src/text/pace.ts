/**
 * How long work in a text thread learns that nobody waits for it any more. The work reports its steps as it goes on,
 * and a report throws once the stop flag is raised. The flag is shared memory, so a busy thread sees it without a
 * message.
 */

/**
 * Takes the number of steps done since the last call. A step is small: one character, one candidate.
 * @throws Abandoned when the work is no longer wanted
 */
export type Pace = (steps: number) => void;

/** Work that nobody abandons and nobody counts. */
export const unhurried: Pace = () => undefined;

/** Ends work that nobody waits for. The one who asked has an answer already, so this error is never shown. */
export class Abandoned extends Error {
  override name = 'Abandoned';
}

/** A flag that two threads see. [1] */
export type StopFlag = Int32Array<SharedArrayBuffer>;

export function createStopFlag(): StopFlag {
  return new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
}

export function raise(flag: StopFlag): void {
  Atomics.store(flag, 0, 1);
  Atomics.notify(flag, 0);
}

/** A pace that throws once `flag` is raised. */
export function paceUntil(flag: StopFlag | undefined): Pace {
  if (flag === undefined) return unhurried;
  return () => {
    if (Atomics.load(flag, 0) !== 0) throw new Abandoned('nobody waits for this work');
  };
}
