/**
 * What a decoder's layers are made of, apart from how they are put together (`decoder-graph.ts`). Two forms: floats
 * (`float-layers.ts`) and bytes with a scale a row (`byte-layers.ts`). `Input` is what a product takes, `Product` what
 * comes of one before it is a float; the residual stream is float32 [n, hidden] in both.
 */
import type { LinearEntries } from './decoder-weights.js';
import type { GraphBuilder } from './graph-builder.js';
import type { ModelConfig } from './imported-model.js';
import type { AttributeValue } from './onnx-schema.js';
import type { TensorEntry } from './stored-dtype.js';
import type { WeightPlan } from './weight-plan.js';

/** What BlockAttention has besides query, key and value. */
export interface AttentionNode {
  /** cos, sin, step_metadata. */
  inputs: readonly string[];
  attributes: Readonly<Record<string, AttributeValue>>;
}

export interface LayerForm<Input, Product> {
  /** RMS norm over the last axis (arXiv 1910.07467) of a residual. */
  norm(name: string, residual: string, weight: TensorEntry): Input;
  /** residual + product, and the norm of the sum. */
  addAndNorm(
    name: string,
    product: Product,
    residual: string,
    weight: TensorEntry,
  ): { residual: string; normed: Input };
  /** [n, inputs] -> [n, outputs] = input weight^T + bias */
  product(name: string, layer: LinearEntries, input: Input): Product;
  /** Query, key and value, float32 [n, heads * D] each, with their biases. */
  queryKeyValue(name: string, layers: readonly [LinearEntries, LinearEntries, LinearEntries], input: Input): string[];
  /**
   * Query, key and value, attention, and what the output projection takes, in one operator; absent in a form that has none.
   * @param attention the inputs of BlockAttention behind query, key and value, and its attributes
   */
  attention?(
    name: string,
    layers: readonly [LinearEntries, LinearEntries, LinearEntries],
    input: Input,
    attention: AttentionNode,
  ): Input;
  /** What attention gave, float32 [n, heads * D], for the output projection. */
  attended(name: string, floats: string): Input;
  /** silu(gate x) * up x (arXiv 2002.05202), for the down projection. */
  gated(name: string, gate: LinearEntries, up: LinearEntries, input: Input): Input;
  /** The head's product, float32 [n, vocab], under the name `output`. */
  logits(name: string, weight: TensorEntry, input: Input, output: string): void;
}

/** What both forms need. */
export class LayerParts {
  readonly graph: GraphBuilder;
  readonly config: ModelConfig;
  readonly plan: WeightPlan;
  readonly #vectors: ReadonlyMap<TensorEntry, Float32Array>;

  constructor(
    graph: GraphBuilder,
    config: ModelConfig,
    plan: WeightPlan,
    vectors: ReadonlyMap<TensorEntry, Float32Array>,
  ) {
    this.graph = graph;
    this.config = config;
    this.plan = plan;
    this.#vectors = vectors;
  }

  /** The values of a norm's weight as a constant of the graph. */
  normWeight(name: string, entry: TensorEntry): string {
    return this.graph.float32(`${name}.weight`, entry.shape, this.vector(entry));
  }

  /** Biases of layers, one after another; undefined if none has one. */
  biases(layers: readonly LinearEntries[]): Float32Array | undefined {
    const parts = layers.flatMap((layer) => (layer.bias ? [this.vector(layer.bias)] : []));
    if (parts.length === 0) return undefined;
    const joined = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of parts) {
      joined.set(part, at);
      at += part.length;
    }
    return joined;
  }

  vector(entry: TensorEntry): Float32Array {
    const values = this.#vectors.get(entry);
    if (values === undefined) throw new TypeError(`the values of ${entry.name} were not read`);
    return values;
  }
}
