/**
 * The one door to ONNX Runtime. Since 1.29 its packages for Linux and macOS tell Microsoft about each process, session and
 * model unless a variable forbids it, and leave a file for each process in the temporary directory. Nothing goes out from here.
 */
import { isMainThread } from 'node:worker_threads';

/**
 * Forbids it, for this process and all its threads. Whoever starts threads that load the runtime calls it before, on the
 * main thread: what a thread sets is not what the library reads. Whoever has set the variable keeps its value.
 */
export function silenceRuntime(): void {
  process.env.ORT_DISABLE_TELEMETRY ||= '1';
}

/** The runtime, silent. @throws Error in a thread that was started before `silenceRuntime` */
export async function loadRuntime(): Promise<typeof import('onnxruntime-node')> {
  if (isMainThread) silenceRuntime();
  else if (!process.env.ORT_DISABLE_TELEMETRY) {
    throw new Error('this thread was started before silenceRuntime() was called on the main thread');
  }
  return import('onnxruntime-node');
}
