/**
 * Runs the imported graph with ONNX Runtime: one session, in the worker, after the addon was loaded there.
 * Knows tensors. `step-batch.ts` knows what a step means. Keys and values never pass through here; they stay in the
 * pool.
 */
import type { InferenceSession, Tensor } from 'onnxruntime-node';
import type { ImportedModel } from '../../model/imported-model.js';
import { type EngineDevice, sessionOptions } from '../../model/session-options.js';
import { loadRuntime } from '../../onnx-runtime.js';
import { ADJUSTMENT_FIELDS, encodeDraws, type GraphDraws, RULE_FIELDS } from '../sampling/graph-draws.js';
import type { StepRunner } from './engine-core.js';
import type { ModelOutput, ModelStep } from './step-batch.js';

const BEST = ['top_values', 'top_ids', 'log_sum_exp'];
const ROWS = ['logits'];
const DRAWN = ['drawn_ids', 'drawn_logits'];

export class ModelRunner implements StepRunner {
  readonly #session: InferenceSession;
  readonly #tensor: typeof Tensor;
  readonly #vocabSize: number;
  /** Graphs for a GPU do not draw. */
  readonly draws: boolean;
  /** Reused for the int64 inputs. They grow when a step is larger. */
  #ids = new BigInt64Array(1024);
  #rows = new BigInt64Array(64);
  readonly #topK = new BigInt64Array(1);

  private constructor(session: InferenceSession, tensor: typeof Tensor, vocabSize: number) {
    this.#session = session;
    this.#tensor = tensor;
    this.#vocabSize = vocabSize;
    this.draws = DRAWN.every((name) => session.outputNames.includes(name));
  }

  /**
   * Loads the graph. Call in the worker only: onnxruntime-node runs on the thread that calls it.
   * @param threads threads for matrix products
   * @param device the GPU to run on; absent: the CPU
   */
  static async create(model: ImportedModel, threads: number, device?: EngineDevice): Promise<ModelRunner> {
    const runtime = await loadRuntime();
    const session = await runtime.InferenceSession.create(model.graphPath, sessionOptions(threads, device));
    return new ModelRunner(session, runtime.Tensor, model.config.vocabSize);
  }

  async run(step: ModelStep): Promise<ModelOutput> {
    this.#ids = widened(this.#ids, step.inputIds);
    this.#rows = widened(this.#rows, step.logitRows);
    const topK = Math.min(step.topK, this.#vocabSize);
    this.#topK[0] = BigInt(topK);
    const rows = step.logitRows.length;
    const feeds = {
      input_ids: this.#int64(this.#ids, step.inputIds.length),
      step_metadata: new this.#tensor('int32', step.metadata, [step.metadata.length]),
      logit_rows: this.#int64(this.#rows, rows),
      top_k: this.#int64(this.#topK, 1),
      ...(this.draws ? this.#drawInputs(rows, step.draws) : {}),
    };
    const startMs = performance.now();
    const wanted = [...BEST, ...(step.fullRows ? ROWS : []), ...(step.draws === undefined ? [] : DRAWN)];
    const outputs = await this.#session.run(feeds, wanted);
    const runMs = performance.now() - startMs;
    return {
      runMs,
      topK,
      topValues: outputs['top_values']?.data as Float32Array,
      topIds: narrowed(outputs['top_ids']?.data as BigInt64Array, rows * topK),
      logSumExp: outputs['log_sum_exp']?.data as Float32Array,
      logits: outputs['logits']?.data as Float32Array | undefined,
      ...(step.draws === undefined
        ? {}
        : {
            drawnIds: outputs['drawn_ids']?.data as Int32Array,
            drawnLogits: outputs['drawn_logits']?.data as Float32Array,
          }),
    };
  }

  async release(): Promise<void> {
    await this.#session.release();
  }

  #drawInputs(rows: number, draws: GraphDraws = encodeDraws(new Array(rows))): Record<string, Tensor> {
    const { rules, adjustedFrom, adjusted } = draws;
    return {
      draw_rules: new this.#tensor('float64', rules, [rows, RULE_FIELDS]),
      adjusted_from: new this.#tensor('int32', adjustedFrom, [rows + 1]),
      adjusted: new this.#tensor('int32', adjusted, [adjusted.length / ADJUSTMENT_FIELDS, ADJUSTMENT_FIELDS]),
    };
  }

  #int64(data: BigInt64Array, length: number): Tensor {
    return new this.#tensor('int64', data.subarray(0, length), [length]);
  }
}

/** Writes non-negative int32 values as int64, through the low words (little-endian). So no value needs a BigInt. */
function widened(buffer: BigInt64Array<ArrayBuffer>, values: Int32Array): BigInt64Array<ArrayBuffer> {
  const target =
    buffer.length >= values.length ? buffer : new BigInt64Array(Math.max(values.length, buffer.length * 2));
  const words = new Int32Array(target.buffer);
  for (let index = 0; index < values.length; index++) words[index * 2] = values[index] as number;
  return target;
}

function narrowed(values: BigInt64Array, count: number): Int32Array {
  const words = new Int32Array(values.buffer, values.byteOffset, count * 2);
  const low = new Int32Array(count);
  for (let index = 0; index < count; index++) low[index] = words[index * 2] as number;
  return low;
}
