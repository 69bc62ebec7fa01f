/**
 * Decides for each weight of the graph: it stays in the checkpoint's file, or it is written anew, in some form and at
 * some offset of `weights.bin`. The plan depends on config, format and headers only, so an interrupted import finds the
 * same plan when it goes on. Knows layout; `weight-writer.ts` moves the bytes.
 */
import { RUN_SHAPES, type RunShape } from './gguf/block-formats.js';
import type { ExternalTensor } from './graph-builder.js';
import type { WeightFormat } from './imported-model.js';
import type { OnnxType } from './onnx-schema.js';
import type { ByteForm } from './signed-bytes.js';
import { type FloatDtype, isFloat, storedBytes, type TensorEntry } from './stored-dtype.js';

/** File beside the graph that holds converted weights. */
export const WEIGHTS_FILE = 'weights.bin';

/** Weights share one scale (and zero point) in blocks of this many inputs. */
export const QUANTIZATION_BLOCK = 32;

/** Page size of the memory maps that ONNX Runtime makes of external data. */
const ALIGNMENT = 4096;

const STORED_TYPE: Readonly<Record<FloatDtype, OnnxType>> = { F32: 'float32', F16: 'float16', BF16: 'bfloat16' };

export type QuantizedBits = 4 | 8;

/** A linear layer's constants: weight float32 [outputs, inputs], or its quantized parts. */
export type PlannedLinear = { outputs: number; inputs: number } & (
  | { kind: 'dense'; weight: ExternalTensor }
  | ({ kind: 'quantized' } & QuantizedParts)
  | ({ kind: 'turned' } & TurnedParts)
);

/** The arrays of a product of bytes (`turned-quantizer.ts`). */
export interface TurnedParts {
  /** int8, or uint8 around 128: [inputs, outputs] */
  values: ExternalTensor;
  /** float32 [outputs] */
  scales: ExternalTensor;
}

/** The arrays of MatMulNBits. B = inputs / block, rounded up. */
export interface QuantizedParts {
  bits: QuantizedBits;
  /** Inputs that share a scale. */
  block: 16 | 32;
  /** uint8 [outputs, B, block * bits / 8], low nibble first */
  values: ExternalTensor;
  /** float32 [outputs * B] */
  scales: ExternalTensor;
  /** uint8 [outputs * ceil(B * bits / 8)]; absent: the middle of the range */
  zeroPoints?: ExternalTensor;
  /** float32 [outputs, B]: what each weight of a block has besides; MatMulNBits does not know it */
  offsets?: ExternalTensor;
}

/** One piece of `weights.bin`; tasks are done in order and touch disjoint ranges. */
export type WeightTask =
  | { kind: 'stored'; source: TensorEntry; target: ExternalTensor }
  | { kind: 'float32'; sources: readonly TensorEntry[]; target: ExternalTensor }
  | { kind: 'quantized'; sources: readonly TensorEntry[]; inputs: number; parts: QuantizedParts }
  | {
      kind: 'turned';
      sources: readonly TensorEntry[];
      inputs: number;
      outputs: number;
      form: ByteForm;
      parts: TurnedParts;
    }
  /** Blocks of a GGUF file: their integers, scales and offsets in the layout of MatMulNBits. */
  | { kind: 'blocks'; sources: readonly TensorEntry[]; inputs: number; parts: QuantizedParts }
  | { kind: 'computed'; compute: () => Float32Array; target: ExternalTensor };

export class WeightPlan {
  readonly #format: WeightFormat;
  readonly #links: ReadonlyMap<string, string>;
  readonly #tasks: WeightTask[] = [];
  /** Tables that were widened to float32: a tied head uses the same bytes. */
  readonly #widened = new Map<TensorEntry, ExternalTensor>();
  #bytes = 0;

  readonly #keepsStored: boolean;
  readonly #byteForm: ByteForm;

