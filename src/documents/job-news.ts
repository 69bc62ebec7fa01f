/** Who watches which job, and what they have not seen yet. Knows no shelf and no queue. */
import type { JobProgress } from './job-queue.js';

interface Watcher {
  progress: JobProgress | undefined;
  /** The record is worth another look. */
  look: boolean;
  wake: () => void;
}

export interface JobWatch {
  /**
   * What was told since the last call, as soon as there is something, after `ms` at the latest.
   * @returns undefined: read the record
   */
  next(ms: number, signal?: AbortSignal): Promise<JobProgress | undefined>;
  end(): void;
}

export class JobNews {
  readonly #watchers = new Map<string, Set<Watcher>>();

  /** Nothing that is told from now on is missed. */
  watch(id: string): JobWatch {
    const watcher: Watcher = { progress: undefined, look: false, wake: () => undefined };
    const all = this.#watchers.get(id) ?? new Set();
    this.#watchers.set(id, all.add(watcher));
    return {
      next: async (ms, signal) => {
        if (watcher.progress === undefined && !watcher.look) await somethingTold(watcher, ms, signal);
        const told = watcher.look ? undefined : watcher.progress;
        watcher.progress = undefined;
        watcher.look = false;
        return told;
      },
      end: () => {
        all.delete(watcher);
        if (all.size === 0 && this.#watchers.get(id) === all) this.#watchers.delete(id);
      },
    };
  }

  /** @param progress undefined: the record has changed */
  tell(id: string, progress?: JobProgress): void {
    for (const watcher of this.#watchers.get(id) ?? []) {
      if (progress === undefined) watcher.look = true;
      else watcher.progress = progress;
      watcher.wake();
    }
  }

  tellAll(): void {
    for (const id of this.#watchers.keys()) this.tell(id);
  }
}

async function somethingTold(watcher: Watcher, ms: number, signal: AbortSignal | undefined): Promise<void> {
  if (signal?.aborted) return;
  await new Promise<void>((resolve) => {
    const wake = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', wake);
      resolve();
    };
    const timer = setTimeout(wake, ms).unref();
    watcher.wake = wake;
    signal?.addEventListener('abort', wake, { once: true });
  });
}
