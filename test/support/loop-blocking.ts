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

/** Milliseconds that the main thread has spent on a processor. */
function cpuMs(): number {
  return Number(readFileSync(ACCOUNT, 'utf8').split(' ', 1)[0]) / 1e6;
}
