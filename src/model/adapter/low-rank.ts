/**
 * Adds scale * B A to rows of a matrix (LoRA, arXiv 2106.09685), with ONNX Runtime: for large models these are more
 * operations than all the rest of an import. Knows numbers only.
 */
import { availableParallelism } from 'node:os';
import type { InferenceSession } from 'onnxruntime-node';
import { loadAddon } from '../../kernels/load-addon.js';
import { loadRuntime } from '../../onnx-runtime.js';
import { GraphBuilder } from '../graph-builder.js';
import { encodeModel } from '../onnx-schema.js';

let sum: Promise<InferenceSession> | undefined;

/**
 * @param rows float32 [n, columns], changed in place
 * @param b    float32 [n, rank], scaled
 * @param a    float32 [rank, columns]
 */
export async function addLowRank(rows: Float32Array, b: Float32Array, a: Float32Array, rank: number): Promise<void> {
  // The addon comes before ONNX Runtime wherever both are used.
  loadAddon();
  const { InferenceSession, Tensor } = await loadRuntime();
  sum ??= InferenceSession.create(sumGraph(), { intraOpNumThreads: availableParallelism(), logSeverityLevel: 3 });
  const session = await sum;
  const n = b.length / rank;
  const columns = a.length / rank;
  const outputs = await session.run({
    b: new Tensor('float32', b, [n, rank]),
    a: new Tensor('float32', a, [rank, columns]),
    rows: new Tensor('float32', rows, [n, columns]),
  });
  rows.set(outputs['sum']?.data as Float32Array);
}

function sumGraph(): Uint8Array {
  const graph = new GraphBuilder();
  const inputs = [
    graph.input('b', 'float32', ['n', 'rank']),
    graph.input('a', 'float32', ['rank', 'columns']),
    graph.input('rows', 'float32', ['n', 'columns']),
  ];
  graph.node('Gemm', 'sum', inputs, { outputs: ['sum'] });
  graph.output('sum', 'float32', ['n', 'columns']);
  return encodeModel(graph.build('low rank', {}));
}
