/**
 * How ONNX Runtime runs an imported graph: options for InferenceSession.create.
 * Knows what the graph needs; the engine decides which session runs where.
 */
import type { InferenceSession } from 'onnxruntime-node';

/** Where a graph's tensors live. */
export interface EngineDevice {
  /** Number of the GPU, from 0. */
  number: number;
  /** `cpu`: an emulated GPU over ONNX Runtime's CPU provider, in tests. */
  provider: 'cuda' | 'cpu';
}

/**
 * @param threads threads of a step, >= 1: matrix products use them, and the BlockAttention op
 * @param device  the GPU to run on; absent: the CPU
 */
export function sessionOptions(threads: number, device?: EngineDevice): InferenceSession.SessionOptions {
  const onGpu = device?.provider === 'cuda';
  return {
    // What CUDA cannot run (there should be nothing) falls back to the CPU.
    executionProviders: onGpu ? [{ name: 'cuda', deviceId: device.number }, 'cpu'] : ['cpu'],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    graphOptimizationLevel: 'all',
    enableCpuMemArena: true,
    enableMemPattern: false,
    logSeverityLevel: 3,
  };
}
