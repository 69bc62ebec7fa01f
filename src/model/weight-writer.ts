/**
 * Carries out a weight plan: streams tensors out of the checkpoint, converts them slab by slab and writes
 * `weights.bin`. A model of any size takes a few slabs of memory. A journal of finished tasks lets an interrupted write
 * go on.
 * Knows files and conversions. The plan says what goes where.
 */
import { createHash } from 'node:crypto';
import { type FileHandle, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { quantizeInt4, quantizeInt8 } from './block-quantizer.js';
import { readExactly } from './checkpoint-tensors.js';
import { widen } from './float-conversion.js';
import { decodeBlocks } from './gguf/block-formats.js';
import { packRuns } from './gguf/native-blocks.js';
import { unpairRows } from './gguf/row-order.js';
import { isFloat, storedBytes, storedWeights, type TensorEntry } from './stored-dtype.js';
import { quantizeTurned } from './turned-quantizer.js';
import { type QuantizedParts, WEIGHTS_FILE, type WeightPlan, type WeightTask } from './weight-plan.js';

/** Weights held in memory at once. */
const SLAB_ELEMENTS = 2 * 1024 * 1024;

/** The same where each row of the slab adds a byte to each column: fewer, longer pieces. Larger than most layers. */
const TURNED_SLAB = 16 * 1024 * 1024;

/** The journal is written each time so many more bytes are durable. */
const JOURNAL_EVERY_BYTES = 16 * 1024 * 1024;

const JOURNAL_FILE = 'journal';

export interface WriteOptions {
  directory: string;
  plan: WeightPlan;
  /** Called with the bytes of `weights.bin` that are done, and all its bytes. */
  onProgress?: (doneBytes: number, totalBytes: number) => void;
  signal?: AbortSignal | undefined;
}

/**
 * Writes `weights.bin` in `directory`. Goes on where an earlier call with the same plan stopped.
 *
 * @returns how many tasks were done before
 * @throws BlockstitchError `checkpoint_invalid` if a source ends early; system errors of writing as they are
 */
export async function writeWeights(options: WriteOptions): Promise<number> {
  const { directory, plan, signal } = options;
  const digest = planDigest(plan);
  const done = await readJournal(join(directory, JOURNAL_FILE), digest, plan.tasks.length);
  const output = await open(join(directory, WEIGHTS_FILE), done > 0 ? 'r+' : 'w');
  const journal = await open(join(directory, JOURNAL_FILE), done > 0 ? 'a' : 'w');
  const writer = new TaskWriter(output, signal);
  try {
    if (done === 0) await journal.appendFile(`${digest}\n`);
    let unsynced = 0;
    for (const [index, task] of plan.tasks.entries()) {
      const bytes = taskBytes(task);
      if (index >= done) {
        await writer.write(task);
        unsynced += bytes;
        if (unsynced >= JOURNAL_EVERY_BYTES || index === plan.tasks.length - 1) {
          await output.datasync();
          await journal.appendFile(`${index + 1}\n`);
          unsynced = 0;
        }
      }
      options.onProgress?.(taskEnd(task), plan.bytes);
    }
    return done;
  } finally {
    await writer.close();
    await output.close();
    await journal.close();
  }
}

/** Durable tasks of an earlier, interrupted write of the same plan; 0 to start anew. */
async function readJournal(path: string, digest: string, tasks: number): Promise<number> {
  let lines: string[];
  try {
    lines = (await readFile(path, 'utf8')).split('\n');
  } catch {
    return 0;
  }
  if (lines[0] !== digest) return 0;
  // The last line may be cut. Whole lines end in a line feed, so the last element of the split is left out.
  const counts = lines.slice(1, -1).map(Number);
  const last = counts.at(-1) ?? 0;
  return Number.isInteger(last) && last >= 0 && last <= tasks ? last : 0;
}

function planDigest(plan: WeightPlan): string {
  return createHash('sha256').update(JSON.stringify(plan.tasks)).digest('hex');
}

function targets(task: WeightTask): { offset: number; bytes: number }[] {
  if (!('parts' in task)) return [task.target];
  return Object.values(task.parts).filter((part) => typeof part === 'object');
}

function taskBytes(task: WeightTask): number {
  return targets(task).reduce((sum, { bytes }) => sum + bytes, 0);
}

function taskEnd(task: WeightTask): number {
  return Math.max(...targets(task).map(({ offset, bytes }) => offset + bytes));
}

/** Writes single tasks; keeps source files open between them. */
class TaskWriter {
  readonly #output: FileHandle;
  readonly #signal: AbortSignal | undefined;
  readonly #sources = new Map<string, FileHandle>();

  constructor(output: FileHandle, signal: AbortSignal | undefined) {
    this.#output = output;
    this.#signal = signal;
  }

  async write(task: WeightTask): Promise<void> {
    if (task.kind === 'computed') {
      this.#signal?.throwIfAborted();
      const values = task.compute();
      await this.#put(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), task.target.offset);
    } else if (task.kind === 'stored') {
      let offset = task.target.offset;
      for await (const bytes of this.#slabs(task.source, SLAB_ELEMENTS)) {
        await this.#put(bytes, offset);
        offset += bytes.byteLength;
      }
    } else if (task.kind === 'float32') {
      let offset = task.target.offset;
      for (const source of task.sources) {
        for await (const weights of this.#floats(source, SLAB_ELEMENTS)) {
          await this.#put(new Uint8Array(weights.buffer, weights.byteOffset, weights.byteLength), offset);
          offset += weights.byteLength;
        }
      }
    } else if (task.kind === 'turned') {
      await this.#turn(task);
    } else if (task.kind === 'blocks') {
      await this.#packBlocks(task.sources, task.parts);
    } else {
      await this.#quantize(task.sources, task.inputs, task.parts);
    }
  }

  async close(): Promise<void> {
    for (const handle of this.#sources.values()) await handle.close();
  }

  async #quantize(sources: readonly TensorEntry[], inputs: number, parts: QuantizedParts): Promise<void> {
    const { bits, values, scales, zeroPoints } = parts;
    const slabRows = Math.max(1, Math.floor(SLAB_ELEMENTS / inputs));
    let valuesAt = values.offset;
    let scalesAt = scales.offset;
    let zerosAt = zeroPoints?.offset ?? 0;
    for (const source of sources) {
      for await (const weights of this.#floats(source, slabRows * inputs)) {
        const rows = weights.length / inputs;
        const quantized = bits === 4 ? quantizeInt4(weights, rows, inputs) : quantizeInt8(weights, rows, inputs);
        const scaleBytes = new Uint8Array(quantized.scales.buffer);
        await this.#put(quantized.values, valuesAt);
        await this.#put(scaleBytes, scalesAt);
        if (zeroPoints) await this.#put(quantized.zeroPoints, zerosAt);
        valuesAt += quantized.values.byteLength;
        scalesAt += scaleBytes.byteLength;
        zerosAt += quantized.zeroPoints.byteLength;
      }
    }
  }

  /** Weights stand column by column, so a slab of rows is a piece of each column. A layer of one slab is written at once. */
  async #turn({ sources, inputs, outputs, form, parts }: Extract<WeightTask, { kind: 'turned' }>): Promise<void> {
    const whole = inputs * outputs <= TURNED_SLAB ? new Uint8Array(inputs * outputs) : undefined;
    let row = 0;
    for (const source of sources) {
      for await (const weights of this.#floats(source, Math.max(1, Math.floor(TURNED_SLAB / inputs)) * inputs)) {
        const rows = weights.length / inputs;
        const { values, scales } = quantizeTurned(weights, rows, inputs, form);
        for (let input = 0; input < inputs; input++) {
          const piece = values.subarray(input * rows, (input + 1) * rows);
          const at = input * outputs + row;
          if (whole) whole.set(piece, at);
          else await this.#put(piece, parts.values.offset + at);
        }
        await this.#put(bytesOf(scales), parts.scales.offset + row * 4);
        row += rows;
      }
    }
    if (whole) await this.#put(whole, parts.values.offset);
  }

  /** The integers of a GGUF file's blocks, as they are. */
  async #packBlocks(sources: readonly TensorEntry[], parts: QuantizedParts): Promise<void> {
    const { values, scales, offsets } = parts;
    let valuesAt = values.offset;
    let scalesAt = scales.offset;
    let offsetsAt = offsets?.offset ?? 0;
    for (const source of sources) {
      if (isFloat(source.dtype)) throw new TypeError(`${source.name} has no blocks`);
      for await (const bytes of this.#slabs(source, SLAB_ELEMENTS)) {
        const packed = packRuns(source.dtype, bytes);
        await this.#put(packed.values, valuesAt);
        await this.#put(bytesOf(packed.scales), scalesAt);
        if (offsets) await this.#put(bytesOf(packed.offsets), offsetsAt);
        valuesAt += packed.values.byteLength;
        scalesAt += packed.scales.byteLength;
        offsetsAt += packed.offsets.byteLength;
      }
    }
  }

  /** The tensor widened to float32, about `elements` at a time, whole rows; the array is reused. */
  async *#floats(source: TensorEntry, elements: number): AsyncGenerator<Float32Array> {
    const { dtype, patch } = source;
    const columns = source.shape[1] ?? 1;
    const floats = new Float32Array(Math.min(slabWeights(source, elements), storedWeights(dtype, source.bytes)));
    let row = 0;
    for await (const bytes of this.#slabs(source, elements)) {
      const slab = floats.subarray(0, storedWeights(dtype, bytes.byteLength));
      if (isFloat(dtype)) widen(dtype, bytes, slab);
      else decodeBlocks(dtype, bytes, slab);
      await patch?.apply(slab, row);
      row += slab.length / columns;
      yield slab;
    }
    const appended = patch?.appended();
    if (appended && appended.length > 0) yield appended;
  }

  /** The tensor's bytes, about `elements` weights at a time, rows in plain order; the array is reused. */
  async *#slabs(source: TensorEntry, elements: number): AsyncGenerator<Uint8Array> {
    let handle = this.#sources.get(source.file);
    if (handle === undefined) {
      handle = await open(source.file, 'r');
      this.#sources.set(source.file, handle);
    }
    const slabBytes = storedBytes(source.dtype, slabWeights(source, elements));
    const buffer = new Uint8Array(Math.min(slabBytes, source.bytes));
    for (let at = 0; at < source.bytes; at += slabBytes) {
      this.#signal?.throwIfAborted();
      const length = Math.min(slabBytes, source.bytes - at);
      const slab = await readExactly(handle, source.file, source.offset + at, length, buffer);
      if (source.pairedHead !== undefined) {
        unpairRows(slab, source.pairedHead, storedBytes(source.dtype, source.shape[1] ?? 1));
      }
      yield slab;
    }
  }

  async #put(bytes: Uint8Array, offset: number): Promise<void> {
    let done = 0;
    while (done < bytes.byteLength) {
      const { bytesWritten } = await this.#output.write(bytes, done, bytes.byteLength - done, offset + done);
      done += bytesWritten;
    }
  }
}

/** Weights of a slab: about `elements`; whole rows if an adapter changes them, whole heads if their rows change places. */
function slabWeights({ shape, pairedHead, patch }: TensorEntry, elements: number): number {
  const columns = shape[1] ?? 1;
  const unit = pairedHead === undefined ? (patch === undefined ? 1 : columns) : pairedHead * columns;
  return Math.max(1, Math.floor(elements / unit)) * unit;
}

function bytesOf(floats: Float32Array): Uint8Array {
  return new Uint8Array(floats.buffer, floats.byteOffset, floats.byteLength);
}
