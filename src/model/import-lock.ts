/**
 * Lets one process at a time write an import, among processes that share a cache directory.
 * A lock is a file that only one process can make. Its holder touches it again and again. A lock that was not touched
 * for a while belongs to a dead process, and the next one takes it over. A lock lost by mistake costs work, never
 * correctness: one atomic rename publishes an import.
 */
import { randomUUID } from 'node:crypto';
import { link, open, readFile, rename, stat, unlink, utimes } from 'node:fs/promises';
import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';

/** The holder touches its lock this often. */
const TOUCH_MS = 2_000;
/** A lock that was not touched for this long has no holder. */
const STALE_MS = 15_000;
const POLL_MS = 100;

/**
 * Waits for the lock.
 *
 * @param path lock file; its directory exists
 * @returns a function that releases it
 */
export async function acquireImportLock(path: string, signal?: AbortSignal): Promise<() => Promise<void>> {
  const token = JSON.stringify({ host: hostname(), pid: process.pid, id: randomUUID() });
  while (!(await tryCreate(path, token))) {
    signal?.throwIfAborted();
    const stale = await staleToken(path);
    if (stale !== undefined) await removeStale(path, stale);
    else await delay(POLL_MS, undefined, signal ? { signal } : {});
  }
  const timer = setInterval(() => {
    const now = new Date();
    utimes(path, now, now).catch(() => undefined);
  }, TOUCH_MS);
  timer.unref();
  return async () => {
    clearInterval(timer);
    if ((await readLock(path)) === token) await unlink(path).catch(() => undefined);
  };
}

async function tryCreate(path: string, token: string): Promise<boolean> {
  try {
    const handle = await open(path, 'wx');
    await handle.writeFile(token).finally(() => handle.close());
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** The token in a lock that nobody holds any more; undefined if the lock is held or gone. */
async function staleToken(path: string): Promise<string | undefined> {
  try {
    const token = await readFile(path, 'utf8');
    const { mtimeMs } = await stat(path);
    return Date.now() - mtimeMs > STALE_MS || holderIsGone(token) ? token : undefined;
  } catch {
    return undefined;
  }
}

/** True only if the holder ran on this machine and its process has ended. */
function holderIsGone(token: string): boolean {
  try {
    const { host, pid } = JSON.parse(token) as { host?: unknown; pid?: unknown };
    if (host !== hostname() || typeof pid !== 'number') return false;
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}

/** Moves the stale lock aside. If it was a faster waiter's new lock, puts it back. */
async function removeStale(path: string, token: string): Promise<void> {
  const aside = `${path}.${randomUUID()}`;
  try {
    await rename(path, aside);
    if ((await readLock(aside)) !== token) await link(aside, path).catch(() => undefined);
    await unlink(aside);
  } catch {
    // Another waiter removed it.
  }
}

async function readLock(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch(() => undefined);
}
