/**
 * Builds the ONNX graph of a decoder-only transformer around the BlockAttention op: embedding, per layer RMS norm,
 * q/k/v, attention, output projection and SwiGLU, then norm, head, top-k, log-sum-exp and draws over the asked-for rows.
 * One graph serves prefill and decode. Knows how a decoder is put together; `layer-form.ts` says of what, and
 * `weight-plan.ts` plans the weights.
 * Shapes: T new tokens of all sequences, L rows that need logits, D headDim.
 */
import { ByteLayers } from './byte-layers.js';
import type { DecoderEntries, LayerEntries } from './decoder-weights.js';
import { FloatLayers } from './float-layers.js';
import { BLOCKSTITCH_DOMAIN, DRAW_TOKEN, type ExternalTensor, GraphBuilder } from './graph-builder.js';
import type { ModelConfig } from './imported-model.js';
import { type AttentionNode, type LayerForm, LayerParts } from './layer-form.js';
import type { OnnxGraph } from './onnx-schema.js';
import { PROBE_LAYER } from './probe-graph.js';
import type { TensorEntry } from './stored-dtype.js';
import type { WeightPlan } from './weight-plan.js';

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
  const parts = new LayerParts(new GraphBuilder(), options.config, options.plan, options.vectors);
  if (options.plan.turnsRows) return new DecoderGraph(options, parts, new ByteLayers(parts)).build();
  return new DecoderGraph(options, parts, new FloatLayers(parts)).build();
}

/** Hidden state between layers: the residual stream [T, hidden] and its normed copy. */
interface Stream<Input> {
  residual: string;
  normed: Input;
}

class DecoderGraph<Input, Product> {
  readonly #graph: GraphBuilder;
  readonly #options: DecoderGraphOptions;
  readonly #parts: LayerParts;
  readonly #form: LayerForm<Input, Product>;
  readonly #metadataInput: string;
  readonly #rowsInput: string;

  constructor(options: DecoderGraphOptions, parts: LayerParts, form: LayerForm<Input, Product>) {
    this.#options = options;
    this.#parts = parts;
    this.#form = form;
    this.#graph = parts.graph;
    this.#metadataInput = this.#graph.input('step_metadata', 'int32', ['metadata']);
    this.#rowsInput = this.#graph.input('logit_rows', 'int64', ['rows']);
  }

  build(): OnnxGraph {
    const { config, entries, metadata } = this.#options;
    const embedded = this.#embed(entries.embedding);
    const [first] = entries.layers;
    let stream: Stream<Input> = {
      residual: embedded,
      normed: this.#form.norm('layer.0/input_norm', embedded, first?.inputNorm ?? entries.finalNorm),
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

  #layer(index: number, layer: LayerEntries, stream: Stream<Input>, nextNorm: TensorEntry): Stream<Input> {
    const at = `layer.${index}`;
    const form = this.#form;
    const attention = this.#attentionNode(index);
    const linears = [layer.query, layer.key, layer.value] as const;
    let { residual } = stream;
    let attended: Input;
    const isLast = index === this.#options.config.layers - 1;
    // Between query and attention stand norms of heads; the probe reads its layer's values; the last layer drops rows.
    const isApart = layer.queryNorm !== undefined || index === PROBE_LAYER || isLast;
    if (form.attention === undefined || isApart) {
      let floats = this.#attention(at, layer, form.queryKeyValue(`${at}/qkv`, linears, stream.normed), attention);
      if (isLast) {
        // After the last attention nothing mixes rows, so only the rows that need logits go on.
        floats = this.#rows(`${at}/rows`, floats);
        residual = this.#rows(`${at}/residual_rows`, residual);
      }
      attended = form.attended(`${at}/attended`, floats);
    } else {
      attended = form.attention(`${at}/qkv`, linears, stream.normed, attention);
    }
    const projected = form.product(`${at}/output`, layer.output, attended);
    const middle = form.addAndNorm(`${at}/post_attention_norm`, projected, residual, layer.postAttentionNorm);
    const gated = form.gated(`${at}/gate_up`, layer.gate, layer.up, middle.normed);
    const fed = form.product(`${at}/down`, layer.down, gated);
    return form.addAndNorm(`${at}/next_norm`, fed, middle.residual, nextNorm);
  }

  /** @param parts query, key and value @returns [T, heads * D] */
  #attention(at: string, layer: LayerEntries, parts: readonly string[], attention: AttentionNode): string {
    const { heads, kvHeads } = this.#options.config;
    let [query, key, value] = parts as [string, string, string];
    if (layer.queryNorm && layer.keyNorm) {
      query = this.#headNorm(`${at}/query_norm`, query, heads, layer.queryNorm);
      key = this.#headNorm(`${at}/key_norm`, key, kvHeads, layer.keyNorm);
    }
    return this.#graph.node('BlockAttention', `${at}/attention`, [query, key, value, ...attention.inputs], {
      domain: BLOCKSTITCH_DOMAIN,
      attributes: attention.attributes,
    });
  }

  #attentionNode(index: number): AttentionNode {
    const { config, windows, rope } = this.#options;
    return {
      inputs: [this.#graph.external(rope.cos), this.#graph.external(rope.sin), this.#metadataInput],
      attributes: {
        layer: { int: index },
        num_heads: { int: config.heads },
        num_kv_heads: { int: config.kvHeads },
        head_dim: { int: config.headDim },
        rotary_dim: { int: config.rotaryDim },
        rotary_interleaved: { int: 0 },
        scale: { float: 1 / Math.sqrt(config.headDim) },
        sliding_window: { int: windows[index] ?? 0 },
        softcap: { float: 0 },
      },
    };
  }

  /** Logits of the asked-for rows, their top k, the log of the sum of their exponentials, and draws from them. */
  #head(normed: Input): void {
    const { config, entries } = this.#options;
    const graph = this.#graph;
    const topK = graph.input('top_k', 'int64', [1]);
    const logits = 'logits';
    this.#form.logits('head', entries.head, normed, logits);
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

  /** RMS norm of each head by itself: [T, heads * D] -> [T, heads * D] */
  #headNorm(name: string, input: string, heads: number, weight: TensorEntry): string {
    const { headDim, rmsNormEps } = this.#options.config;
    const byHead = this.#graph.int64(`by_head.${heads}`, [-1, heads, headDim]);
    const flat = this.#graph.int64(`flat.${heads}`, [-1, heads * headDim]);
    const split = this.#graph.node('Reshape', `${name}/by_head`, [input, byHead]);
    const normed = this.#graph.node(
      'SimplifiedLayerNormalization',
      name,
      [split, this.#parts.normWeight(name, weight)],
      {
        attributes: { axis: { int: -1 }, epsilon: { float: rmsNormEps }, stash_type: { int: 1 } },
      },
    );
    return this.#graph.node('Reshape', `${name}/flat`, [normed, flat]);
  }

  #rows(name: string, input: string): string {
    return this.#graph.node('Gather', name, [input, this.#rowsInput], { attributes: { axis: { int: 0 } } });
  }
}
