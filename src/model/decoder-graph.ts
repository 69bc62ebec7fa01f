/**
 * Builds the ONNX graph of a decoder-only transformer around the BlockAttention op: embedding, per layer RMS norm,
 * q/k/v, attention, output projection and SwiGLU, then norm, head, top-k, log-sum-exp and draws over the asked-for rows.
 * One graph serves prefill and decode. Knows operators; `weight-plan.ts` plans the weights.
 * Shapes: T new tokens of all sequences, L rows that need logits, D headDim.
 */
import type { DecoderEntries, LayerEntries, LinearEntries } from './decoder-weights.js';
import {
  BLOCKSTITCH_DOMAIN,
  DRAW_TOKEN,
  type ExternalTensor,
  GraphBuilder,
  MICROSOFT_DOMAIN,
} from './graph-builder.js';
import type { ModelConfig } from './imported-model.js';
import type { OnnxGraph } from './onnx-schema.js';
import type { TensorEntry } from './stored-dtype.js';
import type { PlannedLinear, WeightPlan } from './weight-plan.js';

export interface DecoderGraphOptions {
  config: ModelConfig;
  /** Sliding window by layer, 0 = none. */
  windows: readonly number[];
  entries: DecoderEntries;
  plan: WeightPlan;
  /** cos and sin of the rotary embedding, float32 [positions, rotaryDim / 2]. */
  rope: { cos: ExternalTensor; sin: ExternalTensor };
  /** Values of the checkpoint's vectors (norm weights, biases), float32. */
  vectors: ReadonlyMap<TensorEntry, Float32Array>;
  metadata: Readonly<Record<string, string>>;
}

/** @returns the graph with inputs and outputs as `imported-model.ts` has them */
export function buildDecoderGraph(options: DecoderGraphOptions): OnnxGraph {
  return new DecoderGraph(options).build();
}

/** Hidden state between layers: the residual stream [T, hidden] and its normed copy. */
interface Stream {
  residual: string;
  normed: string;
}

class DecoderGraph {
  readonly #graph = new GraphBuilder();
  readonly #options: DecoderGraphOptions;
  readonly #metadataInput: string;
  readonly #rowsInput: string;
  /** Block sums by the name of their node. */
  readonly #sums = new Map<string, string>();

  constructor(options: DecoderGraphOptions) {
    this.#options = options;
    this.#metadataInput = this.#graph.input('step_metadata', 'int32', ['metadata']);
    this.#rowsInput = this.#graph.input('logit_rows', 'int64', ['rows']);
  }

  build(): OnnxGraph {
    const { config, entries, metadata } = this.#options;
    const embedded = this.#embed(entries.embedding);
    const [first] = entries.layers;
    let stream: Stream = {
      residual: embedded,
      normed: this.#norm('layer.0/input_norm', embedded, first?.inputNorm ?? entries.finalNorm),
    };
    for (const [index, layer] of entries.layers.entries()) {
      const next = entries.layers[index + 1];
      stream = this.#layer(index, layer, stream, next?.inputNorm ?? entries.finalNorm);
    }
    this.#head(stream.normed);
    return this.#graph.build(`blockstitch ${config.family}`, metadata);
  }

