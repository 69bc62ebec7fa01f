/**
 * How ONNX Runtime runs an imported graph: options for InferenceSession.create.
 * Knows what the graph needs; the engine decides which session runs where.
 */
import type { InferenceSession } from 'onnxruntime-node';

/** The GPU of a graph's tensors. */
export interface EngineDevice {
  /** Number of the GPU, from 0. */
  number: number;
  /** `cpu`: an emulated GPU over ONNX Runtime's CPU provider, in tests. */
  provider: 'cuda' | 'cpu';
}

/**
 * @param threads threads of a step, >= 1: matrix products and the BlockAttention op use them
 * @param device  the GPU to run on; absent: the CPU
 */
export function sessionOptions(threads: number, device?: EngineDevice): InferenceSession.SessionOptions {
  const onGpu = device?.provider === 'cuda';
  return {
    // Operators that CUDA cannot run (there should be none) fall back to the CPU.
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
