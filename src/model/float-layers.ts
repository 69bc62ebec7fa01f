/**
 * Layers over float activations: dense products (Gemm), or products with quantized weights (MatMulNBits), which round
 * their rows to bytes by themselves.
 */
import type { LinearEntries } from './decoder-weights.js';
import { MICROSOFT_DOMAIN } from './graph-builder.js';
import type { LayerForm, LayerParts } from './layer-form.js';
import type { TensorEntry } from './stored-dtype.js';
import type { PlannedLinear } from './weight-plan.js';

export class FloatLayers implements LayerForm<string, string> {
  readonly #parts: LayerParts;
  /** Block sums by the name of their node. */
  readonly #blockSums = new Map<string, string>();

  constructor(parts: LayerParts) {
    this.#parts = parts;
  }

  norm(name: string, residual: string, weight: TensorEntry): string {
    const inputs = [residual, this.#parts.normWeight(name, weight)];
    return this.#parts.graph.node('SimplifiedLayerNormalization', name, inputs, {
      attributes: { axis: { int: -1 }, epsilon: { float: this.#parts.config.rmsNormEps }, stash_type: { int: 1 } },
    });
  }

  addAndNorm(name: string, product: string, residual: string, weight: TensorEntry) {
    const sum = `${name}/sum`;
    const inputs = [product, residual, this.#parts.normWeight(name, weight)];
    const normed = this.#parts.graph.node('SkipSimplifiedLayerNormalization', name, inputs, {
      domain: MICROSOFT_DOMAIN,
      outputs: [`${name}/out`, '', '', sum],
      attributes: { epsilon: { float: this.#parts.config.rmsNormEps } },
    });
    return { residual: sum, normed };
  }

  product(name: string, layer: LinearEntries, input: string): string {
    return this.#linear(name, [layer], input);
  }

  queryKeyValue(name: string, layers: readonly LinearEntries[], input: string): string[] {
    return this.#linears(name, layers, input);
  }

  attended(_name: string, floats: string): string {
    return floats;
  }

  gated(name: string, gate: LinearEntries, up: LinearEntries, input: string): string {
    const { graph } = this.#parts;
    const [gates, values] = this.#linears(name, [gate, up], input) as [string, string];
    // x * sigmoid(1 * x) is SiLU.
    const activated = graph.node('QuickGelu', `${name}/silu`, [gates], {
      domain: MICROSOFT_DOMAIN,
      attributes: { alpha: { float: 1 } },
    });
    return graph.node('Mul', `${name}/gated`, [activated, values]);
  }

  logits(name: string, weight: TensorEntry, input: string, output: string): void {
    this.#multiply(name, this.#parts.plan.linear(name, [weight]), undefined, input, [output]);
  }

  /** Several layers over one input: one product and a split if the plan keeps them as one, else one product each. */
  #linears(name: string, layers: readonly LinearEntries[], input: string): string[] {
    const { graph, plan } = this.#parts;
    if (!plan.fuses(layers.map((layer) => layer.weight))) {
      return layers.map((layer, index) => this.#linear(`${name}.${index}`, [layer], input));
    }
    const together = this.#linear(name, layers, input);
    const outputs = layers.map((_, index) => `${name}/part.${index}`);
    const sizes = layers.map(({ weight }) => weight.shape[0] as number);
    const split = graph.int64(`split.${sizes.join('.')}`, sizes);
    graph.node('Split', `${name}/split`, [together, split], { outputs, attributes: { axis: { int: 1 } } });
    return outputs;
  }

  #linear(name: string, layers: readonly LinearEntries[], input: string): string {
    const planned = this.#parts.plan.linear(
      name,
      layers.map((layer) => layer.weight),
    );
    return this.#multiply(name, planned, this.#parts.biases(layers), input);
  }

  /** input [n, inputs] -> [n, outputs] = input weight^T + bias */
  #multiply(
    name: string,
    planned: PlannedLinear,
    bias: Float32Array | undefined,
    input: string,
    outputs?: readonly string[],
  ): string {
    const { graph } = this.#parts;
    if (planned.kind === 'turned') throw new TypeError(`${name} has weights for rows of bytes`);
    const biasName = bias && graph.float32(`${name}.bias`, [planned.outputs], bias);
    const rest = outputs === undefined ? {} : { outputs };
    if (planned.kind === 'dense') {
      const inputs = [input, graph.external(planned.weight), ...(biasName ? [biasName] : [])];
      return graph.node('Gemm', name, inputs, { attributes: { transB: { int: 1 } }, ...rest });
    }
    const { zeroPoints, offsets } = planned;
    const inputs = [input, graph.external(planned.values), graph.external(planned.scales)];
    if (zeroPoints || biasName) inputs.push(zeroPoints ? graph.external(zeroPoints) : '');
    if (biasName) inputs.push('', biasName);
    const product = graph.node('MatMulNBits', name, inputs, {
      domain: MICROSOFT_DOMAIN,
      attributes: {
        K: { int: planned.inputs },
        N: { int: planned.outputs },
        bits: { int: planned.bits },
        block_size: { int: planned.block },
        // 4: activations are quantized to int8 by blocks, products accumulate in int32.
        accuracy_level: { int: 4 },
      },
      ...(offsets ? {} : rest),
    });
    if (!offsets) return product;
    // sum_i (s q_i + o) x_i = s sum_i q_i x_i + o sum_i x_i, by block: the second sum needs one product per block only.
    const sums = this.#sumBlocks(input, planned.inputs, planned.block);
    return graph.node('Gemm', `${name}/offsets`, [sums, graph.external(offsets), product], {
      attributes: { transB: { int: 1 } },
      ...rest,
    });
  }

  /** [n, inputs] -> [n, inputs / block]: the sum of each block; made once for all layers over the same input. */
  #sumBlocks(input: string, inputs: number, block: number): string {
    const { graph } = this.#parts;
    const name = `${input}/sums.${block}`;
    const known = this.#blockSums.get(name);
    if (known !== undefined) return known;
    const shape = graph.int64(`blocks.${inputs}.${block}`, [-1, inputs / block, block]);
    const blocks = graph.node('Reshape', `${name}/blocks`, [input, shape]);
    const attributes = { keepdims: { int: 0 } };
    const sums = graph.node('ReduceSum', name, [blocks, graph.int64('block_axis', [2])], { attributes });
    this.#blockSums.set(name, sums);
    return sums;
  }
}