  /**
   * @param links checkpoint file -> its name beside the graph, for files that can be used in place
   * @param options.forGpu keeps weights that are not quantized in the checkpoint's own element type
   * @param options.byteForm how products of bytes want their weights; a GPU has none
   */
  constructor(
    format: WeightFormat,
    links: ReadonlyMap<string, string>,
    options: { forGpu?: boolean; byteForm?: ByteForm } = {},
  ) {
    this.#format = format;
    this.#links = links;
    this.#keepsStored = options.forGpu ?? false;
    this.#byteForm = options.byteForm ?? 'signed';
  }

  /** Whether linear layers multiply bytes: rows are then turned and rounded between the products. */
  get turnsRows(): boolean {
    return multipliesBytes(this.#format, this.#keepsStored);
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
    if (this.#format === 'int8' || this.#format === 'int4') return true;
    const blocks = weights.filter(({ dtype, patch }) => !isFloat(dtype) && patch === undefined);
    if (this.#format === 'native' && blocks.length > 0) return sharedRuns(weights) !== undefined;
    if (this.#keepsStored) return false;
    return !weights.every((weight) => this.#staysAsFloat32(weight));
  }

  /** A matrix for look-ups by row. It keeps the checkpoint's own element type; blocks, and what an adapter changes, become float32. */
  table(name: string, entry: TensorEntry): ExternalTensor {
    if (!isFloat(entry.dtype) || entry.patch !== undefined) {
      const widened = this.#reserveFloat32(name, [entry]);
      this.#widened.set(entry, widened);
      return widened;
    }
    const type = STORED_TYPE[entry.dtype];
    const link = this.#links.get(entry.file);
    if (link !== undefined && isInPlace(entry)) return inPlace(name, type, entry, link);
    const target = this.#reserve(name, type, entry.shape, entry.bytes);
    this.#tasks.push({ kind: 'stored', source: entry, target });
    return target;
  }

  /** A linear layer with the outputs of all `weights`, one after another. They all have the same inputs. */
  linear(name: string, weights: readonly TensorEntry[]): PlannedLinear {
    const inputs = weights[0]?.shape[1] as number;
    const outputs = weights.reduce((sum, weight) => sum + (weight.shape[0] as number), 0);
    if (this.turnsRows) {
      const parts = this.#reserveTurned(name, outputs, inputs);
      this.#tasks.push({ kind: 'turned', sources: weights, inputs, outputs, form: this.#byteForm, parts });
      return { kind: 'turned', outputs, inputs, ...parts };
    }
    if (this.#format === 'int8' || this.#format === 'int4') {
      const parts = this.#reserveQuantized(name, outputs, inputs, this.#format === 'int4' ? 4 : 8);
      this.#tasks.push({ kind: 'quantized', sources: weights, inputs, parts });
      return { kind: 'quantized', outputs, inputs, ...parts };
    }
    const runs = this.#format === 'native' ? sharedRuns(weights) : undefined;
    if (runs !== undefined) {
      const parts = this.#reserveRuns(name, outputs, inputs, runs);
      this.#tasks.push({ kind: 'blocks', sources: weights, inputs, parts });
      return { kind: 'quantized', outputs, inputs, ...parts };
    }
    const [only] = weights;
    const widened = only && weights.length === 1 ? this.#widened.get(only) : undefined;
    if (widened) return { kind: 'dense', outputs, inputs, weight: widened };
    if (this.#keepsStored && weights.length === 1 && only) {
      return { kind: 'dense', outputs, inputs, weight: this.table(name, only) };
    }
    const link = only && this.#links.get(only.file);
    if (weights.length === 1 && only && link !== undefined && this.#staysAsFloat32(only)) {
      return { kind: 'dense', outputs, inputs, weight: inPlace(name, 'float32', only, link) };
    }
    return { kind: 'dense', outputs, inputs, weight: this.#reserveFloat32(name, weights) };
  }

  /** A float32 array that is computed, not read. */
  computed(name: string, dims: readonly [number, number], compute: () => Float32Array): ExternalTensor {
    const target = this.#reserve(name, 'float32', dims, dims[0] * dims[1] * 4);
    this.#tasks.push({ kind: 'computed', compute, target });
    return target;
  }

  #staysAsFloat32(weight: TensorEntry): boolean {
    return weight.dtype === 'F32' && this.#links.has(weight.file) && isInPlace(weight);
  }

  #reserveFloat32(name: string, sources: readonly TensorEntry[]): ExternalTensor {
    const outputs = sources.reduce((sum, { shape }) => sum + (shape[0] as number), 0);
    const inputs = sources[0]?.shape[1] as number;
    const target = this.#reserve(name, 'float32', [outputs, inputs], outputs * inputs * 4);
    this.#tasks.push({ kind: 'float32', sources, target });
    return target;
  }

  #reserveRuns(name: string, outputs: number, inputs: number, { run, bits, hasOffset }: RunShape): QuantizedParts {
    const blocks = inputs / run;
    const blockBytes = (run * bits) / 8;
    const shape = [outputs, blocks, blockBytes] as const;
    const values = this.#reserve(`${name}.values`, 'uint8', shape, outputs * blocks * blockBytes);
    const scales = this.#reserve(`${name}.scales`, 'float32', [outputs * blocks], outputs * blocks * 4);
    if (!hasOffset) return { bits, block: run, values, scales };
    const offsets = this.#reserve(`${name}.offsets`, 'float32', [outputs, blocks], outputs * blocks * 4);
    return { bits, block: run, values, scales, offsets };
  }

  #reserveTurned(name: string, outputs: number, inputs: number): TurnedParts {
    const type = this.#byteForm === 'signed' ? 'int8' : 'uint8';
    return {
      values: this.#reserve(`${name}.values`, type, [inputs, outputs], inputs * outputs),
      scales: this.#reserve(`${name}.scales`, 'float32', [outputs], outputs * 4),
    };
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
    const block = QUANTIZATION_BLOCK;
    if (bits === 8) return { bits, block, values, scales };
    const zeroBytes = outputs * Math.ceil(blocks / 2);
    const zeroPoints = this.#reserve(`${name}.zero_points`, 'uint8', [zeroBytes], zeroBytes);
    return { bits, block, values, scales, zeroPoints };
  }

  #reserve(name: string, type: OnnxType, dims: readonly number[], bytes: number): ExternalTensor {
    const offset = Math.ceil(this.#bytes / ALIGNMENT) * ALIGNMENT;
    this.#bytes = offset + bytes;
    return { name, type, dims, location: WEIGHTS_FILE, offset, bytes };
  }
}

/** Whether an import multiplies bytes: int8 on a CPU. On a GPU, int8 weights are in blocks of 32. */
export function multipliesBytes(format: WeightFormat, forGpu: boolean): boolean {
  return format === 'int8' && !forGpu;
}

function inPlace(name: string, type: OnnxType, entry: TensorEntry, location: string): ExternalTensor {
  return { name, type, dims: entry.shape, location, offset: entry.offset, bytes: entry.bytes };
}

/** Whether a tensor of floats can be used where it lies. */
function isInPlace({ dtype, offset, pairedHead, patch }: TensorEntry): boolean {
  return pairedHead === undefined && patch === undefined && offset % storedBytes(dtype, 1) === 0;
}

/** The runs of all these weights if they are alike; undefined if they differ, or if one is of floats or changed. */
function sharedRuns(weights: readonly TensorEntry[]): RunShape | undefined {
  const shapes = weights.map(({ dtype, patch }) => (isFloat(dtype) || patch ? undefined : RUN_SHAPES[dtype]));
  const [first] = shapes;
  const alike = shapes.every(
    (shape) => shape?.run === first?.run && shape?.bits === first?.bits && shape?.hasOffset === first?.hasOffset,
  );
  return alike ? first : undefined;
}
