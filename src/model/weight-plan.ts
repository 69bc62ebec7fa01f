/**
 * Decides for each weight of the graph: it stays in the checkpoint's file, or it is written anew, in some form and at
 * some offset of `weights.bin`. The plan depends on config, format and headers only, so an interrupted import finds the
 * same plan when it goes on. Knows layout; `weight-writer.ts` moves the bytes.
 */
import type { ExternalTensor } from './graph-builder.js';
import type { WeightFormat } from './imported-model.js';
import type { OnnxType } from './onnx-schema.js';
import { STORED_BYTES, type StoredDtype, type TensorEntry } from './safetensors-header.js';

/** File beside the graph that holds converted weights. */
export const WEIGHTS_FILE = 'weights.bin';

/** Weights share one scale (and zero point) in blocks of this many inputs. */
export const QUANTIZATION_BLOCK = 32;

/** Page size of the memory maps that ONNX Runtime makes of external data. */
const ALIGNMENT = 4096;

const STORED_TYPE: Readonly<Record<StoredDtype, OnnxType>> = { F32: 'float32', F16: 'float16', BF16: 'bfloat16' };

export type QuantizedBits = 4 | 8;

/** A linear layer's constants: weight float32 [outputs, inputs], or its quantized parts. */
export type PlannedLinear = { outputs: number; inputs: number } & (
  | { kind: 'dense'; weight: ExternalTensor }
  | ({ kind: 'quantized' } & QuantizedParts)
);

/** The three arrays of MatMulNBits. B = inputs / 32, rounded up. */
export interface QuantizedParts {
  bits: QuantizedBits;
  /** uint8 [outputs, B, 32 * bits / 8], low nibble first */
  values: ExternalTensor;
  /** float32 [outputs * B] */
  scales: ExternalTensor;
  /** uint8 [outputs * ceil(B * bits / 8)]; absent: the middle of the range */
  zeroPoints?: ExternalTensor;
}

/** One piece of `weights.bin`; tasks are done in order and touch disjoint ranges. */
export type WeightTask =
  | { kind: 'stored'; source: TensorEntry; target: ExternalTensor }
  | { kind: 'float32'; sources: readonly TensorEntry[]; target: ExternalTensor }
  | { kind: 'quantized'; sources: readonly TensorEntry[]; inputs: number; parts: QuantizedParts }
  | { kind: 'computed'; compute: () => Float32Array; target: ExternalTensor };

export class WeightPlan {
  readonly #format: WeightFormat;
  readonly #links: ReadonlyMap<string, string>;
  readonly #tasks: WeightTask[] = [];
  #bytes = 0;

  readonly #keepsStored: boolean;

  /**
   * @param links checkpoint file -> its name beside the graph, for files that can be used in place
   * @param keepsStored keeps weights that are not quantized in the checkpoint's own element type, for a GPU
   */
  constructor(format: WeightFormat, links: ReadonlyMap<string, string>, keepsStored = false) {
    this.#format = format;
    this.#links = links;
    this.#keepsStored = keepsStored;
  }

  get tasks(): readonly WeightTask[] {
    return this.#tasks;
  }

  /** Size of `weights.bin`. */
  get bytes(): number {
    return this.#bytes;
  }

  /** True if these layers are better kept as one, because their rows are written anew anyway. */
  fuses(weights: readonly TensorEntry[]): boolean {
    if (this.#format === 'fp32' && this.#keepsStored) return false;
    return this.#format !== 'fp32' || !weights.every((weight) => this.#staysAsFloat32(weight));
  }

  /** A matrix for look-ups by row. It keeps the checkpoint's own element type. */
  table(name: string, entry: TensorEntry): ExternalTensor {
    const type = STORED_TYPE[entry.dtype];
    const link = this.#links.get(entry.file);
    if (link !== undefined && isAligned(entry)) return inPlace(name, type, entry, link);
    const target = this.#reserve(name, type, entry.shape, entry.bytes);
    this.#tasks.push({ kind: 'stored', source: entry, target });
    return target;
  }

  /** A linear layer with the outputs of all `weights`, one after another. They all have the same inputs. */
  linear(name: string, weights: readonly TensorEntry[]): PlannedLinear {
    const inputs = weights[0]?.shape[1] as number;
    const outputs = weights.reduce((sum, weight) => sum + (weight.shape[0] as number), 0);
    if (this.#format !== 'fp32') {
      const parts = this.#reserveQuantized(name, outputs, inputs, this.#format === 'int4' ? 4 : 8);
      this.#tasks.push({ kind: 'quantized', sources: weights, inputs, parts });
      return { kind: 'quantized', outputs, inputs, ...parts };
    }
    const [only] = weights;
    if (this.#keepsStored && weights.length === 1 && only) {
      return { kind: 'dense', outputs, inputs, weight: this.table(name, only) };
    }
    const link = only && this.#links.get(only.file);
    if (weights.length === 1 && only && link !== undefined && this.#staysAsFloat32(only)) {
      return { kind: 'dense', outputs, inputs, weight: inPlace(name, 'float32', only, link) };
    }
    const weight = this.#reserve(name, 'float32', [outputs, inputs], outputs * inputs * 4);
    this.#tasks.push({ kind: 'float32', sources: weights, target: weight });
    return { kind: 'dense', outputs, inputs, weight };
  }

  /** A float32 array that is computed, not read. */
  computed(name: string, dims: readonly [number, number], compute: () => Float32Array): ExternalTensor {
    const target = this.#reserve(name, 'float32', dims, dims[0] * dims[1] * 4);
    this.#tasks.push({ kind: 'computed', compute, target });
    return target;
  }

  #staysAsFloat32(weight: TensorEntry): boolean {
    return weight.dtype === 'F32' && this.#links.has(weight.file) && isAligned(weight);
  }

  #reserveQuantized(name: string, outputs: number, inputs: number, bits: QuantizedBits): QuantizedParts {
    const blocks = Math.ceil(inputs / QUANTIZATION_BLOCK);
    const blockBytes = (QUANTIZATION_BLOCK * bits) / 8;
    const values = this.#reserve(
      `${name}.values`,
      'uint8',
      [outputs, blocks, blockBytes],
      outputs * blocks * blockBytes,
    );
    const scales = this.#reserve(`${name}.scales`, 'float32', [outputs * blocks], outputs * blocks * 4);
    if (bits === 8) return { bits, values, scales };
    const zeroBytes = outputs * Math.ceil(blocks / 2);
    return { bits, values, scales, zeroPoints: this.#reserve(`${name}.zero_points`, 'uint8', [zeroBytes], zeroBytes) };
  }

  #reserve(name: string, type: OnnxType, dims: readonly number[], bytes: number): ExternalTensor {
    const offset = Math.ceil(this.#bytes / ALIGNMENT) * ALIGNMENT;
    this.#bytes = offset + bytes;
    return { name, type, dims, location: WEIGHTS_FILE, offset, bytes };
  }
}

function inPlace(name: string, type: OnnxType, entry: TensorEntry, location: string): ExternalTensor {
  return { name, type, dims: entry.shape, location, offset: entry.offset, bytes: entry.bytes };
}

function isAligned(entry: TensorEntry): boolean {
  return entry.offset % STORED_BYTES[entry.dtype] === 0;
}
