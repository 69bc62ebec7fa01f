/**
 * Layers whose products multiply bytes: rows of activations are turned and rounded to bytes with a scale of their own,
 * weights are bytes with a scale a column, and the sums are whole numbers. So a row's products do not depend on the
 * rows beside it, to the last bit. Everything between two products is one operator
 * (kernels/src/int8_rows_op.h), attention among it (kernels/src/byte_attention_op.h).
 */
import type { LinearEntries } from './decoder-weights.js';
import { BLOCKSTITCH_DOMAIN } from './graph-builder.js';
import type { AttentionNode, LayerForm, LayerParts } from './layer-form.js';
import type { AttributeValue } from './onnx-schema.js';
import type { TensorEntry } from './stored-dtype.js';
import { rotationOf } from './turned-quantizer.js';

/** Rows as bytes around 128: uint8 [n, K] and float32 [n]. */
export interface ByteRows {
  bytes: string;
  scales: string;
}

/** Sums of products, int32 [n, columns], with what turns them into floats: float32 [n] and float32 [columns]. */
export interface ByteSums {
  sums: string;
  rowScales: string;
  columnScales: string;
}

export class ByteLayers implements LayerForm<ByteRows, ByteSums> {
  readonly #parts: LayerParts;

  constructor(parts: LayerParts) {
    this.#parts = parts;
  }

  norm(name: string, residual: string, weight: TensorEntry): ByteRows {
    const inputs = [residual, this.#parts.normWeight(name, weight)];
    const [bytes, scales] = this.#node('NormQuantizeRows', name, inputs, ['bytes', 'scales'], this.#norming());
    return { bytes, scales };
  }

  addAndNorm(name: string, product: ByteSums, residual: string, weight: TensorEntry) {
    const inputs = [...dequantizing(product), residual, this.#parts.normWeight(name, weight)];
    const outputs = ['sum', 'bytes', 'scales'] as const;
    const [sum, bytes, scales] = this.#node('AddNormQuantizeRows', name, inputs, outputs, this.#norming());
    return { residual: sum, normed: { bytes, scales } };
  }

  product(name: string, layer: LinearEntries, input: ByteRows): ByteSums {
    return this.#sums(name, [layer.weight], input);
  }

  queryKeyValue(name: string, layers: readonly LinearEntries[], input: ByteRows): string[] {
    const widths = layers.map(({ weight }) => weight.shape[0] as number);
    return this.#node(
      'DequantizeQkv',
      `${name}/floats`,
      this.#biasedSums(name, layers, input),
      ['query', 'key', 'value'],
      {
        query_width: { int: widths[0] as number },
        key_width: { int: widths[1] as number },
      },
    );
  }

  attention(name: string, layers: readonly LinearEntries[], input: ByteRows, attention: AttentionNode): ByteRows {
    const inputs = [...this.#biasedSums(name, layers, input), ...attention.inputs];
    const attributes = { ...attention.attributes, ...this.#rotatingHeads() };
    const [bytes, scales] = this.#node(
      'ByteBlockAttention',
      `${name}/attention`,
      inputs,
      ['bytes', 'scales'],
      attributes,
    );
    return { bytes, scales };
  }

  attended(name: string, floats: string): ByteRows {
    const [bytes, scales] = this.#node('QuantizeRows', name, [floats], ['bytes', 'scales'], this.#rotatingHeads());
    return { bytes, scales };
  }

  gated(name: string, gate: LinearEntries, up: LinearEntries, input: ByteRows): ByteRows {
    const sums = this.#sums(name, [gate.weight, up.weight], input);
    const rotation = { rotation: { int: rotationOf(this.#parts.config.intermediateSize) } };
    const outputs = ['bytes', 'scales'] as const;
    const [bytes, scales] = this.#node('GateQuantizeRows', `${name}/gated`, dequantizing(sums), outputs, rotation);
    return { bytes, scales };
  }

  logits(name: string, weight: TensorEntry, input: ByteRows, output: string): void {
    const sums = this.#sums(name, [weight], input);
    this.#parts.graph.node('DequantizeRows', `${name}/floats`, dequantizing(sums), {
      domain: BLOCKSTITCH_DOMAIN,
      outputs: [output],
    });
  }

  /** Sums of query, key and value together, what turns them into floats, and their biases. */
  #biasedSums(name: string, layers: readonly LinearEntries[], input: ByteRows): string[] {
    const weights = layers.map(({ weight }) => weight);
    const columns = weights.reduce((sum, { shape }) => sum + (shape[0] as number), 0);
    const bias = this.#parts.biases(layers) ?? new Float32Array(columns);
    const sums = this.#sums(name, weights, input);
    return [...dequantizing(sums), this.#parts.graph.float32(`${name}.bias`, [columns], bias)];
  }

  /** Sums of the products with all `weights`, one after another. */
  #sums(name: string, weights: readonly TensorEntry[], { bytes, scales }: ByteRows): ByteSums {
    const { graph, plan } = this.#parts;
    const planned = plan.linear(name, weights);
    if (planned.kind !== 'turned') throw new TypeError(`${name} has no bytes`);
    const inputs = [bytes, graph.external(planned.values), graph.byte('byte_zero', 128)];
    if (planned.values.type === 'uint8') inputs.push('byte_zero');
    const sums = graph.node('MatMulInteger', name, inputs);
    return { sums, rowScales: scales, columnScales: graph.external(planned.scales) };
  }

  #rotatingHeads(): Record<string, AttributeValue> {
    const { heads, headDim } = this.#parts.config;
    return { rotation: { int: rotationOf(heads * headDim) } };
  }

  #norming(): Record<string, AttributeValue> {
    const { hiddenSize, rmsNormEps } = this.#parts.config;
    return { rotation: { int: rotationOf(hiddenSize) }, epsilon: { float: rmsNormEps } };
  }

  /** @returns the names of the outputs, as many as `outputs` */
  #node<Names extends readonly string[]>(
    opType: string,
    name: string,
    inputs: readonly string[],
    outputs: readonly [...Names],
    attributes: Readonly<Record<string, AttributeValue>>,
  ): { [index in keyof Names]: string } {
    const names = outputs.map((output) => `${name}/${output}`);
    this.#parts.graph.node(opType, name, inputs, { domain: BLOCKSTITCH_DOMAIN, outputs: names, attributes });
    return names as { [index in keyof Names]: string };
  }
}

function dequantizing({ sums, rowScales, columnScales }: ByteSums): string[] {
  return [sums, rowScales, columnScales];
}
