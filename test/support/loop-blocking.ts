/**
 * The longest time for which the event loop of this thread is held, in CPU time: other work on the machine makes the
 * loop late, not blocked. Knows the CPU time of Linux threads; without it, takes wall time.
 */
import { existsSync, readFileSync } from 'node:fs';

const ACCOUNT = `/proc/self/task/${process.pid}/schedstat`;
const TICK_MS = 2;

/** @returns what `work` resolves to, and the longest time between two turns of the loop meanwhile, milliseconds */
export async function longestBlock<T>(work: () => Promise<T>): Promise<{ result: T; blockedMs: number }> {
  const clock = existsSync(ACCOUNT) ? cpuMs : () => performance.now();
  let last = clock();
  let blockedMs = 0;
  const timer = setInterval(() => {
    const now = clock();
    blockedMs = Math.max(blockedMs, now - last);
    last = now;
  }, TICK_MS);
  try {
    const result = await work();
    return { result, blockedMs: Math.max(blockedMs, clock() - last) };
  } finally {
    clearInterval(timer);
  }
}

/** What a machine with nothing else to do takes to read `READ` (an Intel Xeon and an AMD EPYC of a cloud). */
const QUICK_MS = 15;
const READ = Buffer.from(JSON.stringify('The lighthouse keeper counted seventeen ships before dawn. '.repeat(135_000)));

/**
 * How many times as long as a quick machine this one takes now to read 8 MB of JSON, in CPU time, between 1 and 4. Cores and
 * memory that other machines share make the same work take twice the CPU time for a while.
 */
export function slowness(): number {
  const clock = existsSync(ACCOUNT) ? cpuMs : () => performance.now();
  const start = clock();
  for (let round = 0; round < 4; round += 1) JSON.parse(READ.toString());
  return Math.min(4, Math.max(1, (clock() - start) / 4 / QUICK_MS));
}

/** Milliseconds that the main thread has spent on a processor. */
function cpuMs(): number {
  return Number(readFileSync(ACCOUNT, 'utf8').split(' ', 1)[0]) / 1e6;
}
