/**
 * How an imported graph is to be run by ONNX Runtime: options for InferenceSession.create.
 * Knows what the graph needs; which session runs where is the engine's.
 */
import type { InferenceSession } from 'onnxruntime-node';
import type { ImportedModel } from './imported-model.js';

/** Where a graph's tensors live. */
export interface EngineDevice {
  /** Number of the GPU, from 0. */
  number: number;
  /** `cpu`: an emulated GPU over ONNX Runtime's CPU provider, in tests. */
  provider: 'cuda' | 'cpu';
}

/**
 * @param model an imported model
 * @param threads threads for matrix products, >= 1; the BlockAttention op brings its own
 * @param device the GPU to run on; absent: the CPU
 */
export function sessionOptions(
  _model: ImportedModel,
  threads: number,
  device?: EngineDevice,
): InferenceSession.SessionOptions {
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
