/**
 * Runs the probe: the model's first layers over a prompt in context. Compares their values with the cached ones. The
 * graph is loaded when the first request asks for it.
 * Knows tensors and the two pools. `prompt-probe.ts` knows which rows run; `repair-plan.ts` chooses pages.
 */
import type { InferenceSession } from 'onnxruntime-node';
import type { NativeAddon } from '../../kernels/native-addon.js';
import type { ImportedModel } from '../../model/imported-model.js';
import { PROBE_LAYER, PROBE_OUTPUT } from '../../model/probe-graph.js';
import { sessionOptions } from '../../model/session-options.js';
import { loadRuntime } from '../../onnx-runtime.js';
import type { ProbeStep } from '../repair/prompt-probe.js';

export class ContextProbe {
  readonly #model: ImportedModel;
  readonly #threads: number;
  readonly #addon: Pick<NativeAddon, 'valueDeviations'>;
  readonly #poolId: number;
  #session: Promise<InferenceSession> | undefined;

  /** @param poolId the pool of the cached blocks */
  constructor(model: ImportedModel, threads: number, addon: Pick<NativeAddon, 'valueDeviations'>, poolId: number) {
    this.#model = model;
    this.#threads = threads;
    this.#addon = addon;
    this.#poolId = poolId;
  }

  /** @returns the sum of squared differences of each place */
  async run({ inputIds, metadata, places }: ProbeStep): Promise<Float64Array> {
    const { Tensor } = await loadRuntime();
    this.#session ??= this.#open();
    const session = await this.#session;
    const outputs = await session.run({
      input_ids: new Tensor('int64', BigInt64Array.from(inputIds, BigInt), [inputIds.length]),
      step_metadata: new Tensor('int32', metadata, [metadata.length]),
    });
    const values = outputs[PROBE_OUTPUT]?.data as Float32Array;
    return this.#addon.valueDeviations(this.#poolId, PROBE_LAYER, places, values);
  }

  async release(): Promise<void> {
    await (await this.#session?.catch(() => undefined))?.release();
  }

  async #open(): Promise<InferenceSession> {
    const { probePath } = this.#model;
    if (probePath === undefined) throw new Error('this model has no probe: it has one layer');
    const { InferenceSession } = await loadRuntime();
    try {
      return await InferenceSession.create(probePath, sessionOptions(this.#threads));
    } catch (error) {
      this.#session = undefined;
      throw error;
    }
  }
}
