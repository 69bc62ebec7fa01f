/**
 * Collects the nodes and constants of one ONNX graph and names the values between them.
 * Knows ONNX's structure. `decoder-graph.ts` knows which nodes make a transformer.
 */
import type { AttributeValue, OnnxGraph, OnnxInitializer, OnnxNode, OnnxType, OnnxValue } from './onnx-schema.js';

/** ONNX Runtime's own operators (quantized matrix products, fused norms). */
export const MICROSOFT_DOMAIN = 'com.microsoft';
/** Domain of this project's operators, which the native addon registers. */
export const BLOCKSTITCH_DOMAIN = 'ai.blockstitch';

/** The operator that draws tokens on the CPU. */
export const DRAW_TOKEN = 'DrawToken';

const OPSETS = { '': 21, [MICROSOFT_DOMAIN]: 1, [BLOCKSTITCH_DOMAIN]: 1 } as const;

/** A constant kept in a file beside the graph. */
export interface ExternalTensor {
  name: string;
  type: OnnxType;
  dims: readonly number[];
  /** File name relative to the graph's directory. */
  location: string;
  offset: number;
  bytes: number;
}

export interface NodeOptions {
  domain?: string;
  attributes?: Readonly<Record<string, AttributeValue>>;
  /** Output names. Default: one name, made from the node's. An empty name leaves an output out. */
  outputs?: readonly string[];
}

export class GraphBuilder {
  readonly #nodes: OnnxNode[] = [];
  readonly #initializers = new Map<string, OnnxInitializer>();
  readonly #inputs: OnnxValue[] = [];
  readonly #outputs: OnnxValue[] = [];
  readonly #names = new Set<string>();

  input(name: string, type: OnnxType, dims: readonly (number | string)[]): string {
    this.#inputs.push({ name, type, dims });
    return name;
  }

  output(name: string, type: OnnxType, dims: readonly (number | string)[]): void {
    this.#outputs.push({ name, type, dims });
  }

  /** Adds a node. @returns its first output's name */
  node(opType: string, name: string, inputs: readonly string[], options: NodeOptions = {}): string {
    if (this.#names.has(name)) throw new TypeError(`two nodes are named ${name}`);
    this.#names.add(name);
    const outputs = options.outputs ?? [`${name}/out`];
    this.#nodes.push({
      opType,
      domain: options.domain ?? '',
      name,
      inputs,
      outputs,
      attributes: options.attributes ?? {},
    });
    return outputs[0] as string;
  }

  /** Adds a constant that lies in another file. A second call with the same tensor changes nothing. */
  external(tensor: ExternalTensor): string {
    const { name, type, dims, location, offset, bytes } = tensor;
    this.#initializers.set(name, { name, type, dims, data: { location, offset, bytes } });
    return name;
  }

  /** Adds a float32 constant inside the graph file. */
  float32(name: string, dims: readonly number[], values: Float32Array): string {
    return this.inline(name, 'float32', dims, new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  }

  /** Adds an int64 vector inside the graph file. */
  int64(name: string, values: readonly number[]): string {
    return this.inline(name, 'int64', [values.length], new Uint8Array(BigInt64Array.from(values.map(BigInt)).buffer));
  }

  /** Adds a uint8 scalar inside the graph file. */
  byte(name: string, value: number): string {
    return this.inline(name, 'uint8', [], Uint8Array.of(value));
  }

  build(name: string, metadata: Readonly<Record<string, string>>): OnnxGraph {
    return {
      name,
      opsets: OPSETS,
      metadata,
      nodes: this.#nodes,
      initializers: [...this.#initializers.values()],
      inputs: this.#inputs,
      outputs: this.#outputs,
    };
  }

  /** Adds a constant inside the graph file. */
  inline(name: string, type: OnnxType, dims: readonly number[], raw: Uint8Array): string {
    this.#initializers.set(name, { name, type, dims, data: { raw } });
    return name;
  }
}
