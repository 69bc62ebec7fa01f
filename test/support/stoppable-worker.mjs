/** Tasks for TextThreads in tests: one that ends when it is told to stop, one that ends by itself. */

/** Waits until the stop flag is raised. `entered` and `left` are shared counters. */
export function untilStopped({ stop, counters }) {
  Atomics.add(counters, 0, 1);
  Atomics.notify(counters, 0);
  Atomics.wait(stop, 0, 0);
  // Native work goes on for a moment after it has been told.
  const wait = new Int32Array(new SharedArrayBuffer(4));
  Atomics.wait(wait, 0, 0, 20);
  Atomics.add(counters, 1, 1);
  throw new Error('stopped');
}

/** Waits until `gate` is opened. */
export function untilOpened({ gate, value, counters }) {
  if (counters) Atomics.add(counters, 0, 1);
  Atomics.wait(gate, 0, 0);
  return value;
}

export function give({ value }) {
  return value;
}

export function fail({ message }) {
  throw new TypeError(message);
}
