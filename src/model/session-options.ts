/**
 * How an imported graph is to be run by ONNX Runtime: options for InferenceSession.create.
 * Knows what the graph needs; which session runs where is the engine's.
 */
import type { InferenceSession } from 'onnxruntime-node';
import type { ImportedModel } from './imported-model.js';

/**
 * @param model an imported model
 * @param threads threads for matrix products, >= 1; the BlockAttention op brings its own
 */
export function sessionOptions(_model: ImportedModel, threads: number): InferenceSession.SessionOptions {
  return {
    executionProviders: ['cpu'],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    graphOptimizationLevel: 'all',
    enableCpuMemArena: true,
    enableMemPattern: false,
    logSeverityLevel: 3,
  };
}
