/**
 * The line to the engine's worker thread: starts it, waits until it is ready, passes messages, reports its end.
 * Knows threads. The host and the worker know what the messages mean.
 */
import { type TransferListItem, Worker } from 'node:worker_threads';
import { silenceRuntime } from '../../onnx-runtime.js';
import type { EngineCommand, EngineNews } from '../wire/messages.js';
import type { WorkerLoaded, WorkerPool, WorkerReady, WorkerSetup } from '../wire/worker-setup.js';

export interface WorkerLink {
  /** Rows of a step are padded to a multiple of this. Undefined: results depend on the batch. */
  readonly rowMultiple: number | undefined;
  /** @param transfer what goes over to the worker with the command */
  post(command: EngineCommand, transfer?: readonly TransferListItem[]): void;
  /** Ends the worker after its step, however long that takes. Resolves when the thread is gone. */
  close(): Promise<void>;
}

export interface WorkerListeners {
  news(news: EngineNews): void;
  /** Called once, when a worker that was ready ends on its own. */
  failed(error: Error): void;
}

export type StartWorker = (listeners: WorkerListeners) => Promise<WorkerLink>;

/**
 * A worker is never terminated while it may be inside a native call: ONNX Runtime would end the whole process.
 *
 * @param makePool makes the pool if the setup has none; called when the worker's model is loaded
 * @returns a function that starts a worker; it rejects with the reason if the worker does not get ready
 */
export function workerStarter(setup: WorkerSetup, makePool: () => WorkerPool): StartWorker {
  return (listeners) =>
    new Promise((resolve, reject) => {
      silenceRuntime();
      const worker = new Worker(compiledWorker(), { workerData: setup });
      let ready = false;
      let closing = false;
      let over = false;
      /** Why its start was given up. */
      let abandoned: Error | undefined;
      const exited = new Promise<void>((done) => worker.once('exit', () => done()));
      const end = (error: Error) => {
        if (over) return;
        over = true;
        if (!ready) reject(error);
        else if (!closing) listeners.failed(error);
      };
      worker.on('error', (error) => end(error instanceof Error ? error : new Error(String(error))));
      worker.on('exit', (code) => end(abandoned ?? new Error(`the engine worker exited with code ${code}`)));
      worker.on('message', (message: WorkerLoaded | WorkerReady | EngineNews) => {
        if ('loaded' in message) {
          try {
            worker.postMessage(makePool());
          } catch (error) {
            abandoned = error as Error;
            // It waits for its pool, and does nothing else.
            void worker.terminate();
          }
          return;
        }
        if (!('ready' in message)) {
          listeners.news(message);
          return;
        }
        ready = true;
        resolve({
          rowMultiple: message.rowMultiple,
          post: (command, transfer = []) => worker.postMessage(command, transfer),
          close: async () => {
            closing = true;
            worker.postMessage({ type: 'close' } satisfies EngineCommand);
            await exited;
          },
        });
      });
    });
}

/** The compiled worker: in this file's package, or in dist/ when tests run the sources. */
function compiledWorker(): URL {
  const path = import.meta.url.endsWith('.ts')
    ? '../../../dist/src/engine/worker/engine-worker.js'
    : '../worker/engine-worker.js';
  return new URL(path, import.meta.url);
}