  /** [T] -> [T, hidden], widened to float32 if the table is stored narrower. */
  #embed(entry: TensorEntry): string {
    const ids = this.#graph.input('input_ids', 'int64', ['tokens']);
    const table = this.#options.plan.table('embedding', entry);
    const rows = this.#graph.node('Gather', 'embedding/gather', [this.#graph.external(table), ids]);
    if (table.type === 'float32') return rows;
    return this.#graph.node('Cast', 'embedding/widen', [rows], { attributes: { to: { int: 1 } } });
  }

  #layer(index: number, layer: LayerEntries, stream: Stream, nextNorm: TensorEntry): Stream {
    const at = `layer.${index}`;
    let attended = this.#attention(index, layer, stream.normed);
    let { residual } = stream;
    if (index === this.#options.config.layers - 1) {
      // After the last attention nothing mixes rows, so only the rows that need logits go on.
      attended = this.#rows(`${at}/rows`, attended);
      residual = this.#rows(`${at}/residual_rows`, residual);
    }
    const projected = this.#linear(`${at}/output`, [layer.output], attended);
    const middle = this.#addAndNorm(`${at}/post_attention_norm`, projected, residual, layer.postAttentionNorm);
    const fed = this.#feedForward(at, layer, middle.normed);
    return this.#addAndNorm(`${at}/next_norm`, fed, middle.residual, nextNorm);
  }

  /** [T, hidden] -> [T, heads * D] */
  #attention(index: number, layer: LayerEntries, normed: string): string {
    const { config, windows, rope } = this.#options;
    const at = `layer.${index}`;
    const { heads, kvHeads, headDim } = config;
    let [query, key, value] = this.#linears(
      `${at}/qkv`,
      [layer.query, layer.key, layer.value],
      [heads * headDim, kvHeads * headDim, kvHeads * headDim],
      normed,
    ) as [string, string, string];
    if (layer.queryNorm && layer.keyNorm) {
      query = this.#headNorm(`${at}/query_norm`, query, heads, layer.queryNorm);
      key = this.#headNorm(`${at}/key_norm`, key, kvHeads, layer.keyNorm);
    }
    const inputs = [
      query,
      key,
      value,
      this.#graph.external(rope.cos),
      this.#graph.external(rope.sin),
      this.#metadataInput,
    ];
    return this.#graph.node('BlockAttention', `${at}/attention`, inputs, {
      domain: BLOCKSTITCH_DOMAIN,
      attributes: {
        layer: { int: index },
        num_heads: { int: heads },
        num_kv_heads: { int: kvHeads },
        head_dim: { int: headDim },
        rotary_dim: { int: config.rotaryDim },
        rotary_interleaved: { int: 0 },
        scale: { float: 1 / Math.sqrt(headDim) },
        sliding_window: { int: windows[index] ?? 0 },
        softcap: { float: 0 },
      },
    });
  }

  /** SwiGLU, down(silu(gate x) * up x) (arXiv 2002.05202): [n, hidden] -> [n, hidden] */
  #feedForward(at: string, layer: LayerEntries, normed: string): string {
    const { intermediateSize } = this.#options.config;
    const sizes = [intermediateSize, intermediateSize];
    const [gate, up] = this.#linears(`${at}/gate_up`, [layer.gate, layer.up], sizes, normed) as [string, string];
    // x * sigmoid(1 * x) is SiLU.
    const activated = this.#graph.node('QuickGelu', `${at}/silu`, [gate], {
      domain: MICROSOFT_DOMAIN,
      attributes: { alpha: { float: 1 } },
    });
    const gated = this.#graph.node('Mul', `${at}/gated`, [activated, up]);
    return this.#linear(`${at}/down`, [layer.down], gated);
  }

  /** Logits of the asked-for rows, their top k, the log of the sum of their exponentials, and draws from them. */
  #head(normed: string): void {
    const { config, entries } = this.#options;
    const graph = this.#graph;
    const topK = graph.input('top_k', 'int64', [1]);
    const planned = this.#options.plan.linear('head', [entries.head]);
    const logits = this.#product('head', planned, undefined, normed, ['logits']);
    graph.node('TopK', 'top', [logits, topK], {
      outputs: ['top_values', 'top_ids'],
      attributes: { axis: { int: -1 }, largest: { int: 1 }, sorted: { int: 1 } },
    });
    graph.node('ReduceLogSumExp', 'log_sum_exp', [logits, graph.int64('last_axis', [-1])], {
      outputs: ['log_sum_exp'],
      attributes: { keepdims: { int: 0 } },
    });
    const draws = [
      graph.input('draw_rules', 'float64', ['rows', 5]),
      graph.input('adjusted_from', 'int32', ['rows_and_end']),
      graph.input('adjusted', 'int32', ['adjustments', 3]),
    ];
    graph.node(DRAW_TOKEN, 'draw', [logits, 'top_values', ...draws], {
      domain: BLOCKSTITCH_DOMAIN,
      outputs: ['drawn_ids', 'drawn_logits'],
    });
    graph.output('drawn_ids', 'int32', ['rows']);
    graph.output('drawn_logits', 'float32', ['rows']);
    graph.output('top_values', 'float32', ['rows', 'k']);
    graph.output('top_ids', 'int64', ['rows', 'k']);
    graph.output('log_sum_exp', 'float32', ['rows']);
    graph.output('logits', 'float32', ['rows', config.vocabSize]);
  }

  /** Several layers over one input: one product and a split if the plan keeps them as one, else one product each. */
  #linears(name: string, layers: readonly LinearEntries[], sizes: readonly number[], input: string): string[] {
    if (!this.#options.plan.fuses(layers.map((layer) => layer.weight))) {
      return layers.map((layer, index) => this.#linear(`${name}.${index}`, [layer], input));
    }
    const together = this.#linear(name, layers, input);
    const outputs = layers.map((_, index) => `${name}/part.${index}`);
    const split = this.#graph.int64(`split.${sizes.join('.')}`, sizes);
    this.#graph.node('Split', `${name}/split`, [together, split], { outputs, attributes: { axis: { int: 1 } } });
    return outputs;
  }

  #linear(name: string, layers: readonly LinearEntries[], input: string): string {
    const planned = this.#options.plan.linear(
      name,
      layers.map((layer) => layer.weight),
    );
    return this.#product(name, planned, this.#biases(layers), input);
  }

  /** input [n, inputs] -> [n, outputs] = input weight^T + bias */
  #product(
    name: string,
    planned: PlannedLinear,
    bias: Float32Array | undefined,
    input: string,
    outputs?: readonly string[],
  ): string {
    const graph = this.#graph;
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
    const sums = this.#blockSums(input, planned.inputs, planned.block);
    return graph.node('Gemm', `${name}/offsets`, [sums, graph.external(offsets), product], {
      attributes: { transB: { int: 1 } },
      ...rest,
    });
  }

  /** [n, inputs] -> [n, inputs / block]: the sum of each block; made once for all layers over the same input. */
  #blockSums(input: string, inputs: number, block: number): string {
    const graph = this.#graph;
    const name = `${input}/sums.${block}`;
    const known = this.#sums.get(name);
    if (known !== undefined) return known;
    const shape = graph.int64(`blocks.${inputs}.${block}`, [-1, inputs / block, block]);
    const blocks = graph.node('Reshape', `${name}/blocks`, [input, shape]);
    const attributes = { keepdims: { int: 0 } };
    const sums = graph.node('ReduceSum', name, [blocks, graph.int64('block_axis', [2])], { attributes });
    this.#sums.set(name, sums);
    return sums;
  }

  #biases(layers: readonly LinearEntries[]): Float32Array | undefined {
    const parts = layers.flatMap((layer) => (layer.bias ? [this.#vector(layer.bias)] : []));
    if (parts.length === 0) return undefined;
    const joined = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of parts) {
      joined.set(part, at);
      at += part.length;
    }
    return joined;
  }

  /** RMS norm over the last axis (arXiv 1910.07467). */
  #norm(name: string, input: string, weight: TensorEntry): string {
    return this.#graph.node('SimplifiedLayerNormalization', name, [input, this.#normWeight(name, weight)], {
      attributes: { axis: { int: -1 }, epsilon: { float: this.#options.config.rmsNormEps }, stash_type: { int: 1 } },
    });
  }

  /** residual + update, and the norm of the sum, in one operator. */
  #addAndNorm(name: string, update: string, residual: string, weight: TensorEntry): Stream {
    const sum = `${name}/sum`;
    const inputs = [update, residual, this.#normWeight(name, weight)];
    const normed = this.#graph.node('SkipSimplifiedLayerNormalization', name, inputs, {
      domain: MICROSOFT_DOMAIN,
      outputs: [`${name}/out`, '', '', sum],
      attributes: { epsilon: { float: this.#options.config.rmsNormEps } },
    });
    return { residual: sum, normed };
  }

  /** RMS norm of each head by itself: [T, heads * D] -> [T, heads * D] */
  #headNorm(name: string, input: string, heads: number, weight: TensorEntry): string {
    const { headDim } = this.#options.config;
    const byHead = this.#graph.int64(`by_head.${heads}`, [-1, heads, headDim]);
    const flat = this.#graph.int64(`flat.${heads}`, [-1, heads * headDim]);
    const split = this.#graph.node('Reshape', `${name}/by_head`, [input, byHead]);
    return this.#graph.node('Reshape', `${name}/flat`, [this.#norm(name, split, weight), flat]);
  }

  #rows(name: string, input: string): string {
    return this.#graph.node('Gather', name, [input, this.#rowsInput], { attributes: { axis: { int: 0 } } });
  }

  #normWeight(name: string, entry: TensorEntry): string {
    return this.#graph.float32(`${name}.weight`, entry.shape, this.#vector(entry));
  }

  #vector(entry: TensorEntry): Float32Array {
    const values = this.#options.vectors.get(entry);
    if (values === undefined) throw new TypeError(`the values of ${entry.name} were not read`);
    return values;
  }
}
