/**
 * The one door to ONNX Runtime. Since 1.29 its packages for Linux and macOS tell Microsoft about each process, session and
 * model unless a variable forbids it, and leave a file for each process in the temporary directory. Nothing goes out from here.
 */

/**
 * Forbids it, for this process and all its threads. Call on the main thread before the runtime is loaded anywhere: a
 * thread's own variables are not those that the library reads. Whoever has set the variable keeps its value.
 */
export function silenceRuntime(): void {
  process.env.ORT_DISABLE_TELEMETRY ||= '1';
}

/** The runtime, silent. */
export async function loadRuntime(): Promise<typeof import('onnxruntime-node')> {
  silenceRuntime();
  return import('onnxruntime-node');
}
